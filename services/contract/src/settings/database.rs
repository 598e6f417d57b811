//! Where a service keeps its state.

use std::{fmt, path::PathBuf};

use super::{
    Field, Need, Reader, Variable, Variables,
    declare::{Within, put_path},
};
use crate::section;

section! {
    /// Where a service keeps its state.
    pub struct DatabaseSettings {
        /// `postgres://user:password@host:port/database` or `sqlite:PATH`
        pub url: DatabaseUrl = UrlOrFile,
        /// Connections of one process; PostgreSQL only.
        pub max_connections: u32 = Within("DATABASE_MAX_CONNECTIONS", 8, 2..=200),
    }
}

/// `postgres://user:password@host:port/database` or `sqlite:PATH`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// For SQLite and for development, as it may hold a password.
    Plain(String),
    /// A mounted Secret, read again when it changes.
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

/// One of two variables.
struct UrlOrFile;

impl Field<DatabaseUrl> for UrlOrFile {
    fn read(&self, reader: &mut Reader<'_>) -> Option<DatabaseUrl> {
        match (reader.raw("DATABASE_URL"), reader.optional_path("DATABASE_URL_FILE")) {
            (Some(url), None) => {
                let known = ["postgres://", "postgresql://", "sqlite:"];
                if known.iter().any(|scheme| url.starts_with(scheme)) {
                    return Some(DatabaseUrl::Plain(url));
                }
                reader.problem(
                    "DATABASE_URL",
                    "has an unknown scheme: write postgres://user:password@host/database or sqlite:PATH",
                );
            }
            (None, Some(path)) => return Some(DatabaseUrl::File(path)),
            (None, None) => reader.problem(
                "DATABASE_URL_FILE",
                "is missing; set it: file with the database's URL (or set DATABASE_URL)",
            ),
            (Some(_), Some(_)) => {
                reader.problem("DATABASE_URL", "and DATABASE_URL_FILE are both set; keep one");
            }
        }
        None
    }

    fn write(&self, value: &DatabaseUrl, variables: &mut Variables) {
        match value {
            DatabaseUrl::Plain(url) => {
                variables.insert("DATABASE_URL".into(), url.clone());
            }
            DatabaseUrl::File(path) => put_path(variables, "DATABASE_URL_FILE", path),
        }
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        for (name, where_from) in [
            (
                "DATABASE_URL_FILE",
                "in a file, as it may hold a password; read again when it changes",
            ),
            ("DATABASE_URL", "in the variable itself: for SQLite and for development"),
        ] {
            let meaning =
                format!("{}, {where_from}. One of the two must be given.", meaning.trim());
            list.push(Variable { name, meaning, need: Need::Optional, limits: None });
        }
    }
}
