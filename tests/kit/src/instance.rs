//! One instance of a service as a process of its own, which a test kills and starts again at the same addresses.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;

use crate::{
    Http, built,
    folder::Folder,
    process::{Program, Slot, log_of},
};

/// A service of a build for tests, started on two busy cores.
const READY_LIMIT: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// It ends with the test process, whichever way that ends; clones are the same one.
#[derive(Clone)]
pub struct Instance {
    own: Arc<Own>,
}

struct Own {
    name: String,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    http_port: u16,
    /// A foreign program has none.
    admin_port: Option<u16>,
    slot: Slot,
    folder: Folder, // after the server: that one removes it
}

impl Instance {
    /// The program `storefront-<service>` that was built beside this one, for two ports that are free, with the settings that every
    /// service has and these more. `name` is for people. It does not run yet.
    pub fn at(
        [http_port, admin_port]: [u16; 2],
        service: &str,
        name: &str,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let all = [("HTTP_LISTEN", at(http_port)), ("ADMIN_LISTEN", at(admin_port))];
        let all = all.iter().chain(settings);
        let words = vec![built(&format!("storefront-{service}"))?.to_string_lossy().into_owned()];
        Self::new(name, words, all, http_port, Some(admin_port))
    }

    /// A foreign program that serves at a port, if it serves. Nobody can ask whether it is ready: that it runs is all.
    pub fn of(
        words: Vec<String>,
        http_port: u16,
        name: &str,
        settings: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        Self::new(name, words, settings.iter(), http_port, None)
    }

    fn new<'a>(
        name: &str,
        words: Vec<String>,
        settings: impl Iterator<Item = &'a (&'a str, String)>,
        http_port: u16,
        admin_port: Option<u16>,
    ) -> anyhow::Result<Self> {
        let environment = settings.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let own = Own {
            name: name.to_owned(),
            words,
            environment: environment.collect(),
            http_port,
            admin_port,
            slot: Slot::default(),
            folder: Folder::new(name)?,
        };
        Ok(Self { own: Arc::new(own) })
    }

    pub fn name(&self) -> &str {
        &self.own.name
    }

    /// Where it serves: `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.own.http_port)
    }

    /// A URL of its admin port.
    pub fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.own.admin_port.unwrap_or_default())
    }

    /// Starts it, and waits for nothing.
    pub fn start(&self) -> anyhow::Result<()> {
        let Own { name, words, environment, slot, folder, .. } = &*self.own;
        let (words, environment) = (words.clone(), environment.clone());
        let program = Program { words, environment, folder: folder.path(), ended_by: "KILL" };
        slot.start(&program).with_context(|| name.clone())
    }

    /// Waits until it says that it is ready; fails when it has ended instead.
    pub async fn ready(&self, http: &Http) -> anyhow::Result<()> {
        let wait = async {
            loop {
                self.own.slot.check_running().with_context(|| self.name().to_owned())?;
                if self.own.admin_port.is_none() {
                    return Ok(());
                }
                let asked = http.get(self.admin("/readyz")).await;
                if asked.is_ok_and(|reply| reply.status == 200) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let late =
            || format!("{} is not ready within {READY_LIMIT:?}:\n{}", self.name(), self.log());
        tokio::time::timeout(READY_LIMIT, wait).await.with_context(late)?
    }

    /// Whether it runs, or is frozen.
    pub fn is_running(&self) -> bool {
        self.own.slot.check_running().is_ok()
    }

    /// `kill -9`.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.own.slot.kill().with_context(|| self.name().to_owned())
    }

    /// Freezes it (`SIGSTOP`): its connections stay open and nothing answers.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.own.slot.signal("STOP")
    }

    /// Goes on after `pause`.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.own.slot.signal("CONT")
    }

    /// Asks it to end, as a rolling update does (`SIGTERM`), and waits until it has.
    pub async fn stop(&self, limit: Duration) -> anyhow::Result<()> {
        self.own.slot.signal("TERM")?;
        let ended = async {
            while self.is_running() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let late = || format!("{} still runs after {limit:?}:\n{}", self.name(), self.log());
        tokio::time::timeout(limit, ended).await.with_context(late)
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        log_of(self.own.folder.path())
    }

    /// Holds what it says, in `stderr.log`.
    pub fn folder(&self) -> &Path {
        self.own.folder.path()
    }
}
