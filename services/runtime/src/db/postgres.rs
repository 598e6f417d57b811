//! Pools of connections to PostgreSQL: one schema a shop and service, every wait bounded, and a URL that may
//! change while the service runs.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use storefront_contract::{
    ServiceId, Shop,
    settings::{DatabaseSettings, DatabaseUrl},
};
use uuid::Uuid;

use super::{
    error::DatabaseError,
    url::{self, Url},
};

/// How long to wait for a connection, whether the pool is exhausted or the server away.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// A connection is replaced after this time, so that a rotated password or a moved server is taken
/// up without a failure.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 60);
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);

/// Every connection's limits. The server ends a statement before the client gives up on it (see
/// `link`), and a transaction that a lost client left open.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = warning;";

pub(super) struct PostgresPool {
    pool: PgPool,
    schema: Arc<str>,
    url: DatabaseUrl,
    /// The URL that the pool connects with now.
    current: Mutex<Url>,
    /// How many connections there can be.
    pub(super) max_connections: u32,
}

impl PostgresPool {
    pub(super) fn open(
        settings: &DatabaseSettings,
        text: Url,
        schema: Arc<str>,
    ) -> Result<Self, DatabaseError> {
        let session: Arc<str> = format!("{SESSION} SET search_path TO \"{schema}\"").into();
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(ACQUIRE_LIMIT)
            .max_lifetime(LIFETIME_MAX)
            .idle_timeout(IDLE_MAX)
            // A ping before each use would cost a round trip; `Database::begin` tries another
            // connection when it meets a dead one.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let session = Arc::clone(&session);
                Box::pin(async move {
                    sqlx::raw_sql(sqlx::AssertSqlSafe(session))
                        .execute(connection)
                        .await
                        .map(|_| ())
                })
            })
            .connect_lazy_with(options(&text)?);
        let current = Mutex::new(text);
        let url = settings.url.clone();
        Ok(Self { pool, schema, url, current, max_connections: settings.max_connections })
    }

    /// A connection. When none can be made, the URL is read again: its Secret may have been rotated.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, DatabaseError> {
        let first = self.pool.acquire().await;
        match first {
            Ok(connection) => Ok(connection),
            Err(error) => {
                if !self.reload()? {
                    return Err(DatabaseError::connect(error));
                }
                self.pool.acquire().await.map_err(DatabaseError::connect)
            }
        }
    }

    /// Takes up a changed URL; whether it changed.
    fn reload(&self) -> Result<bool, DatabaseError> {
        let fresh = url::read(&self.url)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == fresh {
            return Ok(false);
        }
        self.pool.set_connect_options(options(&fresh)?);
        *current = fresh;
        tracing::info!("the database URL was rotated");
        Ok(true)
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Channels are the whole database's, which several shops and services may share.
    pub(super) fn channel(&self, name: &str) -> String {
        identifier(format!("{}_{name}", self.schema))
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

fn options(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| DatabaseError::Url { problem: "is no PostgreSQL URL" })?;
    // Statements are logged where they fail, and slow ones are the server's to tell.
    Ok(options.application_name("storefront").disable_statement_logging())
}

/// The schema of one service of one shop. No part has a `_` in it, so that no two are alike.
pub(super) fn schema(shop: &Shop, service: ServiceId) -> String {
    identifier(format!("{}_{}_{service}", shop.namespace(), shop.name()))
}

/// PostgreSQL cuts longer names off without a word, after which two may be one.
const IDENTIFIER_MAX_BYTES: usize = 63;
const HASH_LENGTH: usize = 12;

/// A name of ours as PostgreSQL takes it: a long one ends with a hash of the whole.
fn identifier(mut name: String) -> String {
    if name.len() > IDENTIFIER_MAX_BYTES {
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
        name.truncate(IDENTIFIER_MAX_BYTES - HASH_LENGTH - 1);
        name.push('_');
        name.push_str(&hash[..HASH_LENGTH]);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(shop: &str) -> String {
        schema(&shop.parse().unwrap(), ServiceId::Analytics)
    }

    #[test]
    fn each_shop_has_schemas_of_its_own() {
        assert_eq!(of("default/my-shop"), "default_my-shop_analytics");
        assert_ne!(of("a-b/c"), of("a/b-c"));
    }

    #[test]
    fn long_names_fit_and_stay_apart() {
        let shop = |end: &str| format!("{}/{}{end}", "n".repeat(63), "s".repeat(39));
        let (one, other) = (of(&shop("1")), of(&shop("2")));
        assert_eq!((one.len(), other.len()), (63, 63));
        assert_ne!(one, other);
        assert_eq!(one, of(&shop("1")));
    }
}
