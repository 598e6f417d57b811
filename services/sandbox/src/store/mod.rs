//! The ledger's storage: one SQLite file in WAL mode with `synchronous=FULL`, or memory. Every write
//! is answered after its commit, and writes that come together share one. Holds rows, not rules.

mod events;
mod keys;
mod mails;
mod schema;
mod sessions;
#[cfg(test)]
mod tests;
mod window;
mod writer;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::mpsc;

pub use events::{Delivery, DeliveryCounts, EventQuery, EventRow, NewEvent, Outcome};
pub use keys::StoredAnswer;
pub use mails::{MailRow, MailSummaryRow, NewMail};
pub use sessions::SessionQuery;
pub use window::Window;
pub use writer::Statement;

/// Readers beside the writer; more than two do not help on a laptop.
const READERS: u32 = 4;
/// Jobs that wait for the next commit; beyond it, whoever writes waits.
const JOBS_MAX: usize = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("could not open the sandbox's ledger {path}")]
    Open {
        path: String,
        #[source]
        source: sqlx::Error,
    },
    #[error("could not make the directory {path}")]
    Directory {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("could not read the sandbox's ledger")]
    Read(#[source] sqlx::Error),
    #[error("could not write the sandbox's ledger")]
    Write(#[source] sqlx::Error),
    #[error("a row of the sandbox's ledger cannot be understood")]
    Row(#[source] serde_json::Error),
    #[error("the sandbox is stopping")]
    Stopping,
}

impl StoreError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Open { .. } | Self::Directory { .. } => "LedgerNotOpened",
            Self::Read(_) => "LedgerNotRead",
            Self::Write(_) => "LedgerNotWritten",
            Self::Row(_) => "LedgerRowUnknown",
            Self::Stopping => "Stopping",
        }
    }

    /// Logs it with its causes, where it is handled. `doing` says what failed by it.
    pub fn log(&self, doing: &'static str) {
        let error: &dyn std::error::Error = self;
        tracing::error!(reason = self.reason(), error, "{doing} failed");
    }
}

/// Cheap to clone; the file is closed by [`Store::close`].
#[derive(Clone)]
pub struct Store {
    read: SqlitePool,
    write: SqlitePool,
    jobs: mpsc::Sender<writer::Job>,
}

impl Store {
    /// Opens `DIR/sandbox.db`, or memory without a directory.
    pub async fn open(data: Option<&Path>) -> Result<Self, StoreError> {
        let (read, write) = match data {
            Some(directory) => in_file(directory).await?,
            None => in_memory().await?,
        };
        let name = || data.map_or("memory".into(), |path| path.display().to_string());
        let opening = |source| StoreError::Open { path: name(), source };
        for statement in schema::STATEMENTS {
            sqlx::query(*statement).execute(&write).await.map_err(opening)?;
        }
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        tokio::spawn(writer::run(write.clone(), queue));
        Ok(Self { read, write, jobs })
    }

    /// Writes all of them, or none, and returns when they are on disk.
    pub async fn commit(&self, statements: Vec<Statement>) -> Result<(), StoreError> {
        writer::commit(&self.jobs, statements).await
    }

    /// Ends the connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

async fn in_file(directory: &Path) -> Result<(SqlitePool, SqlitePool), StoreError> {
    let path = directory.display().to_string();
    std::fs::create_dir_all(directory).map_err(|source| StoreError::Directory { path, source })?;
    let file = directory.join("sandbox.db");
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    let opening = |source| StoreError::Open { path: file.display().to_string(), source };
    // A file does not hang up, so its connections need no test before each use.
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await
        .map_err(opening)?;
    let read = SqlitePoolOptions::new()
        .max_connections(READERS)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "on"))
        .await
        .map_err(opening)?;
    Ok((read, write))
}

/// One connection for all, kept for ever: a memory database lives as long as its connection.
async fn in_memory() -> Result<(SqlitePool, SqlitePool), StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(SqliteConnectOptions::new().in_memory(true).disable_statement_logging())
        .await
        .map_err(|source| StoreError::Open { path: "memory".into(), source })?;
    Ok((pool.clone(), pool))
}
