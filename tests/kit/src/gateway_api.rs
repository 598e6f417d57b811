//! The definitions of the Gateway API, as its Go module has them.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

const MODULE: &str = "sigs.k8s.io/gateway-api@v1.4.0";
const FOLDER: &str = "config/crd/standard";

/// `CustomResourceDefinition`s of these plurals, such as `httproutes`, in YAML. Go fetches and checks the
/// module once and keeps it.
pub fn gateway_api(plurals: &[&str]) -> anyhow::Result<Vec<String>> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", MODULE])
        .output()
        .context("tests against the Gateway API need Go")?;
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let module = found["Dir"].as_str().with_context(|| format!("Go has no {MODULE}: {found}"))?;
    let folder = PathBuf::from(module).join(FOLDER);
    let read = |plural: &&str| {
        let file = folder.join(format!("gateway.networking.k8s.io_{plural}.yaml"));
        fs::read_to_string(&file).with_context(|| file.display().to_string())
    };
    plurals.iter().map(read).collect()
}
