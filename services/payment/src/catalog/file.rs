//! The catalog's file: read at the start, and again when it changes. A change for the worse is
//! reported, and the last good catalog is used on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use storefront_contract::Currency;

use super::{Catalog, CatalogError};

/// Largest file, in bytes. A `ConfigMap` holds at most 1 MiB.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// How old the last look at the file may be. Short enough for a person who edits it, long enough that
/// requests do not wait for the file system.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Why the catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogFileError {
    #[error("the catalog {path:?} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the catalog {path:?} is larger than {FILE_MAX_BYTES} bytes")]
    TooLarge { path: PathBuf },
    #[error("the catalog {path:?} is wrong")]
    Wrong {
        path: PathBuf,
        #[source]
        source: CatalogError,
    },
}

impl CatalogFileError {
    /// A fixed word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::TooLarge { .. } => "too-large",
            Self::Wrong { source, .. } => source.reason(),
        }
    }
}

/// The current catalog.
#[derive(Debug)]
pub struct CatalogFile {
    path: PathBuf,
    currency: Currency,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    catalog: Arc<Catalog>,
    stamp: Stamp,
    looked: Instant,
    /// What was wrong with the file at the last look, so that it is told once.
    reported: Option<&'static str>,
}

/// What differs between two versions of a path. Kubernetes swaps a symlink, so the inode does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    file: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl CatalogFile {
    /// Reads the file for the first time; a wrong one is an error.
    pub fn open(path: &Path, currency: Currency) -> Result<Self, CatalogFileError> {
        let stamp = stamp(path)?;
        let catalog = Arc::new(load(path, &stamp, currency)?);
        let seen = Mutex::new(Seen { catalog, stamp, looked: Instant::now(), reported: None });
        Ok(Self { path: path.into(), currency, seen })
    }

    /// The catalog as it is now, or was at most half a second ago.
    pub fn current(&self) -> Arc<Catalog> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looked.elapsed() >= LOOK_AGAIN {
            seen.looked = Instant::now();
            self.look(&mut seen);
        }
        seen.catalog.clone()
    }

    fn look(&self, seen: &mut Seen) {
        let fresh = stamp(&self.path).and_then(|stamp| {
            if stamp == seen.stamp {
                return Ok(None);
            }
            let catalog = load(&self.path, &stamp, self.currency)?;
            seen.stamp = stamp;
            Ok(Some(catalog))
        });
        match fresh {
            Ok(None) => seen.reported = None,
            Ok(Some(catalog)) => {
                tracing::info!("the catalog has changed");
                seen.catalog = Arc::new(catalog);
                seen.reported = None;
            }
            Err(error) if seen.reported == Some(error.reason()) => {}
            Err(error) => {
                let reason = error.reason();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, reason, "the last good catalog is used on");
                seen.reported = Some(reason);
            }
        }
    }
}

fn stamp(path: &Path) -> Result<Stamp, CatalogFileError> {
    let metadata = fs::metadata(path)
        .map_err(|source| CatalogFileError::Unreadable { path: path.into(), source })?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let file = 0;
    Ok(Stamp { file, length: metadata.len(), modified: metadata.modified().ok() })
}

fn load(path: &Path, stamp: &Stamp, currency: Currency) -> Result<Catalog, CatalogFileError> {
    if stamp.length > FILE_MAX_BYTES {
        return Err(CatalogFileError::TooLarge { path: path.into() });
    }
    let json = fs::read(path)
        .map_err(|source| CatalogFileError::Unreadable { path: path.into(), source })?;
    Catalog::parse(&json, currency)
        .map_err(|source| CatalogFileError::Wrong { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_and_a_change_for_the_worse_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.json");
        let inr = "INR".parse().unwrap();
        let write = |json: &str| fs::write(&path, json).unwrap();
        assert_eq!(CatalogFile::open(&path, inr).unwrap_err().reason(), "unreadable");
        write("{}");
        assert_eq!(CatalogFile::open(&path, inr).unwrap_err().reason(), "undecodable");
        write(r#"{"products": [{"id": "a", "name": "A", "price": 1}]}"#);
        let file = CatalogFile::open(&path, inr).unwrap();
        let price = || {
            let mut seen = file.seen.lock().unwrap();
            file.look(&mut seen);
            seen.catalog.product("a").map(|product| product.price)
        };
        assert_eq!(price(), Some(1));
        write(r#"{"products": [{"id": "a", "name": "A", "price": 200}]}"#);
        assert_eq!(price(), Some(200));
        write(r#"{"products": "nonsense"}"#);
        assert_eq!(price(), Some(200));
        fs::remove_file(&path).unwrap();
        assert_eq!(price(), Some(200));
    }
}
