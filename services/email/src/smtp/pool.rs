//! Idle connections, the youngest first. Opens none.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::connection::Connection;

/// Longest that a connection is kept without use, far below what servers allow (RFC 5321, 4.5.3.2.7:
/// 5 minutes).
const IDLE_LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    idle_max: usize,
}

impl Pool {
    pub(super) fn new(idle_max: usize) -> Self {
        Self { idle: Mutex::default(), idle_max }
    }

    pub(super) fn take(&self) -> Option<Connection> {
        self.idle().pop()
    }

    /// Keeps a connection whose dialogue is in step.
    pub(super) fn put(&self, mut connection: Connection) {
        connection.idle_since = Instant::now();
        let mut idle = self.idle();
        if idle.len() < self.idle_max {
            idle.push(connection);
        }
    }

    pub(super) fn prune(&self) {
        let old = |connection: &Connection| connection.idle_since.elapsed() > IDLE_LIMIT;
        let mut idle = self.idle();
        // The oldest stand in front.
        let count = idle.iter().take_while(|connection| old(connection)).count();
        for connection in idle.drain(..count) {
            tokio::spawn(connection.quit());
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
