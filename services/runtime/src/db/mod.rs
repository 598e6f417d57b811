//! The narrow door to a database: transactions, statements with `$1`, rows of integers, texts and
//! bytes. PostgreSQL in a cluster (one schema a shop and service), SQLite on a laptop (one file a service);
//! both behave alike here, and one test suite holds that. Knows nothing of events.

mod error;
mod group;
mod insert;
mod lease;
mod link;
mod migrate;
mod notify;
mod postgres;
mod sqlite;
mod tx;
mod url;
mod value;
mod warm;

use std::{sync::Arc, time::Duration};

use storefront_contract::{ServiceId, Shop, settings::DatabaseSettings};
use tokio::{runtime::Handle, sync::watch};

pub use self::{
    error::{DatabaseError, Kind},
    group::Group,
    insert::OnConflict,
    lease::Lease,
    link::{Dialect, Sql},
    migrate::Migration,
    tx::{Tx, Work},
    value::{Row, Value},
};
use self::{
    link::{Link, PATIENT_LIMIT, PROMPT_LIMIT, Params, USUAL_LIMIT},
    postgres::{PostgresPool, schema},
    sqlite::SqlitePools,
    url::Place,
};

/// How often a transaction that lost against another one is run.
const ATTEMPTS_MAX: u32 = 5;
/// How often a transaction is run again whose connection was ended: its next one is seen to be alive first.
const CUTS_MAX: u32 = 3;
/// How long to wait for a database at the start: it may be starting too, after its image and its disk have come.
const OPEN_LIMIT: Duration = Duration::from_secs(600);

/// A service's database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// How long each statement may take.
    limit: Duration,
}

struct Inner {
    backend: Backend,
    written: Arc<watch::Sender<()>>,
    runtime: Handle,
}

enum Backend {
    Postgres(Box<PostgresPool>),
    Sqlite(SqlitePools),
}

impl Database {
    /// Opens PostgreSQL (`postgres://…`, in a schema of this shop's and service's own, so that shops may
    /// share a database) or SQLite (`sqlite:PATH`) and migrates the runtime's tables and the service's. A
    /// server that does not answer is waited for, 10 minutes at most.
    pub async fn open(
        settings: &DatabaseSettings,
        shop: &Shop,
        service: ServiceId,
        migrations: &'static [Migration],
    ) -> Result<Self, DatabaseError> {
        let steps = [("runtime", crate::store::MIGRATIONS), ("service", migrations)];
        let schema: Arc<str> = schema(shop, service).into();
        let deadline = tokio::time::Instant::now() + OPEN_LIMIT;
        let mut delay = Duration::from_millis(100);
        loop {
            let opened = async {
                let database = Self::connect(settings, Arc::clone(&schema))?;
                migrate::migrate(&database, &schema, &steps).await?;
                database.forget_dead_leases().await.map(|()| database)
            };
            match opened.await {
                Err(error)
                    if error.is_temporary() && tokio::time::Instant::now() + delay < deadline =>
                {
                    tracing::warn!(
                        error = crate::text::chain(&error),
                        "the database does not answer yet"
                    );
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(Duration::from_secs(5));
                }
                result => return result,
            }
        }
    }

    /// A SQLite file that nobody used when we opened it has no living holder of a lease: whoever was
    /// killed need not be waited for.
    async fn forget_dead_leases(&self) -> Result<(), DatabaseError> {
        if let Backend::Sqlite(pools) = &self.inner.backend {
            if pools.is_alone {
                self.query("DELETE FROM leases", &[]).await?;
            }
            pools.share();
        }
        Ok(())
    }

    fn connect(settings: &DatabaseSettings, schema: Arc<str>) -> Result<Self, DatabaseError> {
        let text = url::read(&settings.url)?;
        let backend = match url::place(&text)? {
            Place::Postgres => {
                Backend::Postgres(Box::new(PostgresPool::open(settings, text, schema)?))
            }
            Place::Sqlite(path) => Backend::Sqlite(SqlitePools::open(&path)?),
        };
        let written = Arc::new(watch::Sender::new(()));
        let inner = Arc::new(Inner { backend, written, runtime: Handle::current() });
        Ok(Self { inner, limit: USUAL_LIMIT })
    }

    /// The same database, where a person waits for the answer: a statement is given up after three seconds,
    /// so that there is time to ask again on another connection.
    #[must_use]
    pub fn prompt(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), limit: PROMPT_LIMIT }
    }

    /// The same database, for statements over many rows: they may take half a minute.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), limit: PATIENT_LIMIT }
    }

    /// Which database this is, for the few statements that differ.
    pub fn dialect(&self) -> Dialect {
        match &self.inner.backend {
            Backend::Postgres(_) => Dialect::Postgres,
            Backend::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Begins a transaction. On SQLite it is the only writer from here on.
    pub async fn begin(&self) -> Result<Tx<'static>, DatabaseError> {
        // After a restart of the server every pooled connection is dead: each is met once.
        let mut attempts = self.connections_max() + 1;
        loop {
            attempts -= 1;
            let (written, runtime) = (Arc::clone(&self.inner.written), self.inner.runtime.clone());
            match Tx::begin(self.writer().await?, self.limit, written, runtime).await {
                Err(error) if error.kind() == Kind::Unavailable && attempts > 0 => {
                    attempts = attempts_after(&error, attempts);
                }
                result => return result,
            }
        }
    }

    /// Runs `work` in a transaction and commits. A transaction that lost against another one
    /// (`40001`, `40P01`, `SQLITE_BUSY`) is run again from the start, 5 times in all, and one whose
    /// connection was ended before its commit 3 times more, so `work` must have no other effects. Written as a closure that boxes its future, because that future has to
    /// be `Send`, which an `AsyncFnMut` cannot promise yet:
    ///
    /// ```
    /// # use storefront_runtime::{Database, DatabaseError};
    /// # async fn example(database: &Database, id: String) -> Result<(), DatabaseError> {
    /// let id = &id;
    /// database
    ///     .transact(|tx| {
    ///         Box::pin(async move {
    ///             tx.execute("DELETE FROM drafts WHERE id = $1", &[id.into()]).await?;
    ///             Ok::<_, DatabaseError>(())
    ///         })
    ///     })
    ///     .await
    /// # }
    /// ```
    pub async fn transact<'env, T, E: From<DatabaseError>>(
        &self,
        mut work: impl for<'t> FnMut(&'t mut Tx<'env>) -> Work<'t, Result<T, E>> + Send,
    ) -> Result<T, E> {
        let (mut attempt, mut cuts) = (1, 0);
        loop {
            let mut tx: Tx<'env> = match self.begin().await {
                Err(error) if error.kind() == Kind::Conflict && attempt < ATTEMPTS_MAX => {
                    lost(&mut attempt).await;
                    continue;
                }
                result => result?,
            };
            let error = match work(&mut tx).await {
                Ok(value) => match tx.commit().await {
                    Ok(()) => return Ok(value),
                    Err(error) if error.kind() != Kind::Conflict => return Err(error.into()),
                    Err(error) => error.into(),
                },
                Err(error) => {
                    let (again, cut) = (tx.failure() == Some(Kind::Conflict), tx.is_cut());
                    tx.rollback().await;
                    if cut && cuts < CUTS_MAX {
                        cuts += 1;
                        continue;
                    }
                    if !again {
                        return Err(error);
                    }
                    error
                }
            };
            if attempt >= ATTEMPTS_MAX {
                return Err(error);
            }
            lost(&mut attempt).await;
        }
    }

    /// Runs one statement outside a transaction: it is its own. On SQLite one that begins with
    /// `SELECT` runs beside the writer.
    pub async fn query(
        &self,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<Vec<Row>, DatabaseError> {
        let sql = sql.into();
        // A read may be repeated on another connection, a write may have happened.
        self.ask(sql, params, reads(sql)).await
    }

    /// As [`Database::query`], for a write that may happen twice, because it names its rows and what they are
    /// afterwards: it is run again at once when its connection turns out to be dead.
    pub async fn query_repeatable(
        &self,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<Vec<Row>, DatabaseError> {
        self.ask(sql.into(), params, true).await
    }

    async fn ask(
        &self,
        sql: Sql,
        params: &[Value],
        again: bool,
    ) -> Result<Vec<Row>, DatabaseError> {
        let reads = reads(sql);
        let mut attempts = if again { self.connections_max() + 1 } else { 1 };
        loop {
            attempts -= 1;
            let mut link = if reads { self.reader().await? } else { self.writer().await? };
            let text = link.pick(sql);
            let params = Params::new(link.dialect(), params)
                .map_err(|error| DatabaseError::statement(text, error))?;
            match link.fetch(text.into(), params, self.limit).await {
                Ok(rows) => return Ok(rows),
                Err(error) => {
                    let error = DatabaseError::statement(text, error);
                    if error.kind() == Kind::Unavailable {
                        link.close_on_drop();
                        if attempts > 0 {
                            attempts = attempts_after(&error, attempts);
                            continue;
                        }
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Changes after each commit, in this process, of a transaction that asked to tell it.
    pub(crate) fn written(&self) -> watch::Receiver<()> {
        self.inner.written.subscribe()
    }

    /// Tells those who wait on [`Database::written`] to look again.
    pub(crate) fn wake(&self) {
        self.inner.written.send_replace(());
    }

    /// The database's clock, in Unix milliseconds.
    pub async fn now_ms(&self) -> Result<i64, DatabaseError> {
        let rows = self.query(lease::NOW, &[]).await?;
        rows.first().ok_or(DatabaseError::Shape)?.int("now")
    }

    /// Closes every connection, after their transactions.
    pub async fn close(&self) {
        match &self.inner.backend {
            Backend::Postgres(pool) => pool.close().await,
            Backend::Sqlite(pools) => pools.close().await,
        }
    }

    fn connections_max(&self) -> u32 {
        match &self.inner.backend {
            Backend::Postgres(pool) => pool.max_connections,
            Backend::Sqlite(_) => 1,
        }
    }

    async fn writer(&self) -> Result<Link, DatabaseError> {
        Ok(match &self.inner.backend {
            Backend::Postgres(pool) => Link::Postgres(pool.acquire().await?),
            Backend::Sqlite(pools) => Link::Sqlite(pools.writer().await?),
        })
    }

    async fn reader(&self) -> Result<Link, DatabaseError> {
        Ok(match &self.inner.backend {
            Backend::Postgres(pool) => Link::Postgres(pool.acquire().await?),
            Backend::Sqlite(pools) => Link::Sqlite(pools.reader().await?),
        })
    }
}

fn reads(sql: Sql) -> bool {
    sql.sqlite.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT"))
}

/// How often to try again after a connection has failed. One that is closed is met at once, and the next may be,
/// too; after one that was silent the others are looked at before they are used, and silence again means that
/// the database is away.
fn attempts_after(error: &DatabaseError, attempts: u32) -> u32 {
    if error.is_silence() { attempts.min(1) } else { attempts }
}

/// Waits a little, at random, so that two that collided do not collide again.
async fn lost(attempt: &mut u32) {
    let most_ms = 10_u64 << *attempt;
    *attempt += 1;
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=most_ms))).await;
}
