//! Where a service keeps its state.

use std::{fmt, path::PathBuf};

use super::{Reader, Variables, put, put_path};

/// Where a service keeps its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    pub url: DatabaseUrl,
    /// `DATABASE_MAX_CONNECTIONS`: per process, PostgreSQL only. Default 8.
    pub max_connections: u32,
}

/// `postgres://user:password@host:port/database` or `sqlite:PATH`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `DATABASE_URL`: for SQLite and for development, as it may hold a password.
    Plain(String),
    /// `DATABASE_URL_FILE`: a mounted Secret, read again when it changes.
    File(PathBuf),
}

/// The URL may hold a password: only its scheme is shown.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(url) => {
                write!(f, "Plain({}:…)", url.split(':').next().unwrap_or_default())
            }
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let url = match (reader.raw("DATABASE_URL"), reader.optional_path("DATABASE_URL_FILE")) {
            (Some(url), None) => {
                let known = ["postgres://", "postgresql://", "sqlite:"];
                if known.iter().any(|scheme| url.starts_with(scheme)) {
                    Some(DatabaseUrl::Plain(url))
                } else {
                    reader.problem(
                        "DATABASE_URL",
                        "has an unknown scheme: write postgres://user:password@host/database or sqlite:PATH",
                    );
                    None
                }
            }
            (None, Some(path)) => Some(DatabaseUrl::File(path)),
            (None, None) => {
                reader.problem("DATABASE_URL_FILE", "is missing (or DATABASE_URL)");
                None
            }
            (Some(_), Some(_)) => {
                reader.problem("DATABASE_URL", "and DATABASE_URL_FILE are both set; keep one");
                None
            }
        };
        let max_connections = reader.within("DATABASE_MAX_CONNECTIONS", 8, (2, 200));
        Some(Self { url: url?, max_connections: u32::try_from(max_connections?).ok()? })
    }

    pub(super) fn write(&self, variables: &mut Variables) {
        let Self { url, max_connections } = self;
        match url {
            DatabaseUrl::Plain(url) => put(variables, "DATABASE_URL", url),
            DatabaseUrl::File(path) => put_path(variables, "DATABASE_URL_FILE", path),
        }
        put(variables, "DATABASE_MAX_CONNECTIONS", max_connections);
    }
}
