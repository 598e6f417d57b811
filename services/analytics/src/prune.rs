//! Forgets what is too old to matter, so that the tables that grow with every payment stay bounded.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use storefront_runtime::{Database, DatabaseError, Shutdown};

/// How long a session is remembered: longer than topics are kept, and than any mail is tried.
const SESSIONS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long sales are kept by minute. By hour they are kept for ever.
const MINUTES_KEPT: SignedDuration = SignedDuration::from_hours(31 * 24);
const INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Rows a statement: short transactions, so that batches need not wait.
const ROWS_MAX: i64 = 1_000;

/// Prunes at the start and every hour, until `shutdown`.
pub async fn run(database: &Database, shutdown: &Shutdown) {
    loop {
        match prune(database, Timestamp::now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "old rows were forgotten"),
            // Nothing depends on it: the next round takes what this one left.
            Err(error) => tracing::warn!(%error, "old rows could not be forgotten"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Forgets what is too old at `now`; how many rows that were.
pub async fn prune(database: &Database, now: Timestamp) -> Result<usize, DatabaseError> {
    let sessions = "DELETE FROM sessions WHERE session_id IN \
        (SELECT session_id FROM sessions WHERE seen_at < $1 ORDER BY seen_at LIMIT $2) \
        RETURNING session_id";
    let minutes = "DELETE FROM sales WHERE step = 'minute' AND starts_at IN \
        (SELECT starts_at FROM sales WHERE step = 'minute' AND starts_at < $1 LIMIT $2) \
        RETURNING starts_at";
    let database = database.patient();
    let mut total = 0;
    for (sql, kept) in [(sessions, SESSIONS_KEPT), (minutes, MINUTES_KEPT)] {
        loop {
            let rows = database.query(sql, &[(now - kept).into(), ROWS_MAX.into()]).await?.len();
            total += rows;
            if rows == 0 {
                break;
            }
        }
    }
    Ok(total)
}
