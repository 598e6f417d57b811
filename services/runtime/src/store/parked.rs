//! Events that wait for another attempt. One row for each key: its lock decides who acts on the key,
//! the consumer that parks behind it or the runner that tries its head.

use std::collections::HashSet;

use crate::{
    db::{Database, DatabaseError, OnConflict, Row, Sql, Tx},
    store::{
        batch_json,
        headers::{self, Headers},
        inbox::Identity,
    },
};

/// What is kept in order: the events of one key in one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderKey {
    /// Its name on the broker.
    pub topic: String,
    pub key: String,
}

/// An event that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parked {
    pub order_key: OrderKey,
    pub partition: i32,
    pub offset: i64,
    pub identity: Identity,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Headers,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed last; empty for one that only waits behind another.
    pub error: String,
}

/// A key's first event, and its place in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub position: i64,
    pub event: Parked,
}

/// Which of some keys are parked; they stay locked until the transaction ends, so that the runner
/// cannot take the last event of one away while we put another behind it. Waits for a runner that is
/// at work on one.
pub(crate) async fn lock(
    tx: &mut Tx<'_>,
    group: &str,
    keys: &HashSet<OrderKey>,
) -> Result<HashSet<OrderKey>, DatabaseError> {
    // Ordered, so that two transactions that want the same keys cannot wait for each other.
    const LOCK: Sql = Sql {
        postgres: "SELECT parked_keys.topic, parked_keys.order_key FROM parked_keys \
            JOIN json_to_recordset($2::json) AS wanted (topic text, key text) \
            ON parked_keys.topic = wanted.topic AND parked_keys.order_key = wanted.key \
            WHERE consumer_group = $1 ORDER BY parked_keys.topic, parked_keys.order_key \
            FOR UPDATE OF parked_keys",
        sqlite: "SELECT topic, order_key FROM parked_keys WHERE consumer_group = $1 \
            AND (topic, order_key) IN (SELECT json_extract(value, '$.topic'), \
            json_extract(value, '$.key') FROM json_each($2))",
    };
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let wanted = batch_json(
        keys.iter().map(|key| serde_json::json!({ "topic": key.topic, "key": key.key })),
    );
    let rows = tx.query(LOCK, &[group.into(), wanted]).await?;
    rows.iter()
        .map(|row| Ok(OrderKey { topic: row.text("topic")?, key: row.text("order_key")? }))
        .collect()
}

/// Parks events behind those that are there. A key that is new is due at `due_at_ms`.
pub(crate) async fn insert(
    tx: &mut Tx<'_>,
    group: &str,
    events: Vec<Parked>,
    due_at_ms: i64,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    let keys: HashSet<&OrderKey> = events.iter().map(|event| &event.order_key).collect();
    let keys = keys
        .into_iter()
        .map(|key| vec![group.into(), (&key.topic).into(), (&key.key).into(), due_at_ms.into()]);
    let columns = &["consumer_group", "topic", "order_key", "due_at"];
    tx.insert("parked_keys", columns, keys.collect(), OnConflict::Ignore).await?;
    let rows = events.into_iter().map(|event| {
        vec![
            group.into(),
            event.order_key.topic.into(),
            event.order_key.key.into(),
            event.partition.into(),
            event.offset.into(),
            event.identity.source.into(),
            event.identity.id.into(),
            event.key.into(),
            event.payload.into(),
            headers::encode(&event.headers).into(),
            event.attempts.into(),
            event.error.into(),
            now_ms.into(),
        ]
    });
    let columns = &[
        "consumer_group",
        "topic",
        "order_key",
        "partition",
        "record_offset",
        "source",
        "id",
        "key",
        "payload",
        "headers",
        "attempts",
        "error",
        "parked_at",
    ];
    tx.insert("parked", columns, rows.collect(), OnConflict::Fail).await?;
    Ok(())
}

/// How many events are parked.
pub(crate) async fn count(tx: &mut Tx<'_>, group: &str) -> Result<i64, DatabaseError> {
    tx.query_one("SELECT COUNT(*) AS n FROM parked WHERE consumer_group = $1", &[group.into()])
        .await?
        .ok_or(DatabaseError::Shape)?
        .int("n")
}

/// Claims a key that is due, passing by those that others work on, and returns its first event.
pub(crate) async fn claim(
    tx: &mut Tx<'_>,
    group: &str,
    now_ms: i64,
) -> Result<Option<Head>, DatabaseError> {
    const CLAIM: Sql = Sql {
        postgres: "SELECT topic, order_key FROM parked_keys WHERE consumer_group = $1 \
            AND due_at <= $2 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        sqlite: "SELECT topic, order_key FROM parked_keys WHERE consumer_group = $1 \
            AND due_at <= $2 ORDER BY due_at LIMIT 1",
    };
    let Some(row) = tx.query_one(CLAIM, &[group.into(), now_ms.into()]).await? else {
        return Ok(None);
    };
    let key = OrderKey { topic: row.text("topic")?, key: row.text("order_key")? };
    let head = head(tx, group, &key).await?;
    if head.is_none() {
        // Never left behind by us, but if it were, the runner would find it due for ever.
        tx.execute(
            "DELETE FROM parked_keys WHERE consumer_group = $1 AND topic = $2 AND order_key = $3",
            &[group.into(), (&key.topic).into(), (&key.key).into()],
        )
        .await?;
    }
    Ok(head)
}

/// How many events are parked, and when the next key is due, if any is.
pub(crate) async fn outlook(
    database: &Database,
    group: &str,
) -> Result<(i64, Option<i64>), DatabaseError> {
    let rows = database
        .query(
            "SELECT (SELECT COUNT(*) FROM parked WHERE consumer_group = $1) AS parked, \
             (SELECT MIN(due_at) FROM parked_keys WHERE consumer_group = $1) AS due_at",
            &[group.into()],
        )
        .await?;
    let row = rows.first().ok_or(DatabaseError::Shape)?;
    Ok((row.int("parked")?, row.opt_int("due_at")?))
}

/// Removes a head that is done with. The key is due at once for its next event, or gone.
pub(crate) async fn remove(
    tx: &mut Tx<'_>,
    group: &str,
    head: &Head,
    now_ms: i64,
) -> Result<(), DatabaseError> {
    tx.execute("DELETE FROM parked WHERE position = $1", &[head.position.into()]).await?;
    let OrderKey { topic, key } = &head.event.order_key;
    let params = [group.into(), topic.into(), key.into()];
    let emptied = tx
        .execute(
            "DELETE FROM parked_keys WHERE consumer_group = $1 AND topic = $2 AND order_key = $3 \
             AND NOT EXISTS (SELECT 1 FROM parked WHERE consumer_group = $1 AND topic = $2 \
             AND order_key = $3)",
            &params,
        )
        .await?;
    if emptied == 0 {
        due(tx, group, &head.event.order_key, now_ms).await?;
    }
    Ok(())
}

/// Notes a failed attempt at a head and when to try again.
pub(crate) async fn postpone(
    tx: &mut Tx<'_>,
    group: &str,
    head: &Head,
    error: &str,
    due_at_ms: i64,
) -> Result<(), DatabaseError> {
    tx.execute(
        "UPDATE parked SET attempts = attempts + 1, error = $2 WHERE position = $1",
        &[head.position.into(), error.into()],
    )
    .await?;
    due(tx, group, &head.event.order_key, due_at_ms).await
}

async fn due(
    tx: &mut Tx<'_>,
    group: &str,
    key: &OrderKey,
    due_at_ms: i64,
) -> Result<(), DatabaseError> {
    tx.execute(
        "UPDATE parked_keys SET due_at = $4 WHERE consumer_group = $1 AND topic = $2 \
         AND order_key = $3",
        &[group.into(), (&key.topic).into(), (&key.key).into(), due_at_ms.into()],
    )
    .await?;
    Ok(())
}

async fn head(tx: &mut Tx<'_>, group: &str, key: &OrderKey) -> Result<Option<Head>, DatabaseError> {
    let row = tx
        .query_one(
            "SELECT position, partition, record_offset, source, id, key, payload, headers, attempts, \
             error FROM parked WHERE consumer_group = $1 AND topic = $2 AND order_key = $3 \
             ORDER BY position LIMIT 1",
            &[group.into(), (&key.topic).into(), (&key.key).into()],
        )
        .await?;
    row.map(|row| read(&row, key.clone())).transpose()
}

fn read(row: &Row, order_key: OrderKey) -> Result<Head, DatabaseError> {
    let small = |column| {
        row.int(column).and_then(|value| i32::try_from(value).map_err(|_| DatabaseError::Shape))
    };
    Ok(Head {
        position: row.int("position")?,
        event: Parked {
            order_key,
            partition: small("partition")?,
            offset: row.int("record_offset")?,
            identity: Identity { source: row.text("source")?, id: row.text("id")? },
            key: row.opt_bytes("key")?,
            payload: row.opt_bytes("payload")?,
            headers: headers::decode(&row.text("headers")?),
            attempts: u32::try_from(row.int("attempts")?).map_err(|_| DatabaseError::Shape)?,
            error: row.text("error")?,
        },
    })
}
