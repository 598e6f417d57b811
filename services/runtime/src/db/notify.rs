//! A word from one instance to another that there is something to look at. PostgreSQL carries it; on
//! SQLite there is one instance. It may be lost: whoever listens also looks from time to time.

use sqlx::postgres::PgListener;

use super::{Backend, Database, error::DatabaseError};

/// A listener takes a connection for itself: not when there are few.
const CONNECTIONS_MIN: u32 = 4;

/// Hears what other instances tell with [`Database::tell`].
pub(crate) struct Listener(Option<PgListener>);

impl Listener {
    /// Hears nothing.
    pub(crate) fn deaf() -> Self {
        Self(None)
    }

    /// The next word. Never, when there is nobody to hear.
    pub(crate) async fn heard(&mut self) {
        if let Some(listener) = &mut self.0 {
            match listener.recv().await {
                Ok(_) => return,
                // It reconnects by itself; if that fails too, looking from time to time has to do.
                Err(error) => {
                    tracing::debug!(%error, "no word of other instances any more");
                    self.0 = None;
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

impl Database {
    /// Tells the instances that listen on `channel`, a name of ours and of this service's schema.
    pub(crate) async fn tell(&self, channel: &'static str) -> Result<(), DatabaseError> {
        if let Backend::Postgres(pool) = &self.0.backend {
            let name = pool.channel(channel);
            // As text, for the function's own type, void, is none of ours.
            self.query("SELECT CAST(pg_notify($1, '') AS TEXT)", &[name.into()]).await?;
        }
        Ok(())
    }

    /// Listens on `channel` from now on.
    pub(crate) async fn listen(&self, channel: &'static str) -> Result<Listener, DatabaseError> {
        match &self.0.backend {
            Backend::Postgres(pool) if pool.max_connections >= CONNECTIONS_MIN => {
                let mut listener =
                    PgListener::connect_with(pool.pool()).await.map_err(DatabaseError::connect)?;
                listener
                    .listen(&pool.channel(channel))
                    .await
                    .map_err(|error| DatabaseError::statement("LISTEN", error))?;
                Ok(Listener(Some(listener)))
            }
            _ => Ok(Listener(None)),
        }
    }
}
