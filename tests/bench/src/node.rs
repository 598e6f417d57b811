//! The twins in Node.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::process::{Core, Process};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// Fetches their libraries, once.
pub fn install() -> Result<()> {
    if Path::new(FOLDER).join("node_modules/.package-lock.json").exists() {
        return Ok(());
    }
    let status = Command::new("npm")
        .args(["ci", "--prefix", FOLDER, "--no-audit", "--no-fund", "--loglevel", "error"])
        .status()
        .context("the bench needs Node 20 with npm")?;
    anyhow::ensure!(status.success(), "npm ci failed");
    Ok(())
}

/// Runs one of them, on the core that is measured.
pub fn start(name: &str, environment: &[(&str, String)]) -> Result<Process> {
    let mut environment = environment.to_vec();
    environment.push(("NODE_ENV", "production".into()));
    Process::start(Core::Measured, &["node", &format!("{FOLDER}/{name}.js")], &environment)
}
