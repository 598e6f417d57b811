//! What a user would measure: milestones by the API server's clock, which knows whole seconds, and starts by a watch.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use storefront_testkit::eventually_some;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{
    Shop,
    kubectl::{kubectl, kubectl_json},
};

const START_LIMIT: Duration = Duration::from_secs(60);

impl Shop {
    /// When each condition of the Storefront became true, in seconds from its creation, the first ones first.
    pub async fn milestones(&self) -> Result<Vec<(i64, String)>> {
        let words = format!("get storefront/{} --namespace={}", self.name, self.namespace);
        let found = kubectl_json(&words).await?;
        let created = seconds(&found["metadata"]["creationTimestamp"])?;
        let conditions = found["status"]["conditions"].as_array().context("no conditions")?;
        let mut reached = Vec::new();
        for condition in conditions.iter().filter(|condition| condition["status"] == "True") {
            let name = condition["type"].as_str().context("no type")?;
            reached.push((seconds(&condition["lastTransitionTime"])? - created, name.to_owned()));
        }
        reached.sort();
        Ok(reached)
    }
}

/// How long a pod took until it was ready.
pub struct Start {
    /// From the moment in which there was to be one: its place, its network and its volumes, too.
    pub of_pod: Duration,
    /// From the moment in which its program was started. Both are of clocks that are one where the node is this machine.
    pub of_program: Duration,
}

/// Deletes the one pod of a selector, and watches the next one come up. What the API server itself writes down are
/// whole seconds.
pub async fn start_anew(namespace: &str, selector: &str) -> Result<Start> {
    let shown = "jsonpath={.type} {.object.metadata.name} \
                 {.object.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}";
    let mut watch = Command::new("kubectl")
        .args(["get", "pods", "--watch", "--output-watch-events", "--namespace", namespace])
        .args(["--selector", selector, "--output", shown])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(watch.stdout.take().context("no output")?).lines();
    let watched = async {
        let first = lines.next_line().await?.with_context(|| format!("no pod {selector}"))?;
        let old = first.split(' ').nth(1).context("no name")?.to_owned();
        kubectl(&format!("delete pod {old} --namespace={namespace} --wait=false")).await?;
        let mut created = None;
        while let Some(line) = lines.next_line().await? {
            let mut words = line.split(' ').skip(1);
            let (name, ready) = (words.next().unwrap_or_default(), words.next());
            if name == old {
                continue;
            }
            let created = created.get_or_insert_with(Instant::now);
            if ready == Some("True") {
                let (of_pod, now) = (created.elapsed(), Timestamp::now());
                let of_program = now.duration_since(started(namespace, name).await?);
                return Ok(Start { of_pod, of_program: of_program.unsigned_abs() });
            }
        }
        bail!("the watch has ended")
    };
    let late = || format!("no pod {selector} became ready");
    tokio::time::timeout(START_LIMIT, watched).await.with_context(late)?
}

/// When a pod's container was started, by its kubelet, which knows more than it tells the API server.
async fn started(namespace: &str, pod: &str) -> Result<Timestamp> {
    let node = kubectl_json(&format!("get pod {pod} --namespace={namespace}")).await?;
    let node = node["spec"]["nodeName"].as_str().context("it is on no node")?;
    let path = format!("get --raw /api/v1/nodes/{node}/proxy/metrics/resource");
    let labels = format!("namespace=\"{namespace}\",pod=\"{pod}\"}}");
    eventually_some(START_LIMIT, "the start of a container", async || {
        let text = kubectl(&path).await.ok()?;
        let mut lines = text.lines().filter(|it| it.starts_with("container_start_time_seconds{"));
        let (_, values) = lines.find_map(|line| line.split_once(&labels))?;
        let seconds: f64 = values.split_whitespace().next()?.parse().ok()?;
        let since = SignedDuration::try_from_secs_f64(seconds).ok()?;
        Some(Timestamp::from_duration(since).map_err(Into::into))
    })
    .await
}

/// Of `2026-11-26T01:20:51Z`, as Kubernetes writes every time: seconds since some day.
fn seconds(time: &Value) -> Result<i64> {
    let time = time.as_str().context("no time")?;
    let time: Timestamp = time.parse()?;
    Ok(time.as_second())
}
