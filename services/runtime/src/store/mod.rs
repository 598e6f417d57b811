//! The runtime's own tables and the set-based statements on them.

mod schema;

pub(crate) use self::schema::MIGRATIONS;
