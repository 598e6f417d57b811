//! Pods of tests, as the `restricted` Pod Security Standard wants them.

use std::{env, fs};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A pod of this name that ends once; containers have a name, an image and more.
pub fn pod(name: &str, user: u32, containers: &[Value]) -> Value {
    let secured = containers.iter().map(|container| {
        let mut container = container.clone();
        container["securityContext"] = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
        container
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": user,
                "fsGroup": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": secured.collect::<Vec<_>>(),
        },
    })
}

/// The image of PostgreSQL, with its clients and a shell: this cluster's, or the public one.
pub fn postgres() -> Result<String> {
    let values = env::var_os("E2E_VALUES").context("E2E_VALUES is not set: run `make e2e`")?;
    let values: Value = serde_json::from_slice(&fs::read(values)?)?;
    let image = values["shopImages"]["postgres"]["image"].as_str();
    Ok(image.unwrap_or("docker.io/library/postgres:17").to_owned())
}
