//! One connection of either database: binds values, runs statements, bounds the time of each.
//! Knows nothing of transactions.

use std::{borrow::Cow, io, time::Duration};

use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Postgres, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    pool::PoolConnection,
    postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo},
    sqlite::SqliteArguments,
};

use super::{
    postgres::Pooled,
    value::{Row, Value},
};

/// How long an answer is waited for, unless somebody knows better. It ends the wait on a link that is dead
/// without a word (no FIN, no RST), so that work goes on within ten seconds, and is far more than a statement
/// takes that is in order; one that waits for a lock is told so by the server before (see `postgres`).
pub(super) const USUAL_LIMIT: Duration = Duration::from_secs(8);
/// As that, where a person waits: then there is time for another connection.
pub(super) const PROMPT_LIMIT: Duration = Duration::from_secs(3);
/// As that, of a statement over many rows. The server's own limit, 30 s, ends before.
pub(super) const PATIENT_LIMIT: Duration = Duration::from_secs(35);

/// A statement in the words of each database, where they differ.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    pub postgres: &'static str,
    pub sqlite: &'static str,
}

/// One text that both understand.
impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self { postgres: text, sqlite: text }
    }
}

/// Which database this is, for the few statements that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    Sqlite,
}

pub(super) enum Link {
    Postgres(Pooled),
    Sqlite(PoolConnection<Sqlite>),
}

/// A statement's text, fixed or built from fixed parts.
pub(super) type Text = Cow<'static, str>;

impl Link {
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres(_) => Dialect::Postgres,
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    pub(super) fn pick(&self, sql: Sql) -> &'static str {
        match self {
            Self::Postgres(_) => sql.postgres,
            Self::Sqlite(_) => sql.sqlite,
        }
    }

    /// Runs a statement for its effect; the number of rows it touched.
    pub(super) async fn execute(
        &mut self,
        text: Text,
        params: Params,
        limit: Duration,
    ) -> Result<u64, sqlx::Error> {
        self.bounded(limit, async |link| {
            Ok(match (link, params) {
                (Self::Postgres(link), Params::Postgres(params)) => {
                    sqlx::query_with(AssertSqlSafe(text), params)
                        .execute(link.ask()?)
                        .await?
                        .rows_affected()
                }
                (Self::Sqlite(link), Params::Sqlite(params)) => {
                    sqlx::query_with(AssertSqlSafe(text), params)
                        .execute(&mut **link)
                        .await?
                        .rows_affected()
                }
                _ => return Err(mixed_up()),
            })
        })
        .await
    }

    /// Runs a statement for its rows. Statements bound their own answers with `LIMIT`.
    pub(super) async fn fetch(
        &mut self,
        text: Text,
        params: Params,
        limit: Duration,
    ) -> Result<Vec<Row>, sqlx::Error> {
        self.bounded(limit, async |link| {
            Ok(match (link, params) {
                (Self::Postgres(link), Params::Postgres(params)) => {
                    let query = sqlx::query_with(AssertSqlSafe(text), params);
                    query.fetch_all(link.ask()?).await?.into_iter().map(Row::from).collect()
                }
                (Self::Sqlite(link), Params::Sqlite(params)) => {
                    let query = sqlx::query_with(AssertSqlSafe(text), params);
                    query.fetch_all(&mut **link).await?.into_iter().map(Row::from).collect()
                }
                _ => return Err(mixed_up()),
            })
        })
        .await
    }

    /// Runs statements without parameters, unprepared: `BEGIN`, `COMMIT`, a migration.
    pub(super) async fn script(
        &mut self,
        text: &'static str,
        limit: Duration,
    ) -> Result<(), sqlx::Error> {
        self.bounded(limit, async |link| {
            match link {
                Self::Postgres(link) => {
                    sqlx::raw_sql(text).execute(link.ask()?).await?;
                }
                Self::Sqlite(link) => {
                    sqlx::raw_sql(text).execute(&mut **link).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// The connection is not fit for the pool any more.
    pub(super) fn close_on_drop(&mut self) {
        match self {
            Self::Postgres(link) => link.close_on_drop(),
            Self::Sqlite(link) => link.close_on_drop(),
        }
    }

    async fn bounded<T>(
        &mut self,
        limit: Duration,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        // A file has no other end that could be gone.
        let limit = match self.dialect() {
            Dialect::Postgres => limit,
            Dialect::Sqlite => limit.max(PATIENT_LIMIT),
        };
        if let Ok(result) = tokio::time::timeout(limit, work(self)).await {
            if let (Ok(_), Self::Postgres(link)) = (&result, &mut *self) {
                link.rest();
            }
            return result;
        }
        if let Self::Postgres(link) = self {
            link.doubt();
        }
        let silence = io::Error::new(io::ErrorKind::TimedOut, "no answer from the database");
        Err(sqlx::Error::Io(silence))
    }
}

fn mixed_up() -> sqlx::Error {
    sqlx::Error::Protocol("parameters of the other database".into())
}

/// Values as one of the two drivers wants them.
pub(super) enum Params {
    Postgres(PgArguments),
    Sqlite(SqliteArguments),
}

impl Params {
    pub(super) fn new(dialect: Dialect, values: &[Value]) -> Result<Self, sqlx::Error> {
        let mut params = Self::empty(dialect);
        for value in values {
            params.push(value)?;
        }
        Ok(params)
    }

    pub(super) fn empty(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Postgres => Self::Postgres(PgArguments::default()),
            Dialect::Sqlite => Self::Sqlite(SqliteArguments::default()),
        }
    }

    pub(super) fn push(&mut self, value: &Value) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(params) => match value {
                Value::Null => params.add(Untyped),
                Value::Int(value) => params.add(*value),
                Value::Text(value) => params.add(value.as_str()),
                Value::Bytes(value) => params.add(value.as_slice()),
                Value::Ints(values) => params.add(values.as_slice()),
                Value::Texts(values) => params.add(values.as_slice()),
            },
            Self::Sqlite(params) => match value {
                Value::Null => params.add(None::<i64>),
                Value::Int(value) => params.add(*value),
                Value::Text(value) => params.add(value.as_str()),
                Value::Bytes(value) => params.add(value.as_slice()),
                Value::Ints(values) => params.add(serde_json::json!(values).to_string()),
                Value::Texts(values) => params.add(serde_json::json!(values).to_string()),
            },
        }
        .map_err(sqlx::Error::Encode)
    }

    /// One column of many rows, for `UNNEST`.
    pub(super) fn push_column<T>(&mut self, column: Vec<Option<T>>) -> Result<(), sqlx::Error>
    where
        Vec<Option<T>>: for<'q> Encode<'q, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Postgres(params) => params.add(column).map_err(sqlx::Error::Encode),
            Self::Sqlite(_) => Err(mixed_up()),
        }
    }
}

/// A NULL that leaves its type to the server. A NULL that claims to be a text is refused where an
/// integer belongs, and a [`Value`] does not know its column.
struct Untyped;

impl Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        /// `unknown`, see `pg_type.dat`: parameters of it are inferred from the statement.
        const UNKNOWN: sqlx::postgres::types::Oid = sqlx::postgres::types::Oid(705);
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}
