//! Where PostgreSQL's programs are on this machine, and as whom its server may run: it refuses root.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

/// PostgreSQL's programs on this machine.
#[derive(Clone, Debug)]
pub struct Installation {
    folder: PathBuf,
    /// The user and group to change to; `None` when we are not root.
    run_as: Option<(u32, u32)>,
}

impl Installation {
    /// Fails when there is none.
    pub fn find() -> anyhow::Result<Self> {
        let folder = from_pg_config()
            .into_iter()
            .chain(debian_versions())
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default()))
            .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
            .context("tests against PostgreSQL need its server programs (Debian: postgresql)")?;
        let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let run_as = if root { Some(unprivileged_user()?) } else { None };
        Ok(Self { folder, run_as })
    }

    pub(super) fn program(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The folder with its programs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The words that run a server program, as another user where that is needed.
    pub(super) fn server_program(&self, name: &str) -> Vec<String> {
        self.as_its_user(vec![self.program(name)])
    }

    /// These words, so that they are run as a user who may run the server.
    pub fn as_its_user(&self, program: Vec<String>) -> Vec<String> {
        let mut words = Vec::new();
        if let Some((user, group)) = self.run_as {
            words.extend(["setpriv".to_owned(), "--clear-groups".to_owned()]);
            words.extend([format!("--reuid={user}"), format!("--regid={group}")]);
        }
        words.extend(program);
        words
    }

    /// Makes the folder, or the file, the server's.
    pub fn give(&self, folder: &Path) -> anyhow::Result<()> {
        if let Some((user, group)) = self.run_as {
            chown(folder, Some(user), Some(group))?;
        }
        Ok(())
    }
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// `/usr/lib/postgresql/VERSION/bin`, newest first.
fn debian_versions() -> Vec<PathBuf> {
    let entries = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, path)| path.join("bin")).collect()
}

fn unprivileged_user() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    find("postgres").or_else(|| find("nobody")).context("no user to run PostgreSQL as but root")
}
