//! The runtime's own tables and the set-based statements on them. Every statement that belongs to an
//! event's effects takes a transaction; none opens one.

pub(crate) mod headers;
pub(crate) mod inbox;
pub(crate) mod offsets;
pub(crate) mod outbox;
pub(crate) mod parked;
mod schema;

pub(crate) use self::schema::MIGRATIONS;

use crate::db::Value;

/// Many small rows as one parameter, which `json_to_recordset` (PostgreSQL) and `json_each` (SQLite)
/// take apart again.
fn batch_json(rows: impl Iterator<Item = serde_json::Value>) -> Value {
    Value::Text(serde_json::Value::Array(rows.collect()).to_string())
}
