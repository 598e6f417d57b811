//! What is to be sent: rows in the transaction that causes them, read in their order by one relay.

use crate::{
    db::{Database, DatabaseError, OnConflict, Row, Sql, Tx},
    store::headers::{self, Headers},
};

/// A record to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    /// By the key's hash when absent.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Headers,
}

/// A message in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub id: i64,
    pub message: Message,
}

/// Stores messages. They are sent after the commit, which also wakes the relay.
pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    messages: Vec<Message>,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    if messages.is_empty() {
        return Ok(());
    }
    let rows = messages.into_iter().map(|message| {
        let Message { topic, partition, key, payload, headers } = message;
        let headers = headers::encode(&headers);
        vec![
            topic.into(),
            partition.into(),
            key.into(),
            payload.into(),
            headers.into(),
            now_ms.into(),
        ]
    });
    let columns = &["topic", "partition", "key", "payload", "headers", "created_at"];
    tx.insert("outbox", columns, rows.collect(), OnConflict::Fail).await?;
    tx.wake_on_commit();
    Ok(())
}

/// Most bytes of payload read at once; one message is read whatever its size.
const PAGE_MAX_BYTES: i64 = 8 << 20;

/// The oldest messages that are ready, but for those already on their way and those to topics that
/// wait. Ids can appear out of order (a transaction with a lower one may commit later), so there is no
/// cursor: whatever is not excluded is read again.
pub(crate) async fn ready(
    database: &Database,
    excluded: Vec<i64>,
    waiting_topics: Vec<String>,
    rows_max: u32,
) -> Result<Vec<Stored>, DatabaseError> {
    const READY: Sql = Sql {
        postgres: "SELECT id, topic, partition, key, payload, headers FROM ( \
            SELECT *, SUM(LENGTH(payload)) OVER (ORDER BY id) - LENGTH(payload) AS before FROM ( \
            SELECT id, topic, partition, key, payload, headers FROM outbox \
            WHERE state = 0 AND id <> ALL($1) AND topic <> ALL($2) ORDER BY id LIMIT $3) AS oldest \
            ) AS summed WHERE before IS NULL OR before < $4 ORDER BY id",
        sqlite: "SELECT id, topic, partition, key, payload, headers FROM ( \
            SELECT *, SUM(LENGTH(payload)) OVER (ORDER BY id) - LENGTH(payload) AS before FROM ( \
            SELECT id, topic, partition, key, payload, headers FROM outbox \
            WHERE state = 0 AND id NOT IN (SELECT value FROM json_each($1)) \
            AND topic NOT IN (SELECT value FROM json_each($2)) ORDER BY id LIMIT $3) AS oldest \
            ) AS summed WHERE before IS NULL OR before < $4 ORDER BY id",
    };
    let params = [excluded.into(), waiting_topics.into(), rows_max.into(), PAGE_MAX_BYTES.into()];
    let rows = database.query(READY, &params).await?;
    rows.iter().map(read).collect()
}

/// Removes what the broker has acknowledged.
pub(crate) async fn delete(database: &Database, ids: Vec<i64>) -> Result<(), DatabaseError> {
    const DELETE: Sql = Sql {
        postgres: "DELETE FROM outbox WHERE id = ANY($1)",
        sqlite: "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each($1))",
    };
    database.query_repeatable(DELETE, &[ids.into()]).await?;
    Ok(())
}

/// Marks a message that the broker refuses for good. It holds its key: see [`hold`].
pub(crate) async fn fail(database: &Database, id: i64, error: &str) -> Result<(), DatabaseError> {
    database
        .query("UPDATE outbox SET state = 1, error = $2 WHERE id = $1", &[id.into(), error.into()])
        .await?;
    Ok(())
}

/// Takes messages out of the queue that wait behind a failed one of their key.
pub(crate) async fn hold(database: &Database, ids: Vec<i64>) -> Result<(), DatabaseError> {
    const HOLD: Sql = Sql {
        postgres: "UPDATE outbox SET state = 2 WHERE state = 0 AND id = ANY($1)",
        sqlite: "UPDATE outbox SET state = 2 WHERE state = 0 \
            AND id IN (SELECT value FROM json_each($1))",
    };
    database.query(HOLD, &[ids.into()]).await?;
    Ok(())
}

/// Puts the followers of a key back into the queue, once its failed message was sent after all.
pub(crate) async fn release(
    database: &Database,
    topic: &str,
    key: &[u8],
) -> Result<(), DatabaseError> {
    database
        .query(
            "UPDATE outbox SET state = 0 WHERE state = 2 AND topic = $1 AND key = $2",
            &[topic.into(), key.into()],
        )
        .await?;
    Ok(())
}

/// Messages that the broker refused, by id after `after_id`.
pub(crate) async fn failed(
    database: &Database,
    after_id: i64,
    rows_max: u32,
) -> Result<Vec<Stored>, DatabaseError> {
    let rows = database
        .query(
            "SELECT id, topic, partition, key, payload, headers FROM outbox \
             WHERE state = 1 AND id > $1 ORDER BY id LIMIT $2",
            &[after_id.into(), rows_max.into()],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Puts refused messages back into the queue.
pub(crate) async fn retry(database: &Database, ids: Vec<i64>) -> Result<(), DatabaseError> {
    const RETRY: Sql = Sql {
        postgres: "UPDATE outbox SET state = 0 WHERE state = 1 AND id = ANY($1)",
        sqlite: "UPDATE outbox SET state = 0 WHERE state = 1 \
            AND id IN (SELECT value FROM json_each($1))",
    };
    database.query(RETRY, &[ids.into()]).await?;
    Ok(())
}

/// For a new relay: puts every message that waits behind a refused one back into the queue, as the
/// refused one may have been sent meanwhile, and returns the keys (with their topics) that are held.
pub(crate) async fn recover(
    database: &Database,
) -> Result<Vec<(String, Option<Vec<u8>>)>, DatabaseError> {
    let database = database.patient();
    database.query("UPDATE outbox SET state = 0 WHERE state = 2", &[]).await?;
    let rows = database.query("SELECT topic, key FROM outbox WHERE state = 1", &[]).await?;
    rows.iter().map(|row| Ok((row.text("topic")?, row.opt_bytes("key")?))).collect()
}

/// How many messages wait to be sent, and how many were refused.
pub(crate) async fn depth(database: &Database) -> Result<(i64, i64), DatabaseError> {
    let rows = database
        .patient()
        .query(
            "SELECT COUNT(*) AS stored, COUNT(CASE WHEN state = 1 THEN 1 END) AS failed FROM outbox",
            &[],
        )
        .await?;
    let row = rows.first().ok_or(DatabaseError::Shape)?;
    Ok((row.int("stored")?, row.int("failed")?))
}

fn read(row: &Row) -> Result<Stored, DatabaseError> {
    let partition = row.opt_int("partition")?.map(i32::try_from);
    Ok(Stored {
        id: row.int("id")?,
        message: Message {
            topic: row.text("topic")?,
            partition: partition.transpose().map_err(|_| DatabaseError::Shape)?,
            key: row.opt_bytes("key")?,
            payload: row.opt_bytes("payload")?,
            headers: headers::decode(&row.text("headers")?),
        },
    })
}
