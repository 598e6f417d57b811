//! The database's time, so that claims of several instances are compared on one clock, however their
//! machines' clocks go.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use storefront_runtime::{Database, DatabaseError};

/// Unix milliseconds of the database, carried on by this machine's monotonic clock between two looks.
pub struct Clock(Mutex<(i64, Instant)>);

impl Clock {
    pub async fn new(database: &Database) -> Result<Self, DatabaseError> {
        Ok(Self(Mutex::new(read(database).await?)))
    }

    /// Looks at the database's clock again.
    pub async fn look(&self, database: &Database) -> Result<i64, DatabaseError> {
        let seen = read(database).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(seen.0)
    }

    /// What it is by now.
    pub fn now(&self) -> i64 {
        let (at, seen) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.saturating_add(i64::try_from(seen.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// The instant is taken before the question: a slow answer makes us early, never late.
async fn read(database: &Database) -> Result<(i64, Instant), DatabaseError> {
    let asked = Instant::now();
    Ok((database.now_ms().await?, asked))
}
