//! What a user would measure: times by the API server's clock, which knows whole seconds, and memory by the
//! kubelet's.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Shop, kubectl::kubectl_json};

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

/// Seconds from the start of a pod's last container to its readiness, by the label of its component.
pub async fn starts(namespace: &str) -> Result<BTreeMap<String, i64>> {
    let pods = kubectl_json(&format!("get pods --namespace={namespace}")).await?;
    let mut found = BTreeMap::new();
    for pod in pods["items"].as_array().context("no pods")? {
        let labels = &pod["metadata"]["labels"];
        let name = labels["app.kubernetes.io/component"].as_str();
        let name = name.or_else(|| labels["app.kubernetes.io/name"].as_str());
        let status = &pod["status"];
        let ready = status["conditions"].as_array().into_iter().flatten();
        let ready = ready.into_iter().find(|it| it["type"] == "Ready" && it["status"] == "True");
        let (Some(name), Some(ready)) = (name, ready) else { continue };
        let started = &status["containerStatuses"][0]["state"]["running"]["startedAt"];
        let took = seconds(&ready["lastTransitionTime"])? - seconds(started)?;
        found.insert(name.to_owned(), took);
    }
    Ok(found)
}

/// Of `2026-11-26T01:20:51Z`, as Kubernetes writes every time: seconds since some day.
fn seconds(time: &Value) -> Result<i64> {
    let time = time.as_str().context("no time")?;
    let time: jiff::Timestamp = time.parse()?;
    Ok(time.as_second())
}
