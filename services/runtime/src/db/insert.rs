//! Many rows in one statement. PostgreSQL gets typed arrays, so that the text (and the prepared plan)
//! is the same for any number of rows; SQLite gets chunks of a few fixed sizes for the same reason.

use std::fmt::Write as _;

use super::{
    error::DatabaseError,
    link::{Dialect, Params},
    value::Value,
};

/// What happens to a row whose key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The statement fails.
    Fail,
    /// The row is left out.
    Ignore,
}

/// Sizes of SQLite's chunks: few texts to prepare, and far below its limit of 32766 parameters.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

pub(super) struct Statement {
    pub text: String,
    pub params: Params,
}

pub(super) fn statements(
    dialect: Dialect,
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    on_conflict: OnConflict,
    returning: &[&str],
) -> Result<Vec<Statement>, DatabaseError> {
    if rows.iter().any(|row| row.len() != columns.len()) {
        return Err(DatabaseError::Shape);
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut tail = String::new();
    if on_conflict == OnConflict::Ignore {
        tail.push_str(" ON CONFLICT DO NOTHING");
    }
    if !returning.is_empty() {
        write!(tail, " RETURNING {}", returning.join(", ")).ok();
    }
    match dialect {
        Dialect::Postgres => Ok(vec![unnest(table, columns, rows, &tail)?]),
        Dialect::Sqlite => chunks(table, columns, rows, &tail),
    }
}

/// `INSERT … SELECT … FROM UNNEST($1::bigint[], …)`; generated ids follow the rows' order.
fn unnest(
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    tail: &str,
) -> Result<Statement, DatabaseError> {
    let mut by_column: Vec<Vec<Value>> =
        columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    let length = rows.len();
    for row in rows {
        for (column, value) in by_column.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let mut params = Params::empty(Dialect::Postgres);
    let (mut selected, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (name, column) in columns.iter().zip(by_column) {
        let Some(array) = push_array(&mut params, column)? else {
            // Only NULLs: a bare NULL takes the column's type, whatever it is.
            selected.push("NULL");
            continue;
        };
        selected.push(*name);
        names.push(*name);
        arrays.push(format!("${}::{array}[]", arrays.len() + 1));
    }
    let list = columns.join(", ");
    let selected = selected.join(", ");
    let text = if arrays.is_empty() {
        params
            .push(&Value::Int(i64::try_from(length).map_err(|_| DatabaseError::Shape)?))
            .map_err(|error| DatabaseError::statement("INSERT", error))?;
        format!("INSERT INTO {table} ({list}) SELECT {selected} FROM generate_series(1, $1){tail}")
    } else {
        let (arrays, names) = (arrays.join(", "), names.join(", "));
        format!(
            "INSERT INTO {table} ({list}) SELECT {selected} FROM UNNEST({arrays}) \
             WITH ORDINALITY AS new ({names}, position_) ORDER BY position_{tail}"
        )
    };
    Ok(Statement { text, params })
}

/// Binds a column as an array of the type of its first value; nothing when all are NULL.
fn push_array(
    params: &mut Params,
    column: Vec<Value>,
) -> Result<Option<&'static str>, DatabaseError> {
    let bad = |error| DatabaseError::statement("INSERT", error);
    match column.iter().find(|value| **value != Value::Null) {
        None => Ok(None),
        Some(Value::Int(_)) => {
            let ints = array(column, |value| match value {
                Value::Int(value) => Some(value),
                _ => None,
            })?;
            params.push_column(ints).map_err(bad)?;
            Ok(Some("bigint"))
        }
        Some(Value::Text(_)) => {
            let texts = array(column, |value| match value {
                Value::Text(value) => Some(value),
                _ => None,
            })?;
            params.push_column(texts).map_err(bad)?;
            Ok(Some("text"))
        }
        Some(Value::Bytes(_)) => {
            let bytes = array(column, |value| match value {
                Value::Bytes(value) => Some(value),
                _ => None,
            })?;
            params.push_column(bytes).map_err(bad)?;
            Ok(Some("bytea"))
        }
        Some(Value::Null | Value::Ints(_) | Value::Texts(_)) => Err(DatabaseError::Shape),
    }
}

/// The values of one type; an error when one is of another.
fn array<T>(
    column: Vec<Value>,
    take: impl Fn(Value) -> Option<T>,
) -> Result<Vec<Option<T>>, DatabaseError> {
    let one = |value| match value {
        Value::Null => Ok(None),
        value => take(value).map(Some).ok_or(DatabaseError::Shape),
    };
    column.into_iter().map(one).collect()
}

fn chunks(
    table: &str,
    columns: &[&str],
    rows: Vec<Vec<Value>>,
    tail: &str,
) -> Result<Vec<Statement>, DatabaseError> {
    let mut statements = Vec::new();
    let mut rows = rows.into_iter();
    for size in CHUNKS {
        while rows.len() >= size {
            let mut params = Params::empty(Dialect::Sqlite);
            for value in rows.by_ref().take(size).flatten() {
                params.push(&value).map_err(|error| DatabaseError::statement("INSERT", error))?;
            }
            let text = values(table, columns, size, tail);
            statements.push(Statement { text, params });
        }
    }
    Ok(statements)
}

fn values(table: &str, columns: &[&str], rows: usize, tail: &str) -> String {
    let mut text = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
    let marks = vec!["?"; columns.len()].join(", ");
    for row in 0..rows {
        let comma = if row == 0 { "" } else { ", " };
        write!(text, "{comma}({marks})").ok();
    }
    text.push_str(tail);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dialect: Dialect, rows: Vec<Vec<Value>>) -> Vec<String> {
        statements(dialect, "t", &["a", "b", "c"], rows, OnConflict::Ignore, &["a"])
            .unwrap()
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    #[test]
    fn the_text_does_not_depend_on_the_number_of_rows() {
        let row = || vec![Value::Int(1), Value::Null, Value::from("x")];
        let one = texts(Dialect::Postgres, vec![row()]);
        assert_eq!(
            one,
            ["INSERT INTO t (a, b, c) SELECT a, NULL, c FROM UNNEST($1::bigint[], $2::text[]) \
              WITH ORDINALITY AS new (a, c, position_) ORDER BY position_ \
              ON CONFLICT DO NOTHING RETURNING a"]
        );
        assert_eq!(one, texts(Dialect::Postgres, (0..500).map(|_| row()).collect()));
        let many = texts(Dialect::Sqlite, (0..86).map(|_| row()).collect());
        assert_eq!(many.len(), 5, "64 + 16 + 4 + 1 + 1");
        assert_eq!(
            many[3],
            "INSERT INTO t (a, b, c) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING a"
        );
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let short = statements(Dialect::Sqlite, "t", &["a"], vec![vec![]], OnConflict::Fail, &[]);
        assert!(matches!(short, Err(DatabaseError::Shape)));
        let mixed = vec![vec![Value::Int(1)], vec![Value::from("x")]];
        let mixed = statements(Dialect::Postgres, "t", &["a"], mixed, OnConflict::Fail, &[]);
        assert!(matches!(mixed, Err(DatabaseError::Shape)));
    }
}
