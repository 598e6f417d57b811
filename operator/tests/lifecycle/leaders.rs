//! Two operators, each a process of its own and a user of its own to the API server, whose audit log says who
//! wrote what and when.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease};
use kube::api::DeleteParams;
use serde_json::Value;
use storefront_testkit::Kubernetes;
use tokio::process::{Child, Command};

use crate::{
    abort::both,
    state::{assert_same, state, without_kept},
    world::{Place, kubernetes, until},
};

const LEASE: &str = "storefront-operator";

/// The program itself; it is killed when it is dropped.
fn start(kubernetes: &Kubernetes, place: &Place, user: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_storefront-operator"))
        .args(["--namespace", &place.namespace, "--lease-namespace", &place.namespace])
        .args(["--identity", user, "--listen", "127.0.0.1:0", "--watch-secrets"])
        .env("KUBECONFIG", kubernetes.kubeconfig_of_user(user).unwrap())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
}

async fn leads(place: &Place, user: &str) {
    until(&format!("{user} leads"), async || {
        let lease = place.api::<Lease>().get_opt(LEASE).await.unwrap();
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        holder.is_some_and(|holder| holder.starts_with(&format!("{user}_")))
    })
    .await;
}

/// When a user's changes in the namespace were asked for, but for those of the lease.
fn changes(kubernetes: &Kubernetes, place: &Place, user: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let audit = kubernetes.audit().unwrap();
    let ours = audit.iter().filter(|change| {
        change["user"]["username"] == user
            && change["objectRef"]["namespace"] == *place.namespace
            && change["objectRef"]["resource"] != "leases"
    });
    ours.map(|change| text(&change["requestReceivedTimestamp"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_writes_nothing_when_it_goes_on() {
    let kubernetes = kubernetes().await;
    let place = Place::new().await;
    let both = both().await;
    let mut first = start(&kubernetes, &place, "first");
    leads(&place, "first").await;
    let mut second = start(&kubernetes, &place, "second");
    place.apply(&both[0].0).await;
    until("the shop is installed", async || state(&place).await == both[0].1).await;
    // In the middle of an edit it stands still.
    place.apply(&both[1].0).await;
    let before = changes(&kubernetes, &place, "first").len();
    until("the edit has begun", async || changes(&kubernetes, &place, "first").len() > before)
        .await;
    signal(&first, "STOP").await;
    let began = Instant::now();
    leads(&place, "second").await;
    let taken_over = began.elapsed();
    println!("taken over after {taken_over:?}");
    assert!(taken_over > Duration::from_secs(5), "the lease had not ended: {taken_over:?}");
    let (spec, fresh) = &both[1];
    let is_done = async || without_kept(state(&place).await, fresh) == *fresh;
    until(&format!("the edit is finished: {spec}"), is_done).await;
    // There is something to repair when it goes on, and one who does.
    let written = changes(&kubernetes, &place, "first").len();
    place.api::<Deployment>().delete("demo-payment", &DeleteParams::default()).await.unwrap();
    signal(&first, "CONT").await;
    until("the deployment is back", is_done).await;
    let ended = tokio::time::timeout(Duration::from_secs(60), first.wait()).await;
    assert!(!ended.unwrap().unwrap().success(), "whoever has lost the lease starts anew");
    assert_same(&without_kept(state(&place).await, fresh), fresh, "after the stopped one went on");

    let (firsts, seconds) =
        (changes(&kubernetes, &place, "first"), changes(&kubernetes, &place, "second"));
    assert_eq!(firsts.len(), written, "the stopped one wrote when it went on");
    let (last, next) = (firsts.iter().max().unwrap(), seconds.iter().min().unwrap());
    assert!(last < next, "two wrote at a time: until {last}, and from {next}");

    // One who is asked to end gives the lease back: nobody waits for its end.
    let third = start(&kubernetes, &place, "first");
    signal(&second, "TERM").await;
    let began = Instant::now();
    leads(&place, "first").await;
    println!("handed over after {:?}", began.elapsed());
    assert!(second.wait().await.unwrap().success());
    drop(third);
}
