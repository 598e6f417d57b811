//! The keys that a shop has of others, of Stripe and of its mail server, are changed while people buy.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use storefront_e2e_tests::{Forward, Load, Operator, Place, Shop, demo, pod};
use storefront_testkit::{Authority, Http, eventually};

const LIMIT: Duration = Duration::from_secs(180);
const SMTP_PORT: u16 = 1025;
const INBOX_PORT: u16 = 8025;
const NEW_KEY: &str = "sk_test_4f0a9c1e7b52d638";
const NEW_WEBHOOK_SECRET: &str = "whsec_9d27f3b08c615ea4";

/// The key for Stripe's API and the secret that its events are signed with. The stand-in reads its own again, too, and takes both
/// keys for a while, as Stripe does.
#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn nobody_notices_new_keys_of_stripe() -> Result<()> {
    let (operator, place, shop) = demo("keys").await?;
    let pods = shop.pods().await?;
    let load = Load::start(&operator, &shop).await?;
    load.goes_on(10).await;
    let before = stand_in(&shop, "keys").await?;
    ensure!(before["keys"].as_array().is_some_and(|keys| keys.len() == 1), "{before}");

    let new = json!({"stringData": {"api-key": NEW_KEY, "webhook-secret": NEW_WEBHOOK_SECRET}});
    shop.kubectl(&format!("patch secret/demo-sandbox --patch={new}")).await?;
    // A kubelet looks at a pod that has changed, and else within a minute or two.
    shop.kubectl("annotate pods --all rotated=1").await?;
    eventually(LIMIT, "a call by the new key", async || {
        stand_in(&shop, "keys")
            .await
            .is_ok_and(|it| it["keys"].as_array().is_some_and(|keys| keys.len() == 2))
    })
    .await;
    // What was under way with the old one has ended.
    load.goes_on(5).await;
    let old_calls = async || -> Result<Value> {
        let told = stand_in(&shop, "keys").await?;
        Ok(told["keys"][1]["calls"].clone())
    };
    let calls = old_calls().await?;
    load.goes_on(20).await;
    ensure!(old_calls().await? == calls, "the old key is used on");

    load.all_served().await?;
    // Events that were signed by one secret and held against the other have come again.
    eventually(LIMIT, "an answer to each event", async || {
        stand_in(&shop, "webhooks").await.is_ok_and(|it| it["pending"] == 0 && it["failed"] == 0)
    })
    .await;
    ensure!(shop.pods().await? == pods, "restarted: {:?}", shop.pods().await?);
    place.leave()
}

/// What the stand-in for Stripe tells of itself.
async fn stand_in(shop: &Shop, what: &str) -> Result<Value> {
    let forward = shop.forward("sandbox", 12111).await?;
    Http::default().get(forward.url(&format!("/control/{what}"))).await?.expect_status(200)?.json()
}

/// The stand-in's inbox as a mail server elsewhere: it wants TLS, has its certificate from an authority of its own, and
/// tells of each mail whose login it came by.
#[tokio::test]
#[ignore = "needs a cluster: make e2e-full"]
async fn nobody_notices_a_new_login_at_the_mail_server() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("mail").await?;
    place.apply(&mail_server(&operator, &place)?).await?;
    place.apply(&login("blue")).await?;
    let smtp = json!({
        "host": format!("mail.{}", place.name),
        "port": SMTP_PORT,
        "tls": "implicit",
        "secretRef": {"name": "login"},
        "caSecretRef": {"name": "mail", "key": "ca.crt"},
    });
    let email = json!({"inbox": null, "smtp": smtp});
    let mut shop = Shop::apply_with(&place.name, "demo", &json!({"email": email})).await?;
    shop.inbox = Some("mail".into());
    shop.ready().await?;
    let pods = shop.pods().await?;
    let load = Load::start(&operator, &shop).await?;
    let newest_is = async |user: &str| {
        logins(&place).await.is_ok_and(|all| all.first().is_some_and(|newest| newest == user))
    };
    eventually(LIMIT, "a mail by the first login", async || newest_is("blue").await).await;

    place.apply(&login("green")).await?;
    shop.kubectl("annotate pods --all rotated=1").await?;
    eventually(LIMIT, "a mail by the second login", async || newest_is("green").await).await;
    // Mails that were under way with the first one have ended.
    load.goes_on(5).await;
    let by_blue = async || -> Result<usize> {
        Ok(logins(&place).await?.iter().filter(|user| *user == "blue").count())
    };
    let before = by_blue().await?;
    load.goes_on(20).await;
    ensure!(before > 0 && by_blue().await? == before, "the first login is used on");

    ensure!(shop.pods().await? == pods, "restarted: {:?}", shop.pods().await?);
    load.all_served().await?;
    place.leave()
}

fn mail_server(operator: &Operator, place: &Place) -> Result<Value> {
    let authority = Authority::new()?;
    let (certificate, key) = authority.certificate(&[&format!("mail.{}", place.name)])?;
    let listen = |name: &str, port: u16| json!({"name": name, "value": format!("0.0.0.0:{port}")});
    let container = json!({
        "name": "sandbox",
        "image": format!("{}/storefront-sandbox:{}", operator.registry, operator.tags[0]),
        "env": [
            listen("SANDBOX_SMTP_LISTEN", SMTP_PORT),
            listen("SANDBOX_INBOX_LISTEN", INBOX_PORT),
            {"name": "SANDBOX_SMTP_TLS_FILE", "value": "/tls/server.pem"},
        ],
        "readinessProbe": {"periodSeconds": 1, "tcpSocket": {"port": SMTP_PORT}},
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
    });
    let mut server = pod("mail", 65532, &[container]);
    server["spec"]["volumes"] = json!([{"name": "tls", "secret": {"secretName": "mail"}}]);
    let ports = [("smtp", SMTP_PORT), ("inbox", INBOX_PORT)];
    let ports = ports.map(|(name, port)| json!({"name": name, "port": port}));
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "mail"},
        "spec": {"selector": {"app": "mail"}, "ports": ports},
    });
    let tls = json!({"ca.crt": authority.pem(), "server.pem": certificate + &key});
    let items = [secret("mail", &tls), server, service];
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

fn login(user: &str) -> Value {
    secret("login", &json!({"username": user, "password": format!("{user}-9d27f3b08c")}))
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
}

/// By whose login each mail came, the newest first.
async fn logins(place: &Place) -> Result<Vec<String>> {
    let forward = Forward::open(&place.name, "mail", INBOX_PORT).await?;
    let url = forward.url("/api/v1/messages?limit=10000");
    let told = Http::default().get(url).await?.expect_status(200)?.json()?;
    let mails = told["messages"].as_array().context("no messages")?;
    let user = |mail: &Value| mail["Username"].as_str().unwrap_or_default().to_owned();
    Ok(mails.iter().map(user).collect())
}
