//! The folder where a shop on a laptop keeps everything, and the lock on it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::DevError;
use crate::args::DevArguments;

/// Folder below the current one, with one folder a shop.
const DEFAULT_FOLDER: &str = ".storefront";

/// A folder that nobody else uses while this exists.
pub struct Data {
    folder: PathBuf,
    /// Removes the folder when it is dropped; only of an ephemeral one.
    temporary: Option<TempDir>,
    /// The system gives the lock back when the process ends, however it ends.
    _lock: File,
}

impl Data {
    /// Opens the folder of the flags, and makes it where it is missing.
    pub fn open(arguments: &DevArguments, shop: &str) -> Result<Self, DevError> {
        let default = || Path::new(DEFAULT_FOLDER).join(shop);
        let chosen = arguments.data.clone().unwrap_or_else(default);
        let unusable = |source| DevError::Folder { folder: chosen.clone(), source };
        if arguments.ephemeral {
            let temporary =
                tempfile::Builder::new().prefix("storefront-").tempdir().map_err(unusable)?;
            let folder = temporary.path().to_owned();
            let lock = File::create(folder.join("lock")).map_err(unusable)?;
            return Ok(Self { folder, temporary: Some(temporary), _lock: lock });
        }
        private_folder(&chosen).map_err(unusable)?;
        let folder = fs::canonicalize(&chosen).map_err(unusable)?;
        let lock = lock(&folder).map_err(|problem| match problem {
            Locked::By(process) => DevError::InUse { folder: folder.clone(), process },
            Locked::Failed(source) => DevError::Folder { folder: folder.clone(), source },
        })?;
        Ok(Self { folder, temporary: None, _lock: lock })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the embedded broker keeps its log; nowhere when nothing is to be kept.
    pub fn broker_folder(&self) -> Option<PathBuf> {
        self.temporary.is_none().then(|| self.folder.join("kafka"))
    }

    /// Where the stand-ins keep their ledger; nowhere when nothing is to be kept.
    pub fn sandbox_folder(&self) -> Option<PathBuf> {
        self.temporary.is_none().then(|| self.folder.join("sandbox"))
    }

    /// Replaces the catalog's file as a whole: payment reads it again when it changes.
    pub fn write_catalog(&self, text: &str) -> Result<(), DevError> {
        let file = self.folder.join("catalog.json");
        let written = tempfile::NamedTempFile::new_in(&self.folder).and_then(|mut new| {
            new.write_all(text.as_bytes())?;
            new.persist(&file).map_err(io::Error::from)
        });
        written.map(drop).map_err(|source| DevError::Write { file, source })
    }

    /// Removes a folder that is not to be kept.
    pub fn close(self) {
        let folder = self.folder;
        if let Some(Err(error)) = self.temporary.map(TempDir::close) {
            tracing::warn!(%error, folder = %folder.display(), "the temporary folder is left behind");
        }
    }
}

/// A folder that only its owner can look into: it holds secrets and customers' data.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

enum Locked {
    /// By a process, in words.
    By(String),
    Failed(io::Error),
}

fn lock(folder: &Path) -> Result<File, Locked> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(folder.join("lock")).map_err(Locked::Failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // Only for the message: without it the message is shorter.
            let _ = file.read_to_string(&mut process);
            let process = process.trim();
            let words = format!(" (process {process})");
            return Err(Locked::By(if process.is_empty() { String::new() } else { words }));
        }
        Err(TryLockError::Error(source)) => return Err(Locked::Failed(source)),
    }
    let written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    written.map_err(Locked::Failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    fn arguments(flags: &[&str]) -> DevArguments {
        let line = ["storefront", "dev", "shop.yaml"].iter().chain(flags);
        match Arguments::try_parse_from(line).unwrap().command {
            Command::Dev(arguments) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_is_used_by_one_process() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let flags = arguments(&["--data", folder.to_str().unwrap()]);
        let first = Data::open(&flags, "demo").unwrap();
        let Err(error) = Data::open(&flags, "demo") else { panic!("the folder is in use") };
        let expected = format!("(process {})", std::process::id());
        assert!(error.to_string().contains(&expected), "{error}");
        first.close();
        let again = Data::open(&flags, "demo").unwrap();
        again.write_catalog("{}").unwrap();
        again.write_catalog("{\"products\": []}").unwrap();
        let text = fs::read_to_string(folder.join("catalog.json")).unwrap();
        assert_eq!(text, "{\"products\": []}");
    }

    #[test]
    fn an_ephemeral_folder_is_removed() {
        let data = Data::open(&arguments(&["--ephemeral"]), "demo").unwrap();
        let folder = data.folder().to_owned();
        assert!(folder.is_dir());
        assert_eq!(data.broker_folder(), None);
        data.close();
        assert!(!folder.exists());
    }
}
