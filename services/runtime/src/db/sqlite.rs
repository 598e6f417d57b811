//! Pools of connections to one SQLite file: a single writer, so that writers queue here instead of
//! failing with `SQLITE_BUSY`, and readers beside it, which WAL lets run meanwhile.

use std::{fs::File, path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Sqlite, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::error::DatabaseError;

/// For another process that holds the file, such as a shell or a backup.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// For our own writers before us in the queue.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(10);
const READERS_MAX: u32 = 4;

pub(super) struct SqlitePools {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Locked for as long as we use the database: exclusively by the first one until it has found its
    /// bearings, then shared.
    lock: Option<File>,
    /// Nobody else used the database when we opened it.
    pub(super) is_alone: bool,
}

impl SqlitePools {
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(DatabaseError::UrlFile)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // NORMAL would lose the last commits with the power. They cannot be half lost, but a paid
            // session that was acknowledged to Stripe would have to be found again by the sweeper.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_LIMIT)
            .foreign_keys(true)
            .pragma("journal_size_limit", "16777216")
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_LIMIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone());
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_LIMIT)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.pragma("query_only", "ON"));
        let lock = File::create(path.with_extension("lock")).ok();
        let is_alone = lock.as_ref().is_some_and(|lock| lock.try_lock().is_ok());
        if !is_alone && let Some(lock) = &lock {
            lock.try_lock_shared().ok();
        }
        Ok(Self { writer, readers, lock, is_alone })
    }

    /// Lets others open it too.
    pub(super) fn share(&self) {
        if let (Some(lock), true) = (&self.lock, self.is_alone) {
            lock.lock_shared().ok();
        }
    }

    pub(super) async fn writer(&self) -> Result<PoolConnection<Sqlite>, DatabaseError> {
        self.writer.acquire().await.map_err(DatabaseError::connect)
    }

    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, DatabaseError> {
        self.readers.acquire().await.map_err(DatabaseError::connect)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
