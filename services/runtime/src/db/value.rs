//! Parameters and rows, the same for both databases. Columns are 64-bit integers, texts and bytes;
//! times are integers (Unix milliseconds). More is not needed, and what is not here cannot differ.

use sqlx::{Decode, Postgres, Row as _, Sqlite, Type, TypeInfo as _, ValueRef as _};

use super::error::DatabaseError;

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// Many integers in one parameter: `= ANY($1)` on PostgreSQL, and
    /// `IN (SELECT value FROM json_each($1))` on SQLite. See [`Sql`](super::Sql).
    Ints(Vec<i64>),
    /// Many texts in one parameter, likewise.
    Texts(Vec<String>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

/// As 0 or 1: PostgreSQL's boolean has no counterpart in SQLite.
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

/// As Unix milliseconds.
impl From<jiff::Timestamp> for Value {
    fn from(value: jiff::Timestamp) -> Self {
        Self::Int(value.as_millisecond())
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

/// As text.
impl From<uuid::Uuid> for Value {
    fn from(value: uuid::Uuid) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

impl From<Vec<i64>> for Value {
    fn from(value: Vec<i64>) -> Self {
        Self::Ints(value)
    }
}

impl From<Vec<String>> for Value {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer; columns are read by name.
#[derive(Debug)]
pub struct Row(Inner);

#[derive(Debug)]
enum Inner {
    Postgres(sqlx::postgres::PgRow),
    Sqlite(sqlx::sqlite::SqliteRow),
}

impl From<sqlx::postgres::PgRow> for Row {
    fn from(row: sqlx::postgres::PgRow) -> Self {
        Self(Inner::Postgres(row))
    }
}

impl From<sqlx::sqlite::SqliteRow> for Row {
    fn from(row: sqlx::sqlite::SqliteRow) -> Self {
        Self(Inner::Sqlite(row))
    }
}

impl Row {
    /// An integer. `EXISTS(…)` and comparisons are 0 or 1 on both databases. Mind that `SUM` of
    /// integers is a `numeric` on PostgreSQL: write `CAST(SUM(x) AS BIGINT)`.
    pub fn int(&self, column: &str) -> Result<i64, DatabaseError> {
        self.opt_int(column)?.ok_or_else(|| missing(column))
    }

    pub fn text(&self, column: &str) -> Result<String, DatabaseError> {
        self.opt_text(column)?.ok_or_else(|| missing(column))
    }

    pub fn bytes(&self, column: &str) -> Result<Vec<u8>, DatabaseError> {
        self.opt_bytes(column)?.ok_or_else(|| missing(column))
    }

    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, DatabaseError> {
        match &self.0 {
            Inner::Postgres(row) => postgres_int(row, column).map_err(|e| foreign(column, e)),
            Inner::Sqlite(row) => row.try_get(column).map_err(|e| foreign(column, e)),
        }
    }

    pub fn opt_text(&self, column: &str) -> Result<Option<String>, DatabaseError> {
        self.get(column)
    }

    pub fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.get(column)
    }

    fn get<T>(&self, column: &str) -> Result<Option<T>, DatabaseError>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match &self.0 {
            Inner::Postgres(row) => row.try_get(column),
            // The declared type BYTEA is unknown to SQLite, so the check of types would refuse it.
            Inner::Sqlite(row) => row.try_get_unchecked(column),
        }
        .map_err(|error| foreign(column, error))
    }
}

/// `COUNT` is int8, a literal `1` int4, `EXISTS` bool: all are integers to us, as on SQLite.
fn postgres_int(row: &sqlx::postgres::PgRow, column: &str) -> Result<Option<i64>, sqlx::Error> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(None);
    }
    Ok(match raw.type_info().name() {
        "INT4" => row.try_get::<Option<i32>, _>(column)?.map(i64::from),
        "BOOL" => row.try_get::<Option<bool>, _>(column)?.map(i64::from),
        _ => row.try_get(column)?,
    })
}

fn missing(column: &str) -> DatabaseError {
    DatabaseError::Column { column: column.to_owned(), source: None }
}

fn foreign(column: &str, source: sqlx::Error) -> DatabaseError {
    DatabaseError::Column { column: column.to_owned(), source: Some(source) }
}
