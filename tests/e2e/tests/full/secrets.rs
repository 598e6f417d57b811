//! The password of a shop's database is changed while people buy.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use storefront_e2e_tests::{Load, Operator, Place, Shop, kubectl_with, pod, postgres};
use storefront_testkit::eventually;

const LIMIT: Duration = Duration::from_secs(180);
/// Makes a database in a folder of the pod, and serves it.
const SERVER: &str = "initdb --pgdata=/data/new --username=root --auth-host=scram-sha-256 --auth-local=trust \
    && echo 'host all all all scram-sha-256' >> /data/new/pg_hba.conf \
    && exec postgres -D /data/new -c listen_addresses=* -c unix_socket_directories=/data";
/// Users that follow each other; what they make belongs to neither.
const USERS: &str = "CREATE ROLE shop; CREATE ROLE blue LOGIN PASSWORD 'one' IN ROLE shop; \
    CREATE ROLE green LOGIN PASSWORD 'two' IN ROLE shop; \
    ALTER ROLE blue SET role TO shop; ALTER ROLE green SET role TO shop";

#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn nobody_notices_a_new_password() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("secrets").await?;
    let bank = Shop { namespace: place.name.clone(), name: "bank".into(), inbox: None };
    place.apply(&server()?).await?;
    bank.wait("condition=Ready", "pod/bank", LIMIT).await?;
    psql(&bank, USERS).await?;
    psql(&bank, "CREATE DATABASE shop OWNER shop").await?;
    place.apply(&secret(&place, "blue:one")).await?;

    let database =
        json!({"managed": null, "external": {"secretRef": {"name": "bank", "key": "url"}}});
    let shop = Shop::apply_with(&place.name, "demo", &json!({"database": database})).await?;
    shop.ready().await?;
    let pods = shop.pods().await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(10).await;
    ensure!(connections(&bank, "blue").await? > 0);

    place.apply(&secret(&place, "green:two")).await?;
    // A kubelet looks at a pod that has changed, and else within a minute or two.
    shop.kubectl("annotate pods --all rotated=1").await?;
    eventually(LIMIT, "the new password in a pod", async || {
        let url = shop.kubectl("exec bank -- cat /secret/url").await;
        url.is_ok_and(|url| url.contains("green"))
    })
    .await;
    // The old user's connections end when nothing is done with them, and it gets no new one.
    psql(&bank, "ALTER ROLE blue NOLOGIN").await?;
    eventually(LIMIT, "an end of the old user's connections", async || {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE usename = 'blue' AND state = 'idle'";
        psql(&bank, end).await.is_ok() && connections(&bank, "blue").await.is_ok_and(|it| it == 0)
    })
    .await;
    load.goes_on(20).await;
    ensure!(connections(&bank, "green").await? > 0);

    ensure!(shop.pods().await? == pods, "restarted: {:?}", shop.pods().await?);
    load.all_served().await?;
    place.leave()
}

fn server() -> Result<Value> {
    let container = json!({
        "name": "postgres",
        "image": postgres()?,
        "command": ["sh", "-c", SERVER],
        "readinessProbe": {
            "periodSeconds": 1,
            "exec": {"command": ["pg_isready", "--host=/data", "--username=root"]},
        },
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "secret", "mountPath": "/secret"},
        ],
    });
    let mut server = pod("bank", 999, &[container]);
    server["spec"]["volumes"] = json!([
        {"name": "data", "emptyDir": {}},
        {"name": "secret", "secret": {"secretName": "bank", "optional": true}},
    ]);
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "bank"},
        "spec": {"selector": {"app": "bank"}, "ports": [{"port": 5432}]},
    });
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": [server, service]}))
}

fn secret(place: &Place, login: &str) -> Value {
    let url = format!("postgres://{login}@bank.{}:5432/shop", place.name);
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bank"}, "stringData": {"url": url}})
}

/// Says something to the server, as its owner; what it answers.
async fn psql(bank: &Shop, said: &str) -> Result<String> {
    let psql = "exec --stdin bank -- psql --host=/data --username=root --dbname=postgres --no-align --tuples-only";
    let words = format!("--namespace={} {psql} --set=ON_ERROR_STOP=1", bank.namespace);
    kubectl_with(&words, said).await
}

async fn connections(bank: &Shop, user: &str) -> Result<u32> {
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'");
    Ok(psql(bank, &count).await?.trim().parse()?)
}
