//! Secrets in files: read when they are needed, read again when they were rotated, never printed.
//! Decides nothing about what a secret is for.

use std::{
    fmt, fs, io,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Largest secret file, in bytes. A Kubernetes Secret holds at most 1 MiB; ours are single keys.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// A secret text. It can be neither displayed nor, through `Debug`, read; it derefs to `str` for
/// those who use it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text itself. Never log or return it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Why a secret cannot be used. No variant holds any of its text.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("secret file {path:?} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("secret file {path:?} is empty")]
    Empty { path: PathBuf },
    #[error("secret file {path:?} holds a placeholder, not a secret")]
    Placeholder { path: PathBuf },
    #[error("secret file {path:?} is larger than {SECRET_MAX_BYTES} bytes or not text")]
    Malformed { path: PathBuf },
}

impl SecretError {
    /// A fixed word for metrics and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "SecretUnreadable",
            Self::Empty { .. } => "SecretEmpty",
            Self::Placeholder { .. } => "SecretPlaceholder",
            Self::Malformed { .. } => "SecretMalformed",
        }
    }
}

/// One secret in one file. Clones share what was read.
#[derive(Clone)]
pub struct SecretFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    last: Mutex<Option<Seen>>,
}

#[derive(Clone)]
struct Seen {
    stamp: Stamp,
    secret: Secret,
    /// Why the last rotation was not taken, so that it is told once and not at every read.
    refused: Option<&'static str>,
}

/// What differs between two contents of a path: Kubernetes swaps a symlink, so the inode does.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    file: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl SecretFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Inner { path: path.into(), last: Mutex::new(None) }))
    }

    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The secret as it is now: one `stat` unless the file changed. The last line ending is not
    /// part of it.
    ///
    /// An empty, placeholder or unreadable file is an error the first time. Later, a rotation that
    /// went wrong must not take a running service down: the last good secret is used on, and a
    /// warning says so.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.0.path);
        if let (Ok(stamp), Some(seen)) = (&stamp, &*last)
            && seen.stamp == *stamp
        {
            return Ok(seen.secret.clone());
        }
        let unreadable = |source| SecretError::Unreadable { path: self.0.path.clone(), source };
        let fresh = stamp.map_err(unreadable).and_then(|stamp| {
            let secret = load(&self.0.path, &stamp)?;
            Ok(Seen { stamp, secret, refused: None })
        });
        match (fresh, &mut *last) {
            (Ok(seen), previous) => {
                if previous.as_ref().is_some_and(|previous| previous.secret != seen.secret) {
                    tracing::info!(path = ?self.0.path, "secret was rotated");
                }
                Ok(last.insert(seen).secret.clone())
            }
            (Err(error), Some(seen)) => {
                if seen.refused.replace(error.reason()) != Some(error.reason()) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a rotated secret is not taken, the last one is used on");
                }
                Ok(seen.secret.clone())
            }
            (Err(error), None) => Err(error),
        }
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretFile").field(&self.0.path).finish()
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let file = 0;
    Ok(Stamp { file, length: metadata.len(), modified: metadata.modified().ok() })
}

fn load(path: &Path, stamp: &Stamp) -> Result<Secret, SecretError> {
    let malformed = || SecretError::Malformed { path: path.into() };
    if stamp.length > SECRET_MAX_BYTES {
        return Err(malformed());
    }
    let bytes =
        fs::read(path).map_err(|source| SecretError::Unreadable { path: path.into(), source })?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(SecretError::Empty { path: path.into() });
    }
    if is_placeholder(text) {
        return Err(SecretError::Placeholder { path: path.into() });
    }
    Ok(Secret(text.into()))
}

/// What people leave in examples and templates: `changeme`, `<your key>`, `${KEY}`, `whsec_xxx`.
pub fn is_placeholder(text: &str) -> bool {
    const WORDS: [&str; 8] = [
        "changeme",
        "change-me",
        "change_me",
        "placeholder",
        "replaceme",
        "replace-me",
        "replace_me",
        "insert-here",
    ];
    const WHOLE: [&str; 8] =
        ["todo", "none", "null", "secret", "example", "dummy", "test", "undefined"];
    let text = text.trim().to_ascii_lowercase();
    let after_prefix = text.rsplit('_').next().unwrap_or(&text);
    let filler = !after_prefix.is_empty()
        && after_prefix.chars().all(|c| matches!(c, 'x' | '*' | '.' | '-' | '…'));
    let bracketed = [("<", ">"), ("${", "}"), ("{{", "}}")]
        .iter()
        .any(|(open, close)| text.starts_with(open) && text.ends_with(close));
    let yours = text.starts_with("your-") || text.starts_with("your_");
    filler
        || bracketed
        || yours
        || text.ends_with('_')
        || WHOLE.contains(&text.as_str())
        || WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_last_line_ending_is_not_part_of_a_secret() {
        let folder = directory();
        let path = folder.path().join("key");
        for (content, secret) in
            [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), (" a ", " a ")]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(SecretFile::new(&path).read().unwrap().expose(), secret);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_rotation_by_symlink_is_seen_at_the_next_read() {
        // As the kubelet does it: key -> ..data/key, ..data -> a folder of its own per version.
        let folder = directory();
        let link = |target: &str| {
            let fresh = folder.path().join("..data_tmp");
            std::os::unix::fs::symlink(target, &fresh).unwrap();
            fs::rename(fresh, folder.path().join("..data")).unwrap();
        };
        for version in ["v1", "v2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("key"), format!("of {version}")).unwrap();
        }
        std::os::unix::fs::symlink("..data/key", folder.path().join("key")).unwrap();
        link("v1");
        let secret = SecretFile::new(folder.path().join("key"));
        assert_eq!(secret.read().unwrap().expose(), "of v1");
        link("v2");
        assert_eq!(secret.read().unwrap().expose(), "of v2");
    }

    #[test]
    fn nothing_and_placeholders_are_refused_at_first_and_survived_later() {
        let folder = directory();
        let path = folder.path().join("key");
        let secret = SecretFile::new(&path);
        assert_eq!(secret.read().unwrap_err().reason(), "SecretUnreadable");
        fs::write(&path, "\n").unwrap();
        assert_eq!(secret.read().unwrap_err().reason(), "SecretEmpty");
        fs::write(&path, "changeme").unwrap();
        assert_eq!(secret.read().unwrap_err().reason(), "SecretPlaceholder");
        fs::write(&path, "whsec_8f3a").unwrap();
        assert_eq!(secret.read().unwrap().expose(), "whsec_8f3a");
        fs::write(&path, "").unwrap();
        assert_eq!(secret.read().unwrap().expose(), "whsec_8f3a");
    }

    #[test]
    fn placeholders_are_known_and_keys_are_not_taken_for_them() {
        for text in ["changeme", "<your key>", "${KEY}", "whsec_xxx", "***", "sk_test_", "YOUR_KEY"]
        {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["sk_test_4eC39HqLyjWDarjtT1zdp7dc", "whsec_8f3a", "hunter2", "xylophone-7"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }
}
