//! A real PostgreSQL: a cluster of its own in a temporary folder, with a fresh database per test.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use url::Url;

use crate::{
    folder::Folder,
    ports,
    process::{Program, Slot, log_of},
};

mod installation;

pub use installation::Installation;

const START_LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// New ports are taken when another process was faster.
const START_ATTEMPTS: usize = 3;
const USER: &str = "storefront";

/// How a private cluster is run.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// Writes reach the disk before a commit returns. Off is faster, and `kill -9` loses nothing
    /// either way, as a commit always waits until the system has its bytes; only a machine's crash
    /// would.
    pub fsync: bool,
    /// Further settings, such as `("max_connections", "5")`.
    pub settings: Vec<(&'static str, &'static str)>,
}

/// A cluster for tests; clones are the same cluster, and it ends with the last one.
#[derive(Clone)]
pub struct Postgres {
    url: Url,
    own: Option<Arc<Own>>,
}

/// All databases of a cluster at one time.
#[derive(Debug)]
pub struct Backup(PathBuf);

struct Own {
    server: Slot,
    words: Vec<String>,
    folder: Folder, // after the server: that one removes it, if there is one
}

impl Postgres {
    /// A cluster that this test alone uses, and may kill.
    pub async fn private(options: &PostgresOptions) -> anyhow::Result<Self> {
        let mut problem = anyhow::anyhow!("no attempt was made");
        for _ in 0..START_ATTEMPTS {
            let postgres = Self::prepare(options)?;
            match postgres.start().await {
                Ok(()) => return Ok(postgres),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        Ok(Self { url: url.parse()?, own: None })
    }

    fn prepare(options: &PostgresOptions) -> anyhow::Result<Self> {
        let installation = Installation::find()?;
        let folder = Folder::new("postgres")?;
        installation.give(folder.path())?;
        let [port] = ports::free()?;
        let data = folder.text("data");
        let mut init = installation.server_program("initdb");
        init.extend(["-D", &data, "-U", USER, "--auth=trust", "--no-sync"].map(String::from));
        init.extend(["--encoding=UTF8", "--locale=C", "--no-instructions"].map(String::from));
        run(&init, folder.path()).context("could not make a PostgreSQL cluster")?;
        let words = words(&installation, options, &data, &folder.text(""), port);
        Ok(Self {
            url: format!("postgres://{USER}@127.0.0.1:{port}/postgres").parse()?,
            own: Some(Arc::new(Own { server: Slot::default(), words, folder })),
        })
    }

    /// The URL of the cluster's own database; tests take one from `database`.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Makes a new empty database and answers with its URL.
    pub async fn database(&self) -> anyhow::Result<String> {
        let name = format!("t{:016x}", fastrand::u64(..));
        self.run(self.url.as_str(), &format!("CREATE DATABASE {name}")).await?;
        let mut url = self.url.clone();
        url.set_path(&name);
        Ok(url.into())
    }

    /// Runs statements on a database of this cluster, as the user who may do everything.
    pub async fn run(&self, database_url: &str, sql: &str) -> anyhow::Result<()> {
        self.ask(database_url, sql).await.map(drop)
    }

    /// The one value that a query of such a database answers with.
    pub async fn ask(&self, database_url: &str, query: &str) -> anyhow::Result<String> {
        let (url, query) = (database_url.to_owned(), query.to_owned());
        tokio::task::spawn_blocking(move || psql(&url, &query)).await?
    }

    /// Starts a cluster that was killed, with its data, and waits until it takes queries.
    pub async fn start(&self) -> anyhow::Result<()> {
        let own = self.own()?;
        let deadline = Instant::now() + START_LIMIT;
        own.serve()?;
        loop {
            let url = self.url.to_string();
            if tokio::task::spawn_blocking(move || psql(&url, "SELECT 1")).await?.is_ok() {
                return Ok(());
            }
            let log = || log_of(own.folder.path());
            anyhow::ensure!(Instant::now() < deadline, "PostgreSQL is not up in time:\n{}", log());
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(ended) = own.server.check_running() {
                // Right after a kill the old backends may still hold the shared memory.
                let again = ended.to_string().contains("still in use");
                anyhow::ensure!(again, ended.context("PostgreSQL did not start"));
                own.serve()?;
            }
        }
    }

    /// `kill -9` of the postmaster; its children follow by themselves.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.own()?.server.kill()
    }

    /// Freezes the postmaster (`SIGSTOP`): new connections hang, those that are open go on.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.own()?.server.signal("STOP")
    }

    /// Goes on after `pause`.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.own()?.server.signal("CONT")
    }

    /// A copy of all databases as they are now, taken while they are used, beside the cluster's own files.
    pub async fn back_up(&self) -> anyhow::Result<Backup> {
        let own = self.own()?;
        let name = format!("backup-{:08x}", fastrand::u32(..));
        let folder = own.folder.path().join(name);
        let mut words = Installation::find()?.server_program("pg_basebackup");
        words.extend(["--wal-method=stream", "--checkpoint=fast", "--no-sync"].map(String::from));
        words.extend([format!("--dbname={}", self.url), "--pgdata".into()]);
        words.push(folder.to_string_lossy().into_owned());
        let place = own.folder.path().to_owned();
        tokio::task::spawn_blocking(move || run(&words, &place)).await?.context("a backup")?;
        Ok(Backup(folder))
    }

    /// Starts a cluster that was killed as it was at the time of a backup, which is used up.
    pub async fn restore(&self, Backup(folder): Backup) -> anyhow::Result<()> {
        let data = self.own()?.folder.path().join("data");
        std::fs::remove_dir_all(&data)?;
        std::fs::rename(folder, data)?;
        self.start().await
    }

    fn own(&self) -> anyhow::Result<&Own> {
        let shared = "this PostgreSQL belongs to other tests too: use Postgres::private()";
        self.own.as_deref().context(shared)
    }
}

impl Own {
    fn serve(&self) -> anyhow::Result<()> {
        let log = self.folder.path().join("stderr.log");
        if log.exists() {
            std::fs::write(log, "")?; // what an earlier start said is not this one's
        }
        self.server.start(&Program {
            words: self.words.clone(),
            // Messages in English whatever the machine speaks: one of them is looked for.
            environment: vec![("LC_ALL".into(), "C".into())],
            folder: self.folder.path(),
            ended_by: "QUIT", // immediate shutdown, with all its children
        })
    }
}

fn words(
    installation: &Installation,
    options: &PostgresOptions,
    data: &str,
    sockets: &str,
    port: u16,
) -> Vec<String> {
    let mut words = installation.server_program("postgres");
    words.extend(["-D", data, "-h", "127.0.0.1", "-k", sockets, "-p"].map(String::from));
    words.push(port.to_string());
    let sync = if options.fsync { "on" } else { "off" };
    let fixed = [
        ("fsync", sync),
        ("full_page_writes", sync),
        ("max_connections", "300"),
        ("shared_buffers", "32MB"),
    ];
    for (name, value) in fixed.iter().chain(&options.settings) {
        words.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    words
}

fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let words = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql];
    let mut words = words.map(String::from).to_vec();
    words[0] = Installation::find()?.program("psql");
    run(&words, Path::new("/"))
}

/// What it printed.
fn run(words: &[String], folder: &Path) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = Command::new(&words[0])
        .args(&words[1..])
        .env("PGCONNECT_TIMEOUT", "5")
        .current_dir(folder)
        .output()
        .with_context(|| format!("could not run {}", words[0]))?;
    anyhow::ensure!(status.success(), "{}", String::from_utf8_lossy(&stderr).trim());
    Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
}
