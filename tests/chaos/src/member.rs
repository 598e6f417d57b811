//! One instance of a service in the shop, and its own cable to the database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use anyhow::Result;
use storefront_contract::ServiceId;
use storefront_testkit::{Instance, Wire};

use crate::secrets::{Generation, Secrets};

/// Between an instance and its database.
#[derive(Clone)]
pub struct Cable {
    pub wire: Wire,
    /// The database at its near end: `host:port/name`.
    pub place: String,
    /// Among the secrets: where the instance reads how to come there.
    pub file: String,
}

impl Cable {
    pub fn write_login(&self, secrets: &Secrets, now: &Generation) -> Result<()> {
        secrets.write(&self.file, &now.database_url(&self.place)).map(drop)
    }
}

/// Clones are the same one.
#[derive(Clone)]
pub struct Member {
    pub service: ServiceId,
    /// 1 or 2.
    pub number: usize,
    pub instance: Instance,
    /// Between it and PostgreSQL; the gateway needs none.
    pub database: Option<Cable>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Nobody has killed it, or it was started again since.
    is_wanted: AtomicBool,
    /// How often it has ended by itself and was started again.
    ends: AtomicU32,
}

impl Member {
    pub fn new(
        service: ServiceId,
        number: usize,
        instance: Instance,
        database: Option<Cable>,
    ) -> Self {
        Self { service, number, instance, database, state: Arc::default() }
    }

    pub fn start(&self) -> Result<()> {
        self.instance.start()?;
        self.state.is_wanted.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&self) -> Result<()> {
        self.state.is_wanted.store(false, Ordering::SeqCst);
        // It may have ended by itself a moment ago.
        if self.instance.is_running() { self.instance.kill() } else { Ok(()) }
    }

    /// `SIGTERM`, and waits for its end.
    pub async fn stop(&self, limit: std::time::Duration) -> Result<()> {
        self.state.is_wanted.store(false, Ordering::SeqCst);
        if self.instance.is_running() { self.instance.stop(limit).await } else { Ok(()) }
    }

    /// What a cluster does for it: starts it again when it has ended by itself.
    pub fn keep_up(&self) -> Result<()> {
        if self.state.is_wanted.load(Ordering::SeqCst) && !self.instance.is_running() {
            self.state.ends.fetch_add(1, Ordering::SeqCst);
            self.instance.start()?;
        }
        Ok(())
    }

    /// How often it has ended by itself.
    pub fn ends(&self) -> u32 {
        self.state.ends.load(Ordering::SeqCst)
    }
}
