//! Where the database is, read from the settings or from a mounted Secret. Never printed.

use std::{fs, path::PathBuf, sync::Arc};

use storefront_contract::settings::DatabaseUrl;

use super::error::DatabaseError;

/// A database URL; it may hold a password.
pub(super) type Url = Arc<str>;

/// Which database a URL means.
pub(super) enum Place {
    Postgres,
    Sqlite(PathBuf),
}

/// The URL as it is now.
pub(super) fn read(url: &DatabaseUrl) -> Result<Url, DatabaseError> {
    match url {
        DatabaseUrl::Plain(text) => Ok(text.as_str().into()),
        DatabaseUrl::File(path) => {
            let text = fs::read_to_string(path).map_err(DatabaseError::UrlFile)?;
            match text.trim() {
                "" => Err(DatabaseError::Url { problem: "is empty" }),
                text => Ok(text.into()),
            }
        }
    }
}

pub(super) fn place(url: &str) -> Result<Place, DatabaseError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Postgres);
    }
    let Some(path) = url.strip_prefix("sqlite:") else {
        return Err(DatabaseError::Url { problem: "has an unknown scheme" });
    };
    match path.strip_prefix("//").unwrap_or(path) {
        "" => Err(DatabaseError::Url { problem: "names no file" }),
        // Each connection would see a database of its own.
        ":memory:" => Err(DatabaseError::Url { problem: "must name a file, not :memory:" }),
        path => Ok(Place::Sqlite(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_which_database_it_means() {
        assert!(matches!(place("postgres://u:p@h/d"), Ok(Place::Postgres)));
        for (url, file) in [("sqlite:a/b.db", "a/b.db"), ("sqlite:///a/b.db", "/a/b.db")] {
            assert!(matches!(place(url), Ok(Place::Sqlite(path)) if path.as_os_str() == file));
        }
        for bad in ["mysql://h", "sqlite:", "sqlite::memory:"] {
            assert!(matches!(place(bad), Err(DatabaseError::Url { .. })), "{bad}");
        }
    }
}
