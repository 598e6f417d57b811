//! A child process that ends when the test process does, whichever way that ends, without `unsafe`:
//! a shell holds the other end of a pipe and acts when it closes.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;

const SUPERVISE: &str = include_str!("supervise.sh");

/// What to run.
pub(crate) struct Program<'a> {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Holds the program's `stdout.log` and `stderr.log`; removed when the test process ends.
    pub(crate) folder: &'a Path,
    /// The signal that ends the program at once with all its children.
    pub(crate) ended_by: &'static str,
}

pub(crate) struct Supervised {
    shell: Child,
    /// Closing it ends the program and removes its folder.
    pipe: Option<ChildStdin>,
    id: u32,
    folder: PathBuf,
}

impl Supervised {
    pub(crate) fn start(program: &Program<'_>) -> anyhow::Result<Self> {
        let Program { words, environment, folder, ended_by } = program;
        // The shell may say the program's id before the program's side has opened its file.
        let log = |name| File::options().create(true).append(true).open(folder.join(name));
        let (stderr, _stdout) = (log("stderr.log")?, log("stdout.log")?);
        let mut shell = Command::new("sh")
            .args(["-c", SUPERVISE, "supervise"])
            .arg(folder)
            .arg(ended_by)
            .arg(folder.join("stdout.log"))
            .args(words)
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("could not start sh")?;
        let pipe = shell.stdin.take();
        let mut line = String::new();
        let stdout = shell.stdout.take().context("the shell has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let id = line.trim().parse().with_context(|| format!("could not start {}", words[0]))?;
        Ok(Self { shell, pipe, id, folder: folder.to_path_buf() })
    }

    /// The program's process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Fails, with the end of its log, when the program has ended by itself.
    pub(crate) fn check_running(&mut self) -> anyhow::Result<()> {
        match self.shell.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("it ended with {status}:\n{}", self.log()),
        }
    }

    /// Sends a signal by its name, as `kill -s` does.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.id.to_string()]).status()?;
        anyhow::ensure!(status.success(), "could not send {name} to process {}", self.id);
        Ok(())
    }

    /// Sets a limit of the running program, as `prlimit(1)` names it.
    pub(crate) fn limit(&self, name: &str, value: u64) -> anyhow::Result<()> {
        let program = ["--pid".to_owned(), self.id.to_string(), format!("--{name}={value}")];
        let status = Command::new("prlimit").args(program).status().context("prlimit")?;
        anyhow::ensure!(status.success(), "could not limit {name} of process {}", self.id);
        Ok(())
    }

    /// Waits until the program has ended; its folder stays.
    pub(crate) fn wait(mut self) -> anyhow::Result<ExitStatus> {
        // `Child::wait` would close a pipe that it still held, which would remove the folder.
        let pipe = self.pipe.take();
        let status = self.shell.wait()?;
        drop(pipe);
        Ok(status)
    }

    pub(crate) fn kill(self) -> anyhow::Result<()> {
        self.signal("KILL")?;
        self.wait().map(drop)
    }

    /// The end of what the program said.
    pub(crate) fn log(&self) -> String {
        log_of(&self.folder)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}

/// A place for a program that may be running or killed, shared by the clones of its handle.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Option<Supervised>>);

impl Slot {
    pub(crate) fn start(&self, program: &Program<'_>) -> anyhow::Result<()> {
        let mut running = self.running();
        anyhow::ensure!(running.is_none(), "it runs already");
        *running = Some(Supervised::start(program)?);
        Ok(())
    }

    /// Fails, with the end of its log, when the program has ended by itself or was killed; it can be
    /// started again then.
    pub(crate) fn check_running(&self) -> anyhow::Result<()> {
        let mut running = self.running();
        let ended = running.as_mut().context("it does not run")?.check_running();
        if ended.is_err()
            && let Some(ended) = running.take()
        {
            ended.wait()?;
        }
        ended
    }

    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.running().as_ref().context("it does not run")?.signal(name)
    }

    pub(crate) fn limit(&self, name: &str, value: u64) -> anyhow::Result<()> {
        self.running().as_ref().context("it does not run")?.limit(name, value)
    }

    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        let server = self.running().take();
        server.context("it does not run")?.kill()
    }

    fn running(&self) -> MutexGuard<'_, Option<Supervised>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last lines of a folder's log.
pub(crate) fn log_of(folder: &Path) -> String {
    const LINES: usize = 60;
    let text = std::fs::read(folder.join("stderr.log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
