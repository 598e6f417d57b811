//! Several releases in one cluster: two operators never look after the same shops.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use storefront_testkit::{eventually, helm};

use crate::{
    CHART,
    operator::Operator,
    renders::objects,
    world::{HOME, LIMIT, MORE, RELEASE, SHOPS, World, demo},
};

/// Another release, which has not made the definition.
const WITHOUT_DEFINITION: &str = "crds.enabled=false";

/// What Helm says when it refuses.
fn said(refused: anyhow::Result<String>) -> String {
    let said = refused.unwrap_err().to_string();
    let from = said.find("release ").unwrap();
    said[from..].trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_would_look_after_the_same_shops_is_refused() {
    let world = World::new().await;
    let install = async |release: &str, namespace: &str, values: &str| {
        world.helm_in(namespace, &["install", release, CHART, "--set", values]).await
    };
    world.install("install", &[]).await.unwrap();
    let of_all = [
        said(install("two", MORE, WITHOUT_DEFINITION).await),
        said(install("two", MORE, "crds.enabled=true,watch.namespaces={shops}").await),
        said(install("two", MORE, "crds.enabled=false,watch.namespaces={shops}").await),
    ];
    // Of its own it sees nothing else.
    world.install("upgrade", &[]).await.unwrap();
    world.helm(&["uninstall", RELEASE]).await.unwrap();

    let chosen = "watch.namespaces={shops},rbac.aggregateToDefaultRoles=false";
    install("chosen", HOME, &format!("{WITHOUT_DEFINITION},{chosen}")).await.unwrap();
    let of_one = [
        said(install("two", MORE, WITHOUT_DEFINITION).await),
        said(install("two", MORE, &format!("{WITHOUT_DEFINITION},{chosen}")).await),
    ];
    // Each its own namespaces.
    let other = chosen.replace(SHOPS, MORE);
    install("other", MORE, &format!("{WITHOUT_DEFINITION},{other}")).await.unwrap();
    insta::assert_snapshot!([&of_all[..], &of_one[..]].concat().join("\n"));
}

/// As other tools render it, which do not ask the cluster.
async fn applied(world: &World, release: &str, namespace: &str) {
    let words = ["template", release, CHART, "--namespace", namespace, "--no-hooks"];
    let rendered =
        helm(None, &[&words[..], &["--set", WITHOUT_DEFINITION]].concat()).await.unwrap();
    for object in objects(&rendered) {
        world.apply(&object).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_releases_for_the_whole_cluster_one_waits() {
    let world = World::new().await;
    world.install("install", &[]).await.unwrap();
    applied(&world, "two", MORE).await;
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "default");
    let leads = async |pod: &str| {
        let lease = leases.get_opt("storefront-operator").await.unwrap();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        holder.is_some_and(|holder| holder.starts_with(&format!("{pod}_")))
    };
    let first = Operator::start(&world).await;
    eventually(LIMIT, "the first leads", async || leads("operator/storefront-operator-0").await)
        .await;
    let second = Operator::of(&world, MORE, "two-storefront-operator").await;
    world.comes_to(&demo(), "Progressing", "RollingOut").await;
    let user = format!("system:serviceaccount:{MORE}:two-storefront-operator");
    let asks_second = || {
        let requests = world.kubernetes.audit().unwrap().into_iter();
        let requests = requests.filter(|request| request["user"]["username"] == *user);
        requests.filter_map(|request| Some(request["objectRef"]["resource"].as_str()?.to_owned()))
    };
    eventually(LIMIT, "the second asks for the lease", async || asks_second().next().is_some())
        .await;
    let others: Vec<_> = asks_second().filter(|resource| resource != "leases").collect();
    assert_eq!(others, Vec::<String>::new(), "the second does more than wait");
    first.stop();
    eventually(LIMIT, "the second leads", async || leads("more/two-storefront-operator-0").await)
        .await;
    eventually(LIMIT, "the second works", async || {
        asks_second().any(|resource| resource == "storefronts")
    })
    .await;
    second.stop();
}
