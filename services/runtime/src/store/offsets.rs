//! Where to read on. The truth about a partition's position, and the fence against an owner who does
//! not know that it was replaced.

use crate::{
    db::{DatabaseError, Sql, Tx},
    store::batch_json,
};

/// What a new owner of a partition finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The first record that was not handled.
    pub next_offset: i64,
    /// Our number as its owner.
    pub epoch: i64,
    /// How often the topic turned out to be another one.
    pub generation: i64,
    /// That of the record before `next_offset`; none before the first one.
    pub fingerprint: Option<String>,
}

/// Makes us the owner: whoever was it before can not move the offset any more.
pub(crate) async fn claim(
    tx: &mut Tx<'_>,
    group: &str,
    topic: &str,
    partition: i32,
) -> Result<Claim, DatabaseError> {
    let row = tx
        .query_one(
            "INSERT INTO offsets (consumer_group, topic, partition, next_offset, epoch, generation) \
             VALUES ($1, $2, $3, 0, 1, 0) \
             ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET epoch = offsets.epoch + 1 \
             RETURNING next_offset, epoch, generation, fingerprint",
            &[group.into(), topic.into(), partition.into()],
        )
        .await?
        .ok_or(DatabaseError::Shape)?;
    Ok(Claim {
        next_offset: row.int("next_offset")?,
        epoch: row.int("epoch")?,
        generation: row.int("generation")?,
        fingerprint: row.opt_text("fingerprint")?,
    })
}

/// One partition's step forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advance {
    pub topic: String,
    pub partition: i32,
    pub epoch: i64,
    pub from_offset: i64,
    pub to_offset: i64,
    /// Of the record at `to_offset - 1`.
    pub fingerprint: String,
}

/// Moves every partition forward, or says false: one of them is not where we believe, because it has
/// another owner or because a commit of ours did arrive. Comes first in a batch's transaction: it
/// locks the rows, so that a new owner's claim waits for our end.
pub(crate) async fn advance(
    tx: &mut Tx<'_>,
    group: &str,
    steps: &[Advance],
) -> Result<bool, DatabaseError> {
    const ADVANCE: Sql = Sql {
        postgres: "UPDATE offsets SET next_offset = step.to_offset, fingerprint = step.fingerprint \
            FROM json_to_recordset($2::json) AS step (topic text, partition bigint, epoch bigint, \
            from_offset bigint, to_offset bigint, fingerprint text) \
            WHERE consumer_group = $1 AND offsets.topic = step.topic \
            AND offsets.partition = step.partition AND offsets.epoch = step.epoch \
            AND offsets.next_offset = step.from_offset",
        sqlite: "UPDATE offsets SET next_offset = step.to_offset, fingerprint = step.mark \
            FROM (SELECT json_extract(value, '$.topic') AS name, \
            json_extract(value, '$.partition') AS number, json_extract(value, '$.epoch') AS owner, \
            json_extract(value, '$.from_offset') AS from_offset, \
            json_extract(value, '$.to_offset') AS to_offset, \
            json_extract(value, '$.fingerprint') AS mark FROM json_each($2)) AS step \
            WHERE consumer_group = $1 AND offsets.topic = step.name \
            AND offsets.partition = step.number AND offsets.epoch = step.owner \
            AND offsets.next_offset = step.from_offset",
    };
    let list = batch_json(steps.iter().map(|step| {
        serde_json::json!({
            "topic": step.topic, "partition": step.partition, "epoch": step.epoch,
            "from_offset": step.from_offset, "to_offset": step.to_offset,
            "fingerprint": step.fingerprint,
        })
    }));
    let moved = tx.execute(ADVANCE, &[group.into(), list]).await?;
    Ok(usize::try_from(moved).is_ok_and(|moved| moved == steps.len()))
}

/// What is stored for a partition that we own, to see what became of a commit without an answer.
/// `None` when it has another owner by now.
pub(crate) async fn read(
    tx: &mut Tx<'_>,
    group: &str,
    topic: &str,
    partition: i32,
    epoch: i64,
) -> Result<Option<i64>, DatabaseError> {
    let row = tx
        .query_one(
            "SELECT next_offset FROM offsets WHERE consumer_group = $1 AND topic = $2 \
             AND partition = $3 AND epoch = $4",
            &[group.into(), topic.into(), partition.into(), epoch.into()],
        )
        .await?;
    row.map(|row| row.int("next_offset")).transpose()
}

/// Starts again at the beginning of a topic that is another one of the same name. Records without an
/// id are known by topic, partition and offset, which now mean something else: the new generation
/// keeps them apart. False when the partition has another owner by now.
pub(crate) async fn restart(
    tx: &mut Tx<'_>,
    group: &str,
    topic: &str,
    partition: i32,
    epoch: i64,
) -> Result<bool, DatabaseError> {
    let moved = tx
        .execute(
            "UPDATE offsets SET next_offset = 0, generation = generation + 1, fingerprint = NULL \
             WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND epoch = $4",
            &[group.into(), topic.into(), partition.into(), epoch.into()],
        )
        .await?;
    Ok(moved == 1)
}
