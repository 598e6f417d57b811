//! A namespace of a test. What happened in it is collected when the test does not come to its end.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Result;
use serde_json::Value;

use crate::kubectl::{ROOT, kubectl_with};

/// A namespace that enforces the `restricted` Pod Security Standard.
pub struct Place {
    pub name: String,
    done: bool,
}

impl Place {
    /// An empty one.
    pub async fn new(test: &str) -> Result<Self> {
        let name = format!("e2e-{test}");
        // What a run that was killed has left.
        remove(&name, true);
        kubectl_with("apply --filename=-", &restricted(&name)).await?;
        Ok(Self { name, done: false })
    }

    /// What else a test needs in it.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        let words = format!("apply --namespace={} --filename=-", self.name);
        kubectl_with(&words, &object.to_string()).await.map(drop)
    }

    /// The end of a test in which all went well.
    pub fn leave(mut self) -> Result<()> {
        self.done = true;
        Ok(())
    }
}

/// A namespace's manifest.
pub(crate) fn restricted(name: &str) -> String {
    let level = "pod-security.kubernetes.io";
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {
            format!("{level}/enforce"): "restricted",
            format!("{level}/enforce-version"): "latest",
        }},
    })
    .to_string()
}

/// Shops first: while the namespace goes, their operator could not say what it does.
fn remove(name: &str, wait: bool) {
    let kubectl = |words: &[&str]| {
        let mut command = Command::new("kubectl");
        let _ = command.args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    };
    let wait = format!("--wait={wait}");
    kubectl(&["delete", "storefronts", "--all", "--namespace", name, "--timeout=60s", &wait]);
    kubectl(&["delete", "namespace", name, "--ignore-not-found", "--timeout=120s", &wait]);
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.done {
            collect(&self.name);
        }
        remove(&self.name, false);
    }
}

/// Objects, Events and logs of a namespace and of the operator, as files.
#[expect(clippy::print_stdout, reason = "the harness shows it with a failed test")]
fn collect(namespace: &str) {
    let folder = PathBuf::from(ROOT).join("target/e2e").join(namespace);
    let _ = fs::create_dir_all(&folder);
    let keep = |file: &str, words: &[&str]| {
        let output = Command::new("kubectl").args(words).output();
        if let Ok(output) = output {
            let _ = fs::write(folder.join(file), [output.stdout, output.stderr].concat());
        }
    };
    let all = "all,storefronts,configmaps,persistentvolumeclaims,networkpolicies";
    keep("objects.yaml", &["get", all, "--namespace", namespace, "--output=yaml"]);
    keep("pods.txt", &["describe", "pods", "--namespace", namespace]);
    let by_time = "--sort-by=.metadata.creationTimestamp";
    keep("events.txt", &["get", "events", "--namespace", namespace, by_time, "--output=wide"]);
    for (namespace, name) in [(namespace, "log"), (crate::operator::NAMESPACE, "operator")] {
        let pods = ["get", "pods", "--namespace", namespace, "--output=name"];
        let Ok(pods) = Command::new("kubectl").args(pods).output() else { continue };
        for pod in String::from_utf8_lossy(&pods.stdout).lines() {
            let all = ["logs", pod, "--all-containers", "--timestamps", "--namespace", namespace];
            let file = pod.trim_start_matches("pod/");
            keep(&format!("{name}-{file}.txt"), &all);
            keep(&format!("{name}-{file}-before.txt"), &[&all[..], &["--previous"]].concat());
        }
    }
    println!("what happened in {namespace} is in {}", folder.display());
}
