//! A lease: work that one instance at a time does, kept in the database and measured by its clock, so
//! that no two machines need to agree on the time. Says who holds it; does none of the work.

use std::time::Duration;

use super::{Database, error::DatabaseError, link::Sql};

/// The database's clock, in Unix milliseconds.
pub(crate) const NOW: Sql = Sql {
    postgres: "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now",
    sqlite: "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT) AS now",
};

const ACQUIRE: Sql = Sql {
    postgres: "INSERT INTO leases AS held (name, holder, fence, expires_at) \
        VALUES ($1, $2, 1, CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) + $3) \
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
        fence = held.fence + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END \
        WHERE held.holder = excluded.holder OR held.expires_at <= excluded.expires_at - $3 \
        RETURNING fence",
    sqlite: "INSERT INTO leases AS held (name, holder, fence, expires_at) \
        VALUES ($1, $2, 1, CAST(unixepoch('subsec') * 1000 AS BIGINT) + $3) \
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
        fence = held.fence + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END \
        WHERE held.holder = excluded.holder OR held.expires_at <= excluded.expires_at - $3 \
        RETURNING fence",
};

/// A claim to be the only one who does a piece of work.
#[derive(Debug, Clone)]
pub struct Lease {
    name: &'static str,
    /// Who we are; new for each process, so that a restarted one does not inherit its own past.
    holder: String,
    /// How long it lasts without being renewed.
    pub lasts: Duration,
}

impl Lease {
    pub fn new(name: &'static str, lasts: Duration) -> Self {
        Self { name, holder: uuid::Uuid::new_v4().to_string(), lasts }
    }

    /// Takes or renews it. The number grows each time it passes to another holder: work that must not
    /// be done by a holder who was asleep compares it. `None` when another one holds it.
    ///
    /// The answer can arrive late: count the time from before the call, not from after it.
    pub async fn acquire(&self, database: &Database) -> Result<Option<i64>, DatabaseError> {
        let lasts_ms = i64::try_from(self.lasts.as_millis()).unwrap_or(i64::MAX);
        let params = [self.name.into(), self.holder.as_str().into(), lasts_ms.into()];
        let rows = database.prompt().query_repeatable(ACQUIRE, &params).await?;
        rows.first().map(|row| row.int("fence")).transpose()
    }

    /// Gives it up at once, so that another instance need not wait for its end.
    pub async fn release(&self, database: &Database) -> Result<(), DatabaseError> {
        let params = [self.name.into(), self.holder.as_str().into()];
        database
            .prompt()
            .query_repeatable(
                "UPDATE leases SET expires_at = 0 WHERE name = $1 AND holder = $2",
                &params,
            )
            .await?;
        Ok(())
    }
}
