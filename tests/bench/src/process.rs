//! Processes: where they run, and what they have used.

use std::{
    collections::HashMap,
    fs,
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use storefront_testkit::measure::{Usage, cores};

const LIMIT: Duration = Duration::from_secs(60);

/// Where a process runs.
#[derive(Clone, Copy)]
pub enum Core {
    /// The last core, which it has for itself.
    Measured,
    /// Beside everything else.
    Other,
}

/// A process that ends with this value.
pub struct Process {
    child: Child,
}

impl Process {
    pub fn start(core: Core, words: &[&str], environment: &[(&str, String)]) -> Result<Self> {
        let mut command = match core {
            Core::Other => Command::new(words[0]),
            Core::Measured => {
                let mut command = Command::new("taskset");
                command.arg("--cpu-list").arg(last_core().to_string()).arg(words[0]);
                command
            }
        };
        let child = command
            .args(&words[1..])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if std::env::var_os("BENCH_LOGS").is_some() {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .spawn()
            .with_context(|| format!("could not start {}", words[0]))?;
        Ok(Self { child })
    }

    /// Waits until something listens there.
    pub fn listening(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            self.running()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "nobody listens at port {port} within {LIMIT:?}"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                anyhow::bail!("it ended with {status}; BENCH_LOGS=1 shows what it said")
            }
        }
    }

    /// With its children.
    pub fn usage(&self) -> Result<Usage> {
        let children = children()?;
        let mut family = vec![self.child.id()];
        let mut at = 0;
        while let Some(pid) = family.get(at) {
            family.extend(children.get(pid).into_iter().flatten());
            at += 1;
        }
        Usage::of(family)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // First as people stop it, so that nginx takes its worker with it.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all processes below this one have used that are called so, such as `java`.
pub fn usage_of(name: &str) -> Result<Usage> {
    let children = children()?;
    let mut family = vec![std::process::id()];
    let mut at = 0;
    while let Some(pid) = family.get(at) {
        family.extend(children.get(pid).into_iter().flatten());
        at += 1;
    }
    family.retain(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name)
    });
    Usage::of(family)
}

fn children() -> Result<HashMap<u32, Vec<u32>>> {
    let mut children = HashMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent =
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    Ok(children)
}

fn last_core() -> usize {
    cores() - 1
}

/// This process and all that it starts without a core of their own leave the last core alone.
pub fn keep_off_the_last_core() -> Result<()> {
    let last = last_core();
    anyhow::ensure!(
        last > 0,
        "the bench needs two cores: one for what is measured, one for the rest"
    );
    let status = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid"])
        .arg(format!("0-{}", last - 1))
        .arg(std::process::id().to_string())
        .stdout(Stdio::null())
        .status()
        .context("the bench needs taskset (Debian: util-linux)")?;
    anyhow::ensure!(status.success(), "taskset failed");
    Ok(())
}
