//! Brings a database to the shape that this program expects: all steps in one transaction, under a
//! lock, so that instances that start together do it once. Steps are only ever added.

use super::{
    Database,
    error::DatabaseError,
    link::{Dialect, Sql},
    tx::Tx,
    value::Value,
};

/// One step. Its number is its position in the list; once released it never changes.
///
/// Columns are only `BIGINT`, `TEXT` and `BYTEA`, so that both databases read alike, and the text is
/// usually the same for both; times are `BIGINT`, Unix milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    pub name: &'static str,
    pub postgres: &'static str,
    pub sqlite: &'static str,
}

impl Migration {
    /// A step with one text for both databases.
    pub const fn same(name: &'static str, sql: &'static str) -> Self {
        Self { name, postgres: sql, sqlite: sql }
    }
}

/// Who the steps belong to: the runtime's tables and the service's grow separately.
pub(super) type Steps = (&'static str, &'static [Migration]);

pub(super) async fn migrate(
    database: &Database,
    schema: &str,
    steps: &[Steps],
) -> Result<(), DatabaseError> {
    let mut tx = database.patient().begin().await?;
    prepare(&mut tx, schema).await?;
    let mut count = 0;
    for (owner, migrations) in steps {
        let applied = tx
            .query(
                "SELECT name FROM migrations WHERE owner = $1 ORDER BY position",
                &[(*owner).into()],
            )
            .await?;
        for (position, row) in applied.iter().enumerate() {
            let found = row.text("name")?;
            match migrations.get(position) {
                Some(known) if known.name == found => {}
                Some(known) => {
                    let expected = known.name;
                    return Err(DatabaseError::ForeignMigration { position, found, expected });
                }
                // A newer program was here, and we are its predecessor come back. Steps only add.
                None => {
                    tracing::warn!(owner, migration = found, "database is newer than this program");
                }
            }
        }
        for (position, migration) in migrations.iter().enumerate().skip(applied.len()) {
            apply(&mut tx, owner, position, migration).await?;
            count += 1;
        }
    }
    tx.commit().await?;
    if count > 0 {
        tracing::info!(schema, migrations = count, "database migrated");
    }
    Ok(())
}

/// The lock, the schema and the list of what was done.
async fn prepare(tx: &mut Tx<'_>, schema: &str) -> Result<(), DatabaseError> {
    // On SQLite the transaction is the lock: it began as a writer.
    if tx.dialect() == Dialect::Postgres {
        tx.control("SET LOCAL statement_timeout = '10min'").await?;
        let name: Value = schema.into();
        // A cast to text, as the function returns void, which is no type of ours.
        tx.query(
            "SELECT CAST(pg_advisory_xact_lock(hashtextextended($1, 7140)) AS TEXT)",
            std::slice::from_ref(&name),
        )
        .await?;
        // Looked up first: CREATE SCHEMA IF NOT EXISTS asks for the right to create it even when it
        // exists, and in a well-kept database that right is not ours.
        let found =
            tx.query("SELECT 1 AS found FROM pg_namespace WHERE nspname = $1", &[name]).await?;
        if found.is_empty() {
            tx.execute_built(format!("CREATE SCHEMA \"{schema}\"")).await?;
        }
    }
    tx.execute(
        "CREATE TABLE IF NOT EXISTS migrations (owner TEXT NOT NULL, position BIGINT NOT NULL, \
         name TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (owner, position))",
        &[],
    )
    .await?;
    Ok(())
}

async fn apply(
    tx: &mut Tx<'_>,
    owner: &'static str,
    position: usize,
    migration: &Migration,
) -> Result<(), DatabaseError> {
    let Migration { name, postgres, sqlite } = *migration;
    let text = tx.pick(Sql { postgres, sqlite });
    tx.migrate(text).await?;
    let position = i64::try_from(position).map_err(|_| DatabaseError::Shape)?;
    tx.execute(
        "INSERT INTO migrations (owner, position, name, applied_at) VALUES ($1, $2, $3, $4)",
        &[owner.into(), position.into(), name.into(), jiff::Timestamp::now().into()],
    )
    .await?;
    tracing::debug!(owner, migration = name, "migration applied");
    Ok(())
}
