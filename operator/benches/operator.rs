//! How long shops take to be applied, beside `kubectl apply --server-side` of the same objects, and what the
//! operator uses meanwhile and at rest. `make bench-operator` runs it; real etcd and kube-apiserver, no nodes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends with what went wrong")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use clap::Parser;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use storefront_operator::{
    Storefront, crd,
    plan::{Placement, plan},
    render::{Apis, Generated, Input, Options, render, yaml},
};
use storefront_testkit::{
    Kubernetes, define,
    measure::{Usage, machine, write_section},
};
use tokio::process::Child;

const LIMIT: Duration = Duration::from_secs(1800);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Storefronts that are applied at the same time.
const AT_ONCE: usize = 16;
/// Shops that are applied one after the other, while nothing else happens.
const SINGLE: usize = 20;
/// The two sides take turns, so that what else the machine does meets both.
const ROUNDS: usize = 5;
const REST: Duration = Duration::from_secs(60);
/// What is measured.
#[derive(Parser)]
struct Arguments {
    /// How many Storefronts: a multiple of 5.
    #[arg(long, default_value_t = 200)]
    shops: usize,
    /// In so many namespaces: a multiple of 5.
    #[arg(long, default_value_t = 20)]
    namespaces: usize,
    /// Writes the table into this file, in place of the section that it has.
    #[arg(long)]
    into: Option<PathBuf>,
    /// Cargo says so.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments = Arguments::parse();
    let kubernetes = Kubernetes::private().await.unwrap();
    let client = kubernetes.client().unwrap();
    define(&client, &crd::definition().unwrap()).await.unwrap();
    let (shops, folders) = (arguments.shops, arguments.namespaces);
    let objects =
        storefronts("by-kubectl", 1, 1).iter().map(|shop| objects(shop).len()).sum::<usize>();

    let mut operator = Operator::start(&kubernetes);
    let single = one_by_one(&client).await;
    println!("one by one: {single:?}");
    let empty = operator.usage().memory_mb;
    let (mut by_kubectl, mut by_operator) = (0.0, 0.0);
    for round in 0..ROUNDS {
        drop(operator);
        let of =
            |who: &str| storefronts(&format!("{who}-{round}"), shops / ROUNDS, folders / ROUNDS);
        let seconds = kubectl(&kubernetes, &client, &of("by-kubectl")).await;
        println!("kubectl: {seconds:.1} s");
        by_kubectl += seconds;
        operator = Operator::start(&kubernetes);
        // It leads when it has done something, and has looked at all that was there when it rests.
        all_at_once(&client, &storefronts(&format!("leads-{round}"), 1, 1)).await;
        operator.rests().await;
        let seconds = all_at_once(&client, &of("shops")).await;
        println!("operator: {seconds:.1} s");
        by_operator += seconds;
    }
    let shops = shops / ROUNDS * ROUNDS;
    let memory = operator.usage().memory_mb;
    let before = operator.usage().cpu_s;
    tokio::time::sleep(REST).await;
    let rest = (operator.usage().cpu_s - before) / REST.as_secs_f64() * 100.0;

    let rows = [
        (
            "a new Storefront, until each of its objects is applied and its status says so",
            format!(
                "median {:.2} s, slowest {:.2} s of {SINGLE}",
                single[SINGLE / 2],
                single[SINGLE - 1]
            ),
        ),
        (
            "all Storefronts applied at once, until the same",
            format!(
                "{by_operator:.1} s, {:.0} objects a second",
                per_second(shops * objects, by_operator)
            ),
        ),
        (
            "`kubectl apply --server-side` of the same objects",
            format!(
                "{by_kubectl:.1} s, {:.0} objects a second",
                per_second(shops * objects, by_kubectl)
            ),
        ),
        ("ratio", format!("{:.2}", by_operator / by_kubectl)),
        (
            "resident memory of the operator",
            format!("{memory:.0} MB, and {empty:.0} MB with {SINGLE} shops"),
        ),
        ("CPU of the operator at rest", format!("{rest:.1} % of one core")),
    ];
    let rows = rows.map(|(what, measured)| format!("| {what} | {measured} |\n")).concat();
    let table = format!(
        "## The operator\n\n`make bench-operator` with {shops} Storefronts of {objects} objects each in {folders} \
         namespaces, {}, in {ROUNDS} rounds that the sides begin in turn, on {} that the API server and etcd share.\n\n| what | measured |\n|---|---|\n{rows}",
        profile(),
        machine()
    );
    println!("\n{table}");
    if let Some(path) = arguments.into {
        write_section(&path, &table).unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "built without optimization" } else { "built for release" }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < end, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The demo shop under many names, spread over namespaces.
fn storefronts(prefix: &str, count: usize, namespaces: usize) -> Vec<Storefront> {
    let shop = |number: usize| {
        serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {
                "name": format!("shop-{number}"),
                "namespace": format!("{prefix}-{}", number % namespaces),
            },
            "spec": {"payment": {"sandbox": {}}, "services": {"order": {"replicas": 2}}},
        }))
        .unwrap()
    };
    (0..count).map(shop).collect()
}

async fn make_namespaces(client: &Client, shops: &[Storefront]) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in shops.iter().filter_map(ResourceExt::namespace) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        namespaces
            .patch(&name, &PatchParams::apply("bench"), &Patch::Apply(&object))
            .await
            .unwrap();
    }
}

/// What the operator makes of one, ready for kubectl.
fn objects(shop: &Storefront) -> Vec<storefront_operator::render::Object> {
    let mut shop = shop.clone();
    shop.metadata.uid = Some(uuid::Uuid::new_v4().to_string());
    let placement = Placement::cluster(&shop, &shop.namespace().unwrap()).unwrap();
    render(&Input {
        storefront: &shop,
        plan: &plan(&shop, &placement).unwrap(),
        placement: &placement,
        options: &Options::default(),
        generated: &Generated::placeholders(),
        apis: &Apis::default(),
    })
}

/// Seconds that kubectl takes for the objects of all shops, in one call.
async fn kubectl(kubernetes: &Kubernetes, client: &Client, shops: &[Storefront]) -> f64 {
    make_namespaces(client, shops).await;
    let all: Vec<_> = shops.iter().flat_map(objects).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), yaml(&all).unwrap()).unwrap();
    let began = Instant::now();
    let status = Command::new("kubectl")
        .args(["apply", "--server-side", "--filename"])
        .arg(file.path())
        .env("KUBECONFIG", kubernetes.kubeconfig().unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("the bench needs kubectl").success(), "kubectl failed");
    began.elapsed().as_secs_f64()
}

async fn apply(client: &Client, shop: &Storefront) {
    let api: Api<Storefront> = Api::namespaced(client.clone(), &shop.namespace().unwrap());
    let apply = PatchParams::apply("bench");
    api.patch(&shop.name_any(), &apply, &Patch::Apply(shop)).await.unwrap();
}

/// The status is written when everything is applied.
fn is_applied(shop: &Storefront) -> bool {
    let status = shop.status.as_ref();
    status.is_some_and(|status| status.observed_generation == shop.metadata.generation)
}

/// Seconds of each, the fastest first.
async fn one_by_one(client: &Client) -> Vec<f64> {
    let shops = storefronts("single", SINGLE, 1);
    make_namespaces(client, &shops).await;
    let mut seconds = Vec::new();
    for shop in &shops {
        let api: Api<Storefront> = Api::namespaced(client.clone(), &shop.namespace().unwrap());
        let began = Instant::now();
        apply(client, shop).await;
        while !is_applied(&api.get(&shop.name_any()).await.unwrap()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// Seconds until all are applied.
async fn all_at_once(client: &Client, shops: &[Storefront]) -> f64 {
    make_namespaces(client, shops).await;
    let began = Instant::now();
    stream::iter(shops).for_each_concurrent(AT_ONCE, |shop| apply(client, shop)).await;
    let all: Api<Storefront> = Api::all(client.clone());
    until("all are applied", async || {
        all.list(&ListParams::default()).await.is_ok_and(|list| list.iter().all(is_applied))
    })
    .await;
    began.elapsed().as_secs_f64()
}

/// The program itself; it ends with this value, and gives its Lease back.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let process = self.0.id().unwrap().to_string();
        Command::new("kill").arg(process).status().unwrap();
        while self.0.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Operator {
    fn start(kubernetes: &Kubernetes) -> Self {
        let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_storefront-operator"))
            .args(["--listen", "127.0.0.1:0"])
            .env("KUBECONFIG", kubernetes.kubeconfig().unwrap())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        Self(child.unwrap())
    }

    fn usage(&self) -> Usage {
        Usage::of(self.0.id()).unwrap()
    }

    /// Waits until it uses less than a tenth of a core.
    async fn rests(&self) {
        until("the operator rests", async || {
            let before = self.usage().cpu_s;
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.usage().cpu_s - before < 0.1
        })
        .await;
    }
}
