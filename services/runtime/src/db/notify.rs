//! A word from one instance to another that there is something to look at. PostgreSQL carries it; on
//! SQLite there is one instance. It may be lost: whoever listens also looks from time to time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

use super::{Backend, Database, error::DatabaseError};

/// How long to wait before listening again when it has failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Hears what other instances tell with [`Database::tell`].
pub(crate) struct Listener {
    heard: Arc<Notify>,
    ear: Option<AbortHandle>,
}

impl Listener {
    /// Hears nothing.
    pub(super) fn deaf() -> Self {
        Self { heard: Arc::default(), ear: None }
    }

    /// Listens on `channel`, with a pool of one connection for each attempt. One that hears nothing cannot know
    /// that it is dead: `doubt` changes when another one was.
    pub(super) fn start(
        connect: impl Fn() -> PgPool + Send + 'static,
        channel: String,
        mut doubt: watch::Receiver<Instant>,
    ) -> Self {
        let heard = Arc::new(Notify::new());
        let told = Arc::clone(&heard);
        let ear = tokio::spawn(async move {
            loop {
                doubt.mark_unchanged();
                if let Err(error) = listen(connect(), &channel, &told, &mut doubt).await {
                    tracing::debug!(%error, "no word of other instances for a while");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { heard, ear: Some(ear.abort_handle()) }
    }

    /// The next word. Never, when there is nobody to hear.
    pub(crate) async fn heard(&mut self) {
        self.heard.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(ear) = &self.ear {
            ear.abort();
        }
    }
}

/// Passes words on, until there is a doubt.
async fn listen(
    pool: PgPool,
    channel: &str,
    heard: &Notify,
    doubt: &mut watch::Receiver<Instant>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    loop {
        // What was said before, or meanwhile, was not heard.
        heard.notify_one();
        tokio::select! {
            word = listener.recv() => drop(word?),
            _ = doubt.changed() => return Ok(()),
        }
    }
}

impl Database {
    /// Tells the instances that listen on `channel`, a name of ours and of this service's schema.
    pub(crate) async fn tell(&self, channel: &'static str) -> Result<(), DatabaseError> {
        if let Backend::Postgres(pool) = &self.inner.backend {
            let name = pool.channel(channel);
            // As text, for the function's own type, void, is none of ours.
            self.query("SELECT CAST(pg_notify($1, '') AS TEXT)", &[name.into()]).await?;
        }
        Ok(())
    }

    /// Listens on `channel` from now on.
    pub(crate) fn listen(&self, channel: &'static str) -> Listener {
        match &self.inner.backend {
            Backend::Postgres(pool) => pool.listener(channel),
            Backend::Sqlite(_) => Listener::deaf(),
        }
    }
}
