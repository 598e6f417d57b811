//! Stripe's own stand-in, which `make stripe-mock` builds. It keeps nothing and answers with examples, but it
//! holds each request against Stripe's `OpenAPI` description: <https://github.com/stripe/stripe-mock>.

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    folder::Folder,
    jars::cache_folder,
    process::{Program, Supervised},
};

/// The same as in the Makefile, which builds it.
const VERSION_FOLDER: &str = "stripe-mock-0.203.0";
const START_LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// It runs until it is dropped.
pub struct StripeMock {
    url: String,
    _server: Supervised,
    _folder: Folder, // after the server: that one removes it
}

impl StripeMock {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = Folder::new("stripe-mock")?;
        let program = program()?.to_string_lossy().into_owned();
        // Of the second address nobody makes use, but the usual port of it may be taken.
        let words = ["-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"];
        let words = std::iter::once(program).chain(words.map(String::from)).collect();
        let started =
            Program { words, environment: Vec::new(), folder: folder.path(), ended_by: "KILL" };
        let mut server = Supervised::start(&started)?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let said = fs::read_to_string(folder.path().join("stdout.log"))?;
            let address = said.split("Listening for HTTP at address: ").nth(1);
            if let Some((address, _)) = address.and_then(|rest| rest.split_once('\n')) {
                let url = format!("http://{address}");
                return Ok(Self { url, _server: server, _folder: folder });
            }
            server.check_running().context("stripe-mock did not start")?;
            anyhow::ensure!(Instant::now() < deadline, "stripe-mock is not up in time: {said}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What stands before `/v1`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// From the cache, or from `PATH`.
fn program() -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    [cache_folder()?.join(VERSION_FOLDER)]
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join("stripe-mock"))
        .find(|path| path.is_file())
        .context("this test needs stripe-mock: run `make stripe-mock`, or put it into PATH")
}
