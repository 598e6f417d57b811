//! A transaction. Owns its connection until commit or rollback; no statement of it runs elsewhere.
//! Behaves alike on both databases: after an error nothing but a rollback is possible.

use std::{marker::PhantomData, pin::Pin, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::watch};

use super::{
    error::{DatabaseError, Kind, classify, is_cut},
    insert::{self, OnConflict},
    link::{Dialect, Link, PROMPT_LIMIT, Params, Sql, Text},
    value::{Row, Value},
};

/// What [`Database::transact`](super::Database::transact) runs: `|tx| Box::pin(async move { … })`.
pub type Work<'t, T> = Pin<Box<dyn Future<Output = T> + Send + 't>>;

/// How long a forgotten transaction may take to roll back before its connection is closed.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(5);
/// Longest time for one step of a migration.
const MIGRATION_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A transaction. Dropped without [`Tx::commit`] it is rolled back.
///
/// The lifetime has no meaning of its own: it lets a closure given to `transact` borrow from outside.
pub struct Tx<'a> {
    /// Empty only while the transaction is being taken apart.
    link: Option<Link>,
    failed: Option<Kind>,
    /// Its connection was ended.
    cut: bool,
    /// How long each statement may take.
    limit: Duration,
    /// Told after a commit, when somebody waits for what it wrote.
    written: Arc<watch::Sender<()>>,
    wakes: bool,
    runtime: Handle,
    scope: PhantomData<&'a ()>,
}

impl Tx<'_> {
    pub(super) async fn begin(
        link: Link,
        limit: Duration,
        written: Arc<watch::Sender<()>>,
        runtime: Handle,
    ) -> Result<Self, DatabaseError> {
        let begin = match link.dialect() {
            Dialect::Postgres => "BEGIN",
            // A deferred transaction that first reads and then writes fails with SQLITE_BUSY without
            // waiting when another one wrote in between; taking the lock at once avoids that.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
        };
        // Made before it is begun: a caller who goes away while we wait for the answer leaves a
        // transaction that is open, and only `Drop` can end it.
        let (link, failed, cut, wakes, scope) = (Some(link), None, false, false, PhantomData);
        // This takes no time, and is what meets a connection that has died unused.
        let mut tx =
            Self { link, failed, cut, limit: PROMPT_LIMIT, written, wakes, runtime, scope };
        match tx.control(begin).await {
            Ok(()) => {
                tx.limit = limit;
                Ok(tx)
            }
            Err(error) => {
                if let Some(mut link) = tx.link.take() {
                    link.close_on_drop();
                }
                Err(error)
            }
        }
    }

    /// Which database this is, for the few statements that differ.
    pub fn dialect(&self) -> Dialect {
        self.link.as_ref().map_or(Dialect::Sqlite, Link::dialect)
    }

    /// Runs a statement for its effect; the number of rows it touched. Parameters are `$1`, `$2`, ….
    pub async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<u64, DatabaseError> {
        let (text, params) = self.prepare(sql.into(), params)?;
        self.execute_text(text, params).await
    }

    /// Runs a statement for its rows. Bound the answer with `LIMIT`: it is held in memory.
    pub async fn query(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<Vec<Row>, DatabaseError> {
        let (text, params) = self.prepare(sql.into(), params)?;
        self.fetch_text(text, params).await
    }

    /// The first row, if there is one.
    pub async fn query_one(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Value],
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Inserts many rows in one round trip (a few on SQLite, where a round trip costs nothing), in
    /// their order. Returns how many are new; with [`OnConflict::Ignore`] those that exist already are
    /// left out, otherwise they are an error.
    pub async fn insert(
        &mut self,
        table: &'static str,
        columns: &'static [&'static str],
        rows: Vec<Vec<Value>>,
        on_conflict: OnConflict,
    ) -> Result<u64, DatabaseError> {
        let mut inserted = 0;
        for part in insert::statements(self.dialect(), table, columns, rows, on_conflict, &[])? {
            inserted += self.execute_text(part.text.into(), part.params).await?;
        }
        Ok(inserted)
    }

    /// Like [`Tx::insert`], and returns some columns of the rows that are new.
    pub async fn insert_returning(
        &mut self,
        table: &'static str,
        columns: &'static [&'static str],
        rows: Vec<Vec<Value>>,
        on_conflict: OnConflict,
        returning: &'static [&'static str],
    ) -> Result<Vec<Row>, DatabaseError> {
        let mut inserted = Vec::with_capacity(rows.len());
        let parts =
            insert::statements(self.dialect(), table, columns, rows, on_conflict, returning)?;
        for part in parts {
            inserted.extend(self.fetch_text(part.text.into(), part.params).await?);
        }
        Ok(inserted)
    }

    /// Makes everything of this transaction last. After [`DatabaseError::CommitUnknown`] it may or may
    /// not have: read before you repeat.
    pub async fn commit(mut self) -> Result<(), DatabaseError> {
        // PostgreSQL answers COMMIT of a failed transaction by a rollback and no error at all. A caller
        // who swallowed an error would believe in a commit that never was.
        if let Some(kind) = self.failed {
            self.finish("ROLLBACK").await.ok();
            return Err(DatabaseError::Aborted { kind });
        }
        match self.finish("COMMIT").await {
            Ok(()) => {
                if self.wakes {
                    self.written.send_replace(());
                }
                Ok(())
            }
            // The server has answered: it did not commit. Unless it was told to end the connection, which may reach
            // it at any step.
            Err(error @ sqlx::Error::Database(_)) if !is_cut(&error) => {
                Err(DatabaseError::statement("COMMIT", error))
            }
            Err(error) => Err(DatabaseError::CommitUnknown(error)),
        }
    }

    /// Undoes everything at once, instead of in the background as dropping does.
    pub async fn rollback(mut self) {
        self.finish("ROLLBACK").await.ok();
    }

    /// How long each further statement may take; what it was before.
    pub(crate) fn wait_at_most(&mut self, limit: Duration) -> Duration {
        std::mem::replace(&mut self.limit, limit)
    }

    /// Tells those who wait on [`Database::written`](super::Database::written) after the commit.
    pub(crate) fn wake_on_commit(&mut self) {
        self.wakes = true;
    }

    /// Marks a point to return to. One at a time is enough for all uses here.
    pub(crate) async fn savepoint(&mut self) -> Result<(), DatabaseError> {
        self.control("SAVEPOINT step").await
    }

    /// Keeps what was done since the savepoint.
    pub(crate) async fn release(&mut self) -> Result<(), DatabaseError> {
        self.control("RELEASE SAVEPOINT step").await
    }

    /// Undoes what was done since the savepoint, failed or not. Fails when the connection is gone.
    pub(crate) async fn rollback_to_savepoint(&mut self) -> Result<(), DatabaseError> {
        // A lost connection stays lost; a failed statement is what this undoes.
        self.failed = None;
        self.control("ROLLBACK TO SAVEPOINT step; RELEASE SAVEPOINT step").await
    }

    /// What the first failed statement was, if one was.
    pub(crate) fn failure(&self) -> Option<Kind> {
        self.failed
    }

    /// Whether it failed because its connection was ended, with nothing of it committed.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// A statement built from fixed names, without parameters.
    pub(super) async fn execute_built(&mut self, text: String) -> Result<u64, DatabaseError> {
        let params = Params::empty(self.dialect());
        self.execute_text(text.into(), params).await
    }

    /// The text for this database.
    pub(super) fn pick(&self, sql: Sql) -> &'static str {
        self.link.as_ref().map_or(sql.sqlite, |link| link.pick(sql))
    }

    /// One step of a migration, which may take its time.
    pub(super) async fn migrate(&mut self, text: &'static str) -> Result<(), DatabaseError> {
        let result = self.link()?.script(text, MIGRATION_LIMIT).await;
        self.note(text.into(), result)
    }

    pub(super) async fn control(&mut self, text: &'static str) -> Result<(), DatabaseError> {
        let limit = self.limit;
        let result = self.link()?.script(text, limit).await;
        self.note(text.into(), result)
    }

    fn prepare(&mut self, sql: Sql, params: &[Value]) -> Result<(Text, Params), DatabaseError> {
        let link = self.link()?;
        let text = link.pick(sql);
        let params = Params::new(link.dialect(), params)
            .map_err(|error| DatabaseError::statement(text, error))?;
        Ok((text.into(), params))
    }

    async fn execute_text(&mut self, text: Text, params: Params) -> Result<u64, DatabaseError> {
        let limit = self.limit;
        let result = self.link()?.execute(text.clone(), params, limit).await;
        self.note(text, result)
    }

    async fn fetch_text(&mut self, text: Text, params: Params) -> Result<Vec<Row>, DatabaseError> {
        let limit = self.limit;
        let result = self.link()?.fetch(text.clone(), params, limit).await;
        self.note(text, result)
    }

    fn link(&mut self) -> Result<&mut Link, DatabaseError> {
        match (self.failed, &mut self.link) {
            (None, Some(link)) => Ok(link),
            (kind, _) => Err(DatabaseError::Aborted { kind: kind.unwrap_or(Kind::Broken) }),
        }
    }

    fn note<T>(&mut self, text: Text, result: Result<T, sqlx::Error>) -> Result<T, DatabaseError> {
        result.map_err(|error| {
            let kind = classify(&error);
            self.failed.get_or_insert(kind);
            self.cut |= is_cut(&error);
            // Whatever was not an answer of the server leaves the connection in an unknown state. A
            // demoted primary answers, and keeps its connections: they must not be used again.
            if kind == Kind::Unavailable
                && let Some(link) = &mut self.link
            {
                link.close_on_drop();
            }
            DatabaseError::statement(text, error)
        })
    }

    /// Whether the connection is closed in any case, which undoes everything. Whoever has not answered would be
    /// waited for once more.
    fn is_lost(&self) -> bool {
        self.failed == Some(Kind::Unavailable) && self.dialect() == Dialect::Postgres
    }

    async fn finish(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        if self.is_lost() {
            self.link = None;
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        let result = link.script(text, self.limit).await;
        if result.is_err() {
            link.close_on_drop();
        }
        // Not before the answer: a future dropped while waiting leaves the rest to `Drop`.
        self.link = None;
        result
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        // sqlx returns connections by spawning, which needs a runtime even on a foreign thread.
        let _entered = self.runtime.enter();
        let is_lost = self.is_lost();
        let Some(mut link) = self.link.take().filter(|_| !is_lost) else { return };
        self.runtime.spawn(async move {
            if link.script("ROLLBACK", ROLLBACK_LIMIT).await.is_err() {
                link.close_on_drop();
            }
        });
    }
}
