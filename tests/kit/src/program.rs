//! A program that a test runs beside itself, such as the operator.

use std::{path::Path, process::ExitStatus};

use crate::{
    folder::Folder,
    process::{Program, Supervised},
};

/// It ends with the test process, whichever way that ends.
pub struct Running {
    server: Supervised,
    _folder: Folder, // after the server: that one removes it
}

impl Running {
    /// Starts it, with the test's own environment and these variables.
    pub fn start(
        program: &Path,
        arguments: &[String],
        environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend_from_slice(arguments);
        Self::launch(words, environment, "KILL")
    }

    /// Starts a script that ends what it has started when it is asked to end itself.
    pub fn script(words: Vec<String>, environment: Vec<(String, String)>) -> anyhow::Result<Self> {
        Self::launch(words, environment, "TERM")
    }

    fn launch(
        words: Vec<String>,
        environment: Vec<(String, String)>,
        ended_by: &'static str,
    ) -> anyhow::Result<Self> {
        let folder = Folder::new("program")?;
        let started = Program { words, environment, folder: folder.path(), ended_by };
        Ok(Self { server: Supervised::start(&started)?, _folder: folder })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Fails, with the end of its log, when it has ended by itself.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.server.check_running()
    }

    /// Sends a signal by its name, as `kill -s` does.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.server.signal(name)
    }

    /// Waits until it has ended.
    pub fn ended(self) -> anyhow::Result<ExitStatus> {
        self.server.wait()
    }

    /// Asks it to end (`SIGTERM`), and waits until it has.
    pub fn stop(self) -> anyhow::Result<()> {
        self.server.signal("TERM")?;
        let status = self.server.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}
