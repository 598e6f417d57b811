//! Pools of connections to PostgreSQL: one schema a shop and service, every wait bounded, and a URL that may
//! change while the service runs.
//!
//! A connection may die without a word: a node is gone, a firewall has forgotten it. sqlx has no way to a
//! connection's socket, so that the kernel cannot be asked to look, and each wait for an answer has a limit
//! instead. What one connection shows is a reason to doubt the others: each is looked at before its next use.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use storefront_contract::{
    ServiceId, Shop,
    settings::{DatabaseSettings, DatabaseUrl},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{timeout, timeout_at},
};
use uuid::Uuid;

use super::{
    error::DatabaseError,
    notify::Listener,
    url::{self, Url},
    warm::Warm,
};

/// How long to wait for a connection, whether the pool is exhausted or the server away.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);
/// A connection is replaced after this time, so that a rotated password or a moved server is taken
/// up without a failure.
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 60);
const IDLE_MAX: Duration = Duration::from_secs(5 * 60);
/// A connection that has been idle for longer is looked at before it is used: what forgets connections forgets
/// idle ones, and one round trip is little where so few come.
pub(super) const TRUSTED: Duration = Duration::from_secs(5);
/// How long a connection's answer to nothing at all is waited for.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// One connection is for listening; not when there are fewer.
const LISTENER_MIN: u32 = 4;

/// Every connection's limits. The server ends a long statement, the wait for a lock, and a transaction whose
/// client sleeps, before the client gives up on them (see `link`).
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = warning;";
/// What makes the server notice within ten seconds that its client is gone, also in the middle of a statement, and
/// give up the locks that it holds. A version or a system that does not know one of them goes without.
const WATCH: &str = "SELECT set_config(name, value, false) FROM (VALUES \
    ('tcp_keepalives_idle', '4'), ('tcp_keepalives_interval', '1'), ('tcp_keepalives_count', '4'), \
    ('tcp_user_timeout', '8000'), ('client_connection_check_interval', '2000')) AS wanted (name, value) \
    JOIN pg_settings USING (name)";

pub(super) struct PostgresPool {
    pool: PgPool,
    /// One for each connection that may be in use.
    places: Arc<Semaphore>,
    warm: Warm,
    options: PgPoolOptions,
    /// One more connection is for it.
    listens: bool,
    doubt: Doubt,
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
        let listens = settings.max_connections >= LISTENER_MIN;
        let max_connections = settings.max_connections - u32::from(listens);
        let doubt = Doubt::default();
        let options = pool_options(format!("{SESSION} SET search_path TO \"{schema}\""), &doubt);
        let pool = options
            .clone()
            .max_connections(max_connections)
            .connect_lazy_with(connect_options(&text)?);
        let places = Arc::new(Semaphore::new(max_connections as usize));
        let warm = Warm::new(&pool, &doubt);
        let current = Mutex::new(text);
        let url = settings.url.clone();
        Ok(Self {
            pool,
            places,
            warm,
            options,
            listens,
            doubt,
            schema,
            url,
            current,
            max_connections,
        })
    }

    /// A connection. When none can be made, the URL is read again: its Secret may have been rotated.
    pub(super) async fn acquire(&self) -> Result<Pooled, DatabaseError> {
        let deadline = tokio::time::Instant::now() + ACQUIRE_LIMIT;
        let place = self.place(deadline).await?;
        let doubt = self.doubt.clone();
        while let Some(mut one) = self.warm.take() {
            if !doubt.is_about(one.since.elapsed()) || answers(&mut one.connection).await {
                return Ok(self.pooled(one.connection, one.borrowed_at, place));
            }
            one.connection.close_on_drop();
        }
        let before = Arc::clone(&self.current());
        let connection = match self.borrow(deadline).await {
            Ok(connection) => connection,
            Err(error) => {
                if !self.reload(&before)? {
                    return Err(DatabaseError::connect(error));
                }
                let deadline = tokio::time::Instant::now() + ACQUIRE_LIMIT;
                self.borrow(deadline).await.map_err(DatabaseError::connect)?
            }
        };
        Ok(self.pooled(connection, Instant::now(), place))
    }

    /// Waits until a connection may be had.
    async fn place(
        &self,
        deadline: tokio::time::Instant,
    ) -> Result<OwnedSemaphorePermit, DatabaseError> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        match timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(DatabaseError::connect(sqlx::Error::PoolTimedOut)),
        }
    }

    /// One from sqlx, which has it or makes it. Boxed, as it is large and seldom, and part of each statement.
    async fn borrow(
        &self,
        deadline: tokio::time::Instant,
    ) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let acquired = Box::pin(timeout_at(deadline, self.pool.acquire()));
        acquired.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    fn pooled(
        &self,
        connection: PoolConnection<Postgres>,
        borrowed_at: Instant,
        place: OwnedSemaphorePermit,
    ) -> Pooled {
        Pooled {
            connection: Some(connection),
            borrowed_at,
            warm: self.warm.clone(),
            doubt: self.doubt.clone(),
            is_closing: false,
            is_busy: false,
            _place: place,
        }
    }

    /// Takes up a changed URL; whether it is another one than `before`. Of several that fail at once one takes it up, and all
    /// have a reason to try again.
    fn reload(&self, before: &Url) -> Result<bool, DatabaseError> {
        let fresh = url::read(&self.url)?;
        let mut current = self.current();
        if *current != fresh {
            self.pool.set_connect_options(connect_options(&fresh)?);
            *current = fresh;
            tracing::info!("the database URL was rotated");
        }
        Ok(*current != *before)
    }

    fn current(&self) -> MutexGuard<'_, Url> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A listener of its own connection; none where there are too few.
    pub(super) fn listener(&self, channel: &str) -> Listener {
        if !self.listens {
            return Listener::deaf();
        }
        // A pool of its own: the end of a listener whose connection is dead takes for ever, and keeps its place.
        let (pool, options) = (self.pool.clone(), self.options.clone().max_connections(1));
        let connect = move || options.clone().connect_lazy_with((*pool.connect_options()).clone());
        Listener::start(connect, self.channel(channel), self.doubt.0.subscribe())
    }

    /// Channels are the whole database's, which several shops and services may share.
    pub(super) fn channel(&self, name: &str) -> String {
        identifier(format!("{}_{name}", self.schema))
    }

    pub(super) async fn close(&self) {
        // Closed from here on, so that nothing is kept after what was kept is let go.
        let closed = self.pool.close();
        self.warm.clear();
        closed.await;
    }
}

/// When connections were last found dead, or silent, so that those which were alive before need not be any more.
#[derive(Clone)]
pub(super) struct Doubt(Arc<watch::Sender<Instant>>);

impl Default for Doubt {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Instant::now())))
    }
}

impl Doubt {
    fn raise(&self) {
        self.0.send_replace(Instant::now());
    }

    /// Whether a connection that has been idle for so long has to be looked at.
    fn is_about(&self, idle_for: Duration) -> bool {
        idle_for > TRUSTED || self.0.borrow().elapsed() <= idle_for
    }
}

/// A connection in use.
pub(super) struct Pooled {
    /// Empty only while it is taken apart.
    connection: Option<PoolConnection<Postgres>>,
    borrowed_at: Instant,
    warm: Warm,
    doubt: Doubt,
    is_closing: bool,
    /// Whether it has not ended what it was asked, or not well.
    is_busy: bool,
    _place: OwnedSemaphorePermit,
}

impl Pooled {
    /// The connection, to ask it something.
    pub(super) fn ask(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        self.is_busy = true;
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// It has answered, and waits for the next question.
    pub(super) fn rest(&mut self) {
        self.is_busy = false;
    }

    pub(super) fn close_on_drop(&mut self) {
        self.is_closing = true;
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }

    /// It has not answered.
    pub(super) fn doubt(&self) {
        self.doubt.raise();
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take().filter(|_| !self.is_closing) else { return };
        if self.is_busy {
            give_back(connection, &self.doubt);
        } else {
            self.warm.put(connection, self.borrowed_at);
        }
    }
}

/// Gives a connection back to sqlx, which waits without a limit for its last word, and keeps its place meanwhile: here
/// it has one.
pub(super) fn give_back(mut connection: PoolConnection<Postgres>, doubt: &Doubt) {
    let (back, doubt) = (connection.return_to_pool(), doubt.clone());
    tokio::spawn(async move {
        // Dropped half-way, it is closed.
        if timeout(PING_LIMIT, back).await.is_err() {
            doubt.raise();
        }
    });
}

/// Whether a connection is alive.
async fn answers(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING_LIMIT, connection.ping()).await, Ok(Ok(())))
}

fn pool_options(session: String, doubt: &Doubt) -> PgPoolOptions {
    let (session, doubt): (Arc<str>, _) = (session.into(), doubt.clone());
    PgPoolOptions::new()
        .acquire_timeout(ACQUIRE_LIMIT)
        .max_lifetime(LIFETIME_MAX)
        .idle_timeout(IDLE_MAX)
        // Not a ping before each use: that would cost a round trip.
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let looks = doubt.is_about(meta.idle_for);
            Box::pin(async move {
                // Another one is opened for it at once.
                Ok(!looks || answers(connection).await)
            })
        })
        .after_connect(move |connection, _| {
            let session = Arc::clone(&session);
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(session)).execute(&mut *connection).await?;
                match sqlx::raw_sql(WATCH).execute(connection).await {
                    Err(error @ sqlx::Error::Database(_)) => {
                        tracing::debug!(%error, "the server does not watch its clients");
                        Ok(())
                    }
                    result => result.map(|_| ()),
                }
            })
        })
}

fn connect_options(url: &str) -> Result<PgConnectOptions, DatabaseError> {
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
