//! Which events were taken: the guard against every duplicate, from a producer's retry to a database
//! that was restored. An id is in it exactly when its effects are in the database.

use std::collections::HashSet;

use crate::{
    db::{Database, DatabaseError, OnConflict, Row, Sql, Tx, Value},
    store::batch_json,
};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Its effects are in the database.
    Handled = 0,
    /// It waits in `parked`.
    Parked = 1,
    /// It was sent to the dead-letter topic; a replay may take it up again.
    Dead = 2,
}

impl From<State> for Value {
    fn from(state: State) -> Self {
        Self::Int(state as i64)
    }
}

/// What names an event: `ce_source` and `ce_id`, or topic, partition and offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    pub source: String,
    pub id: String,
}

impl Identity {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self { source: row.text("source")?, id: row.text("id")? })
    }
}

/// Inserts the ids that are not there yet and returns those. One that stands twice in `ids` is new
/// once.
pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    group: &str,
    ids: impl Iterator<Item = (&Identity, State)>,
    now_ms: i64,
) -> Result<HashSet<Identity>, DatabaseError> {
    let rows = ids.map(|(identity, state)| {
        let Identity { source, id } = identity;
        vec![group.into(), source.into(), id.into(), state.into(), now_ms.into()]
    });
    let columns = &["consumer_group", "source", "id", "state", "seen_at"];
    let new = tx
        .insert_returning("inbox", columns, rows.collect(), OnConflict::Ignore, &["source", "id"])
        .await?;
    new.iter().map(Identity::read).collect()
}

/// Takes up a dead event for a replay: true for the one who moved it from `dead`, or who is the first
/// to see it at all (the row may have been pruned, or lost with a database). With `anew` also a handled
/// one: what came of it is gone, and the handler's own table keeps it from coming twice.
pub(crate) async fn revive(
    tx: &mut Tx<'_>,
    group: &str,
    identity: &Identity,
    (state, anew): (State, bool),
    now_ms: i64,
) -> Result<bool, DatabaseError> {
    let moved = tx
        .execute(
            "UPDATE inbox SET state = $4, seen_at = $5 \
             WHERE consumer_group = $1 AND source = $2 AND id = $3 \
             AND (state = 2 OR (state = 0 AND $6 = 1))",
            &[
                group.into(),
                (&identity.source).into(),
                (&identity.id).into(),
                state.into(),
                now_ms.into(),
                anew.into(),
            ],
        )
        .await?;
    if moved > 0 {
        return Ok(true);
    }
    let new = insert(tx, group, std::iter::once((identity, state)), now_ms).await?;
    Ok(!new.is_empty())
}

/// Changes what became of some events.
pub(crate) async fn mark(
    tx: &mut Tx<'_>,
    group: &str,
    ids: &[&Identity],
    state: State,
) -> Result<(), DatabaseError> {
    const MARK: Sql = Sql {
        postgres: "UPDATE inbox SET state = $2 FROM json_to_recordset($3::json) \
            AS changed (source text, id text) WHERE consumer_group = $1 \
            AND inbox.source = changed.source AND inbox.id = changed.id",
        sqlite: "UPDATE inbox SET state = $2 WHERE consumer_group = $1 AND (source, id) IN \
            (SELECT json_extract(value, '$.source'), json_extract(value, '$.id') FROM json_each($3))",
    };
    if ids.is_empty() {
        return Ok(());
    }
    let changed = batch_json(
        ids.iter()
            .map(|identity| serde_json::json!({ "source": identity.source, "id": identity.id })),
    );
    tx.execute(MARK, &[group.into(), state.into(), changed]).await?;
    Ok(())
}

/// Forgets ids that were seen before `before_ms`, some at a time; how many. Dead ones stay, as a
/// replay may come late, and so do parked ones, which are still at work. Both are few.
pub(crate) async fn prune(
    database: &Database,
    before_ms: i64,
    rows_max: u32,
) -> Result<u64, DatabaseError> {
    const PRUNE: Sql = Sql {
        postgres: "DELETE FROM inbox WHERE ctid = ANY(ARRAY( \
            SELECT ctid FROM inbox WHERE seen_at < $1 AND state = 0 LIMIT $2)) RETURNING 1 AS one",
        sqlite: "DELETE FROM inbox WHERE (consumer_group, source, id) IN ( \
            SELECT consumer_group, source, id FROM inbox WHERE seen_at < $1 AND state = 0 LIMIT $2) \
            RETURNING 1 AS one",
    };
    let deleted = database.patient().query(PRUNE, &[before_ms.into(), rows_max.into()]).await?;
    Ok(deleted.len() as u64)
}
