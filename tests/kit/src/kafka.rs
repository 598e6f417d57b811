//! A real Apache Kafka: one node, broker and controller in one JVM, tuned to start fast and stay small.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    folder::Folder,
    jars, ports,
    process::{Program, Slot, log_of},
    topics,
};

/// Loaded machines take long to start a JVM; a healthy one needs 4 s.
const START_LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// New ports are taken when another process was faster.
const START_ATTEMPTS: usize = 3;

/// A broker for tests; clones are the same broker, and it ends with the last one.
#[derive(Clone)]
pub struct Kafka {
    bootstrap: String,
    own: Option<Arc<Own>>,
}

struct Own {
    server: Slot,
    folder: Folder, // after the server: that one removes it, if there is one
}

impl Kafka {
    /// A broker that this test alone uses, and may kill.
    pub async fn private() -> anyhow::Result<Self> {
        let mut problem = anyhow::anyhow!("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let folder = Folder::new("kafka")?;
            let [client, controller] = ports::free()?;
            format(&folder, client, controller)?;
            let kafka = Self {
                bootstrap: format!("127.0.0.1:{client}"),
                own: Some(Arc::new(Own { server: Slot::default(), folder })),
            };
            match kafka.start().await {
                Ok(()) => return Ok(kafka),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    pub(crate) fn at(bootstrap: String) -> Self {
        Self { bootstrap, own: None }
    }

    /// For clients' `bootstrap.servers`; stays the same when it is killed and started again.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Starts a broker that was killed, with its data, and waits until it takes requests.
    pub async fn start(&self) -> anyhow::Result<()> {
        let own = self.own()?;
        own.server.start(&serve(&own.folder)?)?;
        let admin = topics::admin(&self.bootstrap)?;
        let deadline = Instant::now() + START_LIMIT;
        while !topics::would_create(&admin).await {
            own.server.check_running().context("Apache Kafka did not start")?;
            let log = || log_of(own.folder.path());
            anyhow::ensure!(
                Instant::now() < deadline,
                "Apache Kafka is not up in time:\n{}",
                log()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.own()?.server.kill()
    }

    /// Freezes it (`SIGSTOP`): connections stay open and nothing answers.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.own()?.server.signal("STOP")
    }

    /// Goes on after `pause`.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.own()?.server.signal("CONT")
    }

    fn own(&self) -> anyhow::Result<&Own> {
        self.own.as_deref().context("this broker belongs to other tests too: use Kafka::private()")
    }
}

fn java(words: &[&str]) -> anyhow::Result<Vec<String>> {
    let classes = format!("{}/*", jars::folder()?.display());
    let fixed = [
        "java",
        "-Xms64m",
        "-Xmx256m",
        // One compiler and the simplest collector: a second faster up, and a core left for the test.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        &classes,
    ];
    Ok(fixed.iter().chain(words).map(ToString::to_string).collect())
}

fn format(folder: &Folder, client: u16, controller: u16) -> anyhow::Result<()> {
    let settings = folder.text("server.properties");
    let text = include_str!("server.properties")
        .replace("{client}", &client.to_string())
        .replace("{controller}", &controller.to_string())
        .replace("{data}", &folder.text("data"));
    fs::write(&settings, text)?;
    let cluster = "AAAAAAAAAAAAAAAAAAAAAA"; // any 16 bytes in base64
    let words = java(&["kafka.tools.StorageTool", "format", "-t", cluster, "-c", &settings])?;
    let output = std::process::Command::new(&words[0])
        .args(&words[1..])
        .output()
        .context("tests against Apache Kafka need Java 17 (Debian: openjdk-17-jdk-headless)")?;
    anyhow::ensure!(
        output.status.success(),
        "Kafka's StorageTool failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn serve(folder: &Folder) -> anyhow::Result<Program<'_>> {
    Ok(Program {
        words: java(&["kafka.Kafka", &folder.text("server.properties")])?,
        environment: Vec::new(),
        folder: folder.path(),
        ended_by: "KILL",
    })
}
