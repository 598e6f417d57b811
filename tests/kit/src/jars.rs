//! Apache Kafka's jars, fetched from Maven Central once into the user's cache folder.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

const POM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kafka/pom.xml");
const FOLDER: &str = "kafka-4.1.0";

/// The folder with the jars. Test processes that start together fetch once, under a lock.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let cache = cache_folder()?;
    let jars = cache.join(FOLDER);
    if jars.is_dir() {
        return Ok(jars);
    }
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join(format!("{FOLDER}.lock")))?;
    lock.lock()?;
    if !jars.is_dir() {
        let partial = cache.join(format!("{FOLDER}.partial"));
        fetch(&partial)?;
        fs::rename(&partial, &jars)?;
    }
    Ok(jars)
}

fn fetch(into: &Path) -> anyhow::Result<()> {
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file", POM, "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", into.display()))
        .output()
        .context("tests against Apache Kafka need Maven and Java 17 (Debian: maven, openjdk-17-jdk-headless)")?;
    anyhow::ensure!(
        output.status.success(),
        "Maven could not fetch Apache Kafka:\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}

/// Where what was fetched or built for tests is kept between runs.
pub(crate) fn cache_folder() -> anyhow::Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("storefront"))
}
