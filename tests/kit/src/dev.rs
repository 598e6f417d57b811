//! `storefront dev` as a person runs it: a child process with real ports and a data folder, which can
//! be killed and started again.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;

use crate::{
    folder::Folder,
    ports,
    process::{Program, Supervised, log_of},
};

const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The flags of the listeners, in the order of `Ready::listeners`.
const LISTEN_FLAGS: [&str; 6] = [
    "--listen",
    "--kafka-listen",
    "--sandbox-listen",
    "--inbox-listen",
    "--smtp-listen",
    "--console-listen",
];
/// Flags of `storefront dev` that have it listen on ports which are free.
pub const FREE_PORTS: [&str; 2 * LISTEN_FLAGS.len()] = {
    let mut flags = [":0"; 2 * LISTEN_FLAGS.len()];
    let mut number = 0;
    while number < LISTEN_FLAGS.len() {
        flags[2 * number] = LISTEN_FLAGS[number];
        number += 1;
    }
    flags
};

/// What to start.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The manifest, as a path or as text that begins with `apiVersion`.
    pub manifest: String,
    /// Further flags, such as `--without order`. They may change between starts: `Dev::options`.
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
}

impl DevOptions {
    pub fn new(manifest: impl Into<String>) -> Self {
        Self { manifest: manifest.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(ToString::to_string));
        self
    }
}

/// What `--output json` says when everything is up.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// `http://IP:PORT`, without a slash at the end, as are `sandbox`, `inbox` and `console`.
    pub gateway: String,
    /// For clients' `bootstrap.servers`.
    pub kafka: String,
    pub sandbox: String,
    pub inbox: String,
    /// `IP:PORT`.
    pub smtp: String,
    pub console: String,
    /// Each service's own address (health, metrics and what it serves) as the program tells it.
    pub services: BTreeMap<String, Value>,
}

/// A running (or killed) `storefront dev`.
pub struct Dev {
    /// May be changed before a restart.
    pub options: DevOptions,
    ready: Ready,
    program: PathBuf,
    server: Option<Supervised>,
    folder: Folder, // after the server: that one removes it, if there is one
}

impl Dev {
    /// Starts the program beside the test's own, on free ports with an empty data folder, and waits
    /// until it says that it is ready.
    pub async fn start(options: DevOptions) -> anyhow::Result<Self> {
        Self::start_program(built_program()?, options).await
    }

    /// The same with another program.
    pub async fn start_program(program: PathBuf, options: DevOptions) -> anyhow::Result<Self> {
        let (ready, folder) = (Ready::default(), Folder::new("dev")?);
        let mut dev = Self { options, ready, program, server: None, folder };
        dev.restart().await?;
        Ok(dev)
    }

    /// Starts again after `kill` or `stop`: same data, same ports, the options as they are now.
    pub async fn restart(&mut self) -> anyhow::Result<&Ready> {
        anyhow::ensure!(self.server.is_none(), "it runs already");
        let words = self.words()?;
        let stdout = self.folder.path().join("stdout.log");
        fs::write(&stdout, "")?;
        let mut server = Supervised::start(&Program {
            words,
            environment: self.options.environment.clone(),
            folder: self.folder.path(),
            ended_by: "KILL",
        })?;
        let deadline = Instant::now() + START_LIMIT;
        self.ready = loop {
            let said = fs::read_to_string(&stdout)?;
            if let Some(ready) = said.lines().find_map(read_ready) {
                break ready;
            }
            server.check_running().context("storefront dev did not start")?;
            let in_time = Instant::now() < deadline;
            anyhow::ensure!(in_time, "storefront dev is not ready in time:\n{}", server.log());
            tokio::time::sleep(LOOK_EVERY).await;
        };
        self.server = Some(server);
        Ok(&self.ready)
    }

    fn words(&self) -> anyhow::Result<Vec<String>> {
        let manifest = if self.options.manifest.starts_with("apiVersion") {
            let path = self.folder.text("manifest.yaml");
            fs::write(&path, &self.options.manifest)?;
            path
        } else {
            self.options.manifest.clone()
        };
        let program = self.program.to_string_lossy().into_owned();
        let mut words = vec![program, "dev".into(), manifest, "--output".into(), "json".into()];
        words.extend(["--data".into(), self.folder.text("data")]);
        for (flag, address) in LISTEN_FLAGS.iter().zip(self.ready.listeners()?) {
            words.extend([(*flag).to_owned(), address]);
        }
        words.extend(self.options.arguments.iter().cloned());
        Ok(words)
    }

    /// Where it listens now.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// A URL of the gateway: `dev.url("/catalog")`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.ready.gateway)
    }

    /// The folder given with `--data`; stays over restarts.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The process, for measurements in `/proc`.
    pub fn process_id(&self) -> anyhow::Result<u32> {
        Ok(self.server.as_ref().context("it does not run")?.id())
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.server.take().context("it does not run")?.kill()
    }

    /// Waits until it ends by itself, and says how.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        let server = self.server.as_mut().context("it does not run")?;
        while server.check_running().is_ok() {
            anyhow::ensure!(Instant::now() < deadline, "storefront dev still runs after {limit:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.server.take().context("it does not run")?.wait()
    }

    /// Ctrl-C: ends it cleanly; fails when it does not end with success in time.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop_by("INT").await
    }

    /// As `stop`, by another signal such as `TERM`.
    pub async fn stop_by(&mut self, signal: &str) -> anyhow::Result<()> {
        let mut server = self.server.take().context("it does not run")?;
        server.signal(signal)?;
        let deadline = Instant::now() + STOP_LIMIT;
        while server.check_running().is_ok() {
            let in_time = Instant::now() < deadline;
            anyhow::ensure!(in_time, "storefront dev does not end:\n{}", server.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let status = server.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}:\n{}", self.log());
        Ok(())
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        log_of(self.folder.path())
    }
}

impl Drop for Dev {
    #[expect(clippy::print_stdout, reason = "the harness shows it with a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("--- the end of storefront dev's log\n{}", self.log());
        }
    }
}

impl Ready {
    /// The addresses to listen on at the next start; at the first, ports that no outgoing connection takes while it is
    /// killed.
    fn listeners(&self) -> anyhow::Result<[String; 6]> {
        let Self { gateway, kafka, sandbox, inbox, smtp, console, .. } = self;
        let said = [gateway, kafka, sandbox, inbox, smtp, console];
        let mut free = ports::free::<6>()?.into_iter();
        Ok(said.map(|address| {
            let address = address.trim_start_matches("http://").parse::<SocketAddr>();
            let port = free.next().unwrap_or_default();
            address.map_or_else(|_| format!("127.0.0.1:{port}"), |address| address.to_string())
        }))
    }
}

fn read_ready(line: &str) -> Option<Ready> {
    let value: Value = serde_json::from_str(line).ok()?;
    value["ready"].as_bool().filter(|ready| *ready)?;
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let base = |name: &str| {
        let text = text(name);
        let text = text.trim_end_matches('/');
        let bare = text.is_empty() || text.starts_with("http://");
        if bare { text.to_owned() } else { format!("http://{text}") }
    };
    let services = value["services"].as_object().cloned().unwrap_or_default();
    Some(Ready {
        gateway: base("gateway"),
        kafka: text("kafka"),
        sandbox: base("sandbox"),
        inbox: base("inbox"),
        smtp: text("smtp").trim_start_matches("smtp://").to_owned(),
        console: base("console"),
        services: services.into_iter().collect(),
    })
}

/// `target/debug/storefront` beside `target/debug/deps/this-test`. Cargo builds it with the workspace
/// but not for the tests of a single other package.
pub fn built_program() -> anyhow::Result<PathBuf> {
    built("storefront")
}

/// The same for any program of the workspace; whoever asks may be a program or a test.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let own = env::current_exe()?;
    let mut folders = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    let program = folders.find(|program| program.is_file());
    program.with_context(|| {
        format!(
            "{name} is not built beside {}: run `cargo build --workspace --all-features`",
            own.display()
        )
    })
}
