//! Connections to PostgreSQL between two uses. sqlx's pool asks each that comes back for a sign of life: a round
//! trip, a task and a timer beside every statement. Here one that has ended what it was asked waits for its next use
//! as it is. It goes back to sqlx when it was let go in the middle of something, when nobody has wanted it for a
//! while, and now and then, as sqlx knows its age.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{PgPool, Postgres, pool::PoolConnection};

use super::postgres::{Doubt, TRUSTED, give_back};

/// After this time a connection goes through sqlx's pool.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Clones share what waits.
#[derive(Clone)]
pub(super) struct Warm(Arc<Inner>);

struct Inner {
    pool: PgPool,
    doubt: Doubt,
    /// The last one that came is the first to go.
    waiting: Mutex<Vec<Waiting>>,
}

pub(super) struct Waiting {
    pub connection: PoolConnection<Postgres>,
    pub since: Instant,
    /// When it was taken from sqlx's pool.
    pub borrowed_at: Instant,
}

impl Warm {
    pub(super) fn new(pool: &PgPool, doubt: &Doubt) -> Self {
        let (pool, doubt, waiting) = (pool.clone(), doubt.clone(), Mutex::default());
        Self(Arc::new(Inner { pool, doubt, waiting }))
    }

    pub(super) fn take(&self) -> Option<Waiting> {
        self.0.lock().pop()
    }

    /// Keeps a connection that has ended what it was asked.
    pub(super) fn put(&self, connection: PoolConnection<Postgres>, borrowed_at: Instant) {
        let now = Instant::now();
        let mut leaving = Vec::new();
        {
            let mut waiting = self.0.lock();
            waiting.push(Waiting { connection, since: now, borrowed_at });
            if self.0.pool.is_closed() {
                leaving.append(&mut waiting);
            } else if now.duration_since(borrowed_at) > AWAY_MAX {
                leaving.extend(waiting.pop());
            }
            // The first have waited longest.
            let unwanted = |one: &&Waiting| now.duration_since(one.since) > TRUSTED;
            let count = waiting.iter().take_while(unwanted).count();
            leaving.extend(waiting.drain(..count));
        }
        for one in leaving {
            give_back(one.connection, &self.0.doubt);
        }
    }

    /// For a pool that is closed: it waits for each of its connections.
    pub(super) fn clear(&self) {
        let leaving = std::mem::take(&mut *self.0.lock());
        for one in leaving {
            give_back(one.connection, &self.0.doubt);
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // Nothing here can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // sqlx would take each back by a task of its own, and nobody knows whether there is a runtime now.
        let waiting = self.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        for one in waiting.drain(..) {
            drop(one.connection.detach());
        }
    }
}
