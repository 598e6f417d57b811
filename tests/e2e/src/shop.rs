//! One Storefront in a cluster, and what shoppers, owners and auditors do with it.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use storefront_testkit::{Http, eventually_some};

use crate::{
    Operator, Place,
    kubectl::{Forward, ROOT, kubectl, kubectl_json, kubectl_with, node, output},
};

/// From `kubectl apply` to a shop that sells, with the images there: 20 s on an idle machine of two cores.
const READY_LIMIT: Duration = Duration::from_secs(240);
/// For what was paid to be ordered and mailed, also after the longest back-off.
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

/// A shop with the demo's catalog.
pub struct Shop {
    pub namespace: String,
    pub name: String,
    /// The Service behind which its mails arrive, another one than the stand-in's own.
    pub inbox: Option<String>,
}

/// What the stand-ins have seen, and what the shop makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Sessions that were paid, by the stand-in for Stripe.
    pub paid: u64,
    pub payments: u64,
    pub orders: u64,
    /// Mails in the inbox, each counted once.
    pub mails: u64,
    /// Mails that came more than once.
    pub doubled: u64,
}

/// The operator, a place of its own for a test, and in it the demo's shop, which is ready.
pub async fn demo(test: &str) -> Result<(Operator, Place, Shop)> {
    let operator = Operator::installed().await?;
    let place = Place::new(test).await?;
    let shop = Shop::apply(&place.name, "demo").await?;
    shop.ready().await?;
    Ok((operator, place, shop))
}

impl Shop {
    /// Applies `examples/demo.yaml` under another name.
    pub async fn apply(namespace: &str, name: &str) -> Result<Self> {
        Self::apply_with(namespace, name, &json!({})).await
    }

    /// The same with other things in its `spec`: a merge patch.
    pub async fn apply_with(namespace: &str, name: &str, spec: &Value) -> Result<Self> {
        let demo = fs::read_to_string(format!("{ROOT}/examples/demo.yaml"))?;
        // The browser is told where this name leads.
        let url = format!("    publicUrl: http://{name}-gateway.{namespace}:8080");
        let manifest = demo.replacen("name: demo", &format!("name: {name}"), 1);
        let manifest = manifest.replacen("    pages: true", &format!("    pages: true\n{url}"), 1);
        ensure!(manifest.contains(&url), "the demo's gateway has no pages");
        let patch = json!({"spec": spec}).to_string();
        let words =
            ["patch", "--local", "--filename=-", "--type=merge", "--output=json", "--patch"];
        let manifest =
            output("kubectl", &[&words[..], &[patch.as_str()]].concat(), &manifest).await?;
        kubectl_with(&format!("apply --namespace={namespace} --filename=-"), &manifest).await?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), inbox: None })
    }

    /// An owner's edit of the Storefront.
    pub async fn patch(&self, patch: &Value) -> Result<()> {
        let (namespace, object) = (&self.namespace, format!("storefront/{}", self.name));
        let patch = patch.to_string();
        let words = ["patch", &object, "--namespace", namespace, "--type=merge", "--patch", &patch];
        output("kubectl", &words, "").await.map(drop)
    }

    /// Waits until it is ready, and says how long that took.
    pub async fn ready(&self) -> Result<Duration> {
        let began = Instant::now();
        self.wait("condition=Ready", &format!("storefront/{}", self.name), READY_LIMIT).await?;
        Ok(began.elapsed())
    }

    /// `kubectl wait` for an object of the shop.
    pub async fn wait(&self, what: &str, object: &str, limit: Duration) -> Result<()> {
        let limit = limit.as_secs();
        self.kubectl(&format!("wait --for={what} {object} --timeout={limit}s")).await.map(drop)
    }

    /// `kubectl` in the shop's namespace.
    pub async fn kubectl(&self, words: &str) -> Result<String> {
        kubectl(&format!("--namespace={} {words}", self.namespace)).await
    }

    /// The shop's pods: name, by which one can tell a new one, and how often its containers have restarted.
    pub async fn pods(&self) -> Result<BTreeMap<String, u64>> {
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        let namespace = &self.namespace;
        let pods = kubectl_json(&format!("get pods --namespace={namespace} --selector={selector}"))
            .await?;
        let pods = pods["items"].as_array().context("no pods")?;
        let restarts = |pod: &Value| {
            let statuses = pod["status"]["containerStatuses"].as_array();
            let counts =
                statuses.into_iter().flatten().filter_map(|it| it["restartCount"].as_u64());
            counts.sum::<u64>()
        };
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        Ok(pods.iter().map(|pod| (name(pod), restarts(pod))).collect())
    }

    /// Memory that each container really uses, in bytes, as the kubelet reads it from the cgroup.
    pub async fn memory(&self) -> Result<BTreeMap<String, u64>> {
        memory_of(&self.namespace).await
    }

    pub fn service(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// A way to one of its Services.
    pub async fn forward(&self, part: &str, port: u16) -> Result<Forward> {
        Forward::open(&self.namespace, &self.service(part), port).await
    }

    /// A shopper in Chromium, from the empty cart to the mail. The browser finds the shop under the name that
    /// it has in the cluster.
    pub async fn visit(&self) -> Result<()> {
        let forward = self.forward("gateway", 8080).await?;
        let host = format!("{}.{}:8080", self.service("gateway"), self.namespace);
        let said = node(
            "run.mjs",
            &json!({
                "gateway": format!("http://{host}"),
                "resolve": format!("MAP {host} {}", forward.address),
                "pictures": format!("{ROOT}/target/e2e/pictures"),
                "chromium": storefront_testkit::chromium()?,
                "group": "shop",
                "only": "paid",
            }),
        )
        .await?;
        let flows: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(!flows.is_empty(), "no flow has run");
        let failed: Vec<_> = flows.iter().filter(|flow| !flow["error"].is_null()).collect();
        ensure!(failed.is_empty(), "{failed:?}");
        Ok(())
    }

    /// Waits until all that was paid is ordered and mailed, once each; fails with what is missing or doubled.
    pub async fn settled(&self) -> Result<Ledger> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        loop {
            let ledger = self.ledger().await;
            let right = |l: &Ledger| {
                [l.payments, l.orders, l.mails].iter().all(|count| *count == l.paid)
                    && l.doubled == 0
            };
            match ledger {
                Ok(ledger) if right(&ledger) => return Ok(ledger),
                Ok(ledger) => {
                    ensure!(Instant::now() < deadline, "what was paid is not: {ledger:?}");
                }
                Err(error) => ensure!(Instant::now() < deadline, "no ledger: {error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn ledger(&self) -> Result<Ledger> {
        let http = Http::default();
        let get = async |service: &str, port, path: &str| -> Result<Value> {
            let forward = Forward::open(&self.namespace, service, port).await?;
            Ok(serde_json::from_slice(&http.get(forward.url(path)).await?.body)?)
        };
        let stand_in = self.service("sandbox");
        let sessions = get(&stand_in, 12111, "/control/sessions?state=paid&limit=1").await?;
        let figures = self.figures().await?;
        let inbox = self.inbox.as_ref().unwrap_or(&stand_in);
        let inbox = get(inbox, 8025, "/api/v1/messages?limit=10000").await?;
        let mut mails: BTreeMap<&str, u64> = BTreeMap::new();
        for mail in inbox["messages"].as_array().context("no messages")? {
            *mails.entry(mail["MessageID"].as_str().context("no Message-ID")?).or_default() += 1;
        }
        let number = |value: &Value| value.as_u64().context("no number");
        Ok(Ledger {
            paid: number(&sessions["counts"]["paid"])?,
            payments: number(&figures["payments"])?,
            orders: number(&figures["orders"])?,
            mails: u64::try_from(mails.len())?,
            doubled: mails.values().map(|count| count - 1).sum(),
        })
    }

    /// What analytics has counted.
    pub async fn figures(&self) -> Result<Value> {
        let forward = self.forward("analytics", 8003).await?;
        Ok(serde_json::from_slice(&Http::default().get(forward.url("/analytics")).await?.body)?)
    }

    /// How often what runs the shop was changed, by its owner or by its operator.
    pub async fn versions(&self) -> Result<BTreeMap<String, u64>> {
        let words = format!("get deployments,statefulsets --namespace={}", self.namespace);
        let found = kubectl_json(&words).await?;
        let found = found["items"].as_array().context("no objects")?.clone();
        let version = |object: &Value| {
            let name = object["metadata"]["name"].as_str()?.to_owned();
            Some((name, object["metadata"]["generation"].as_u64()?))
        };
        found.iter().map(|object| version(object).context("no generation")).collect()
    }
}

/// Memory of a namespace's containers, by container, in bytes.
pub(crate) async fn memory_of(namespace: &str) -> Result<BTreeMap<String, u64>> {
    let nodes = kubectl("get nodes --output=name").await?;
    let limit = Duration::from_secs(60);
    // The kubelet looks every ten seconds or so.
    eventually_some(limit, "memory of every container", async || {
        let mut found = BTreeMap::new();
        for node in nodes.lines().map(|node| node.trim_start_matches("node/")) {
            let path = format!("get --raw /api/v1/nodes/{node}/proxy/stats/summary");
            let summary: Value = serde_json::from_str(&kubectl(&path).await.ok()?).ok()?;
            let pods = summary["pods"].as_array()?.clone();
            for pod in pods.iter().filter(|pod| pod["podRef"]["namespace"] == namespace) {
                for container in pod["containers"].as_array().into_iter().flatten() {
                    let name = container["name"].as_str()?.to_owned();
                    found.insert(name, container["memory"]["workingSetBytes"].as_u64()?);
                }
            }
        }
        (!found.is_empty()).then(|| Ok(found.clone()))
    })
    .await
}
