//! HTTP load, by wrk.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use storefront_testkit::measure::Usage;

use crate::process::Process;

const SUMMARY: &str = include_str!("../load/summary.lua");
const WARM_UP_S: u32 = 2;

/// What came of it.
#[derive(Clone, Copy, Deserialize)]
pub struct Measured {
    pub requests: u64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// No connection, no answer, or not a 2xx or 3xx.
    pub failed: u64,
}

/// A load, and what the process that bore it used.
pub struct Busy {
    pub load: Measured,
    pub cpu_s: f64,
    /// All of its life until the load's end.
    pub end: Usage,
}

#[expect(clippy::cast_precision_loss, reason = "thousands of requests")]
impl Measured {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands of requests")]
impl Busy {
    pub fn measure(
        process: &Process,
        url: &str,
        script: &str,
        connections: u32,
        seconds: u32,
    ) -> Result<Self> {
        let before = process.usage()?;
        let load = load(url, script, connections, seconds)?;
        let end = process.usage()?;
        Ok(Self { load, cpu_s: end.cpu_s - before.cpu_s, end })
    }

    pub fn per_cpu_second(&self) -> f64 {
        self.load.requests as f64 / self.cpu_s
    }

    pub fn per_second(&self) -> f64 {
        self.load.per_second()
    }

    /// A request's share of something.
    pub fn each(&self, sum: f64) -> f64 {
        sum / self.load.requests as f64
    }
}

/// A load before the one that counts: caches, connections, just-in-time compilers.
pub fn warm_up(url: &str, script: &str, connections: u32) -> Result<()> {
    load(url, script, connections, WARM_UP_S).map(|_| ())
}

/// Asks again and again, on so many connections; `script` says what, in wrk's Lua.
pub fn load(url: &str, script: &str, connections: u32, seconds: u32) -> Result<Measured> {
    let measured = wrk(url, script, connections, seconds)?;
    anyhow::ensure!(
        measured.failed == 0,
        "{} of {} requests to {url} failed",
        measured.failed,
        measured.requests
    );
    Ok(measured)
}

fn wrk(url: &str, script: &str, connections: u32, seconds: u32) -> Result<Measured> {
    let file = tempfile::Builder::new().suffix(".lua").tempfile()?;
    fs::write(file.path(), format!("{script}\n{SUMMARY}"))?;
    let output = Command::new("wrk")
        .args([
            "--threads",
            "1",
            "--latency",
            "--timeout",
            "10s",
            "--connections",
            &connections.to_string(),
        ])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(file.path())
        .arg(url)
        .output()
        .context("the bench needs wrk (Debian: wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    let line =
        line.with_context(|| format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(serde_json::from_str(line)?)
}
