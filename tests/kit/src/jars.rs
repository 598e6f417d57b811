//! Apache Kafka's jars, fetched from Maven Central once into the user's cache folder.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

const POM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kafka/pom.xml");
/// What tests use that do not ask for another one.
const RELEASE: &str = "4.1.0";

/// The folder with the jars that brokers of tests run.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    kafka_jars(RELEASE)
}

/// The folder with the jars of a release, such as `4.0.1`. Test processes that start together fetch once,
/// under a lock.
pub fn kafka_jars(release: &str) -> anyhow::Result<PathBuf> {
    let cache = cache_folder()?;
    let name = format!("kafka-{release}-with-tools");
    let jars = cache.join(&name);
    if jars.is_dir() {
        return Ok(jars);
    }
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !jars.is_dir() {
        let partial = cache.join(format!("{name}.partial"));
        fetch(release, &partial)?;
        fs::rename(&partial, &jars)?;
    }
    Ok(jars)
}

fn fetch(release: &str, into: &Path) -> anyhow::Result<()> {
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file", POM, "dependency:copy-dependencies"])
        .arg(format!("-Dkafka.version={release}"))
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
