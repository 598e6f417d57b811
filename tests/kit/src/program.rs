//! A program that a test runs beside itself, such as the operator.

use std::path::Path;

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
        let folder = Folder::new("program")?;
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend_from_slice(arguments);
        let started = Program { words, environment, folder: folder.path(), ended_by: "KILL" };
        Ok(Self { server: Supervised::start(&started)?, _folder: folder })
    }

    /// Asks it to end (`SIGTERM`), and waits until it has.
    pub fn stop(self) -> anyhow::Result<()> {
        self.server.signal("TERM")?;
        let status = self.server.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}
