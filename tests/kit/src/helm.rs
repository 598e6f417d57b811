//! Helm, which `make helm` builds: it templates, and installs into a [`Kubernetes`](crate::Kubernetes). And
//! definitions of others that its charts need.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;

use crate::jars::cache_folder;

/// The same as in the Makefile, which builds the one and fetches the other.
const VERSION_FOLDER: &str = "helm-3.22.0";
const MONITORING_FOLDER: &str = "monitoring-0.85.0";

/// Runs Helm, and answers with what it printed. It fails as Helm does, with what that said. Nothing of the
/// machine's own clusters, plugins or repositories is seen.
pub async fn helm(kubeconfig: Option<&Path>, words: &[&str]) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let own = |name: &str| home.path().join(name);
    let output = tokio::process::Command::new(helm_program()?)
        .args(words)
        .env("HELM_CACHE_HOME", own("cache"))
        .env("HELM_CONFIG_HOME", own("config"))
        .env("HELM_DATA_HOME", own("data"))
        .env("KUBECONFIG", kubeconfig.unwrap_or(Path::new("/dev/null")))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("could not run helm")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "helm {}: {printed}{said}", words.join(" "));
    Ok(printed.into_owned())
}

/// Folder with the definitions of the Prometheus operator, which `make definitions` fetches.
pub fn monitoring_definitions() -> anyhow::Result<PathBuf> {
    let folder = cache_folder()?.join(MONITORING_FOLDER);
    anyhow::ensure!(folder.is_dir(), "tests of the chart need more: run `make definitions`");
    Ok(folder)
}

/// Helm itself: from the cache, or from `PATH`.
pub fn helm_program() -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    [cache_folder()?.join(VERSION_FOLDER)]
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join("helm"))
        .find(|path| path.is_file())
        .context("tests of the chart need helm: run `make helm`, or put it into PATH")
}
