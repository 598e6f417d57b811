//! The statements on the table of mails: claims, and how they end. Decides nothing.

use storefront_contract::{Template, Topic};
use storefront_runtime::{Database, DatabaseError, Record, Row, Sql, Tx, Value};
use uuid::Uuid;

use crate::policy::Standing;

/// A mail that this process has claimed.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub mail_id: String,
    pub message_id: String,
    pub template: Option<Template>,
    pub order_id: Uuid,
    pub session_id: String,
    pub standing: Standing,
    /// When it was first wanted, in Unix milliseconds.
    pub created_at: i64,
    pub recipient: Option<String>,
    pub traceparent: Option<String>,
    /// The record that asked for the mail, as it came; nothing in a row of another program's making.
    pub record: Option<Record>,
}

/// Takes what is due, oldest first. Whoever claims counts the attempt, so that one which takes the
/// process down is counted too.
const CLAIM: Sql = Sql {
    postgres: "UPDATE mails SET state = 'sending', holder = $1, due_at = $3, changed_at = $2, \
            attempts = attempts + 1 \
        WHERE mail_id IN (SELECT mail_id FROM mails WHERE due_at <= $2 AND state <> 'sending' \
            ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) \
        RETURNING mail_id, message_id, template, order_id, session_id, attempts, unclear, expires_at, \
            created_at, recipient, traceparent, event_topic, event_partition, event_offset, \
            event_source, event_id, event_key, event_headers, payload",
    sqlite: "UPDATE mails SET state = 'sending', holder = $1, due_at = $3, changed_at = $2, \
            attempts = attempts + 1 \
        WHERE mail_id IN (SELECT mail_id FROM mails WHERE due_at <= $2 AND state <> 'sending' \
            ORDER BY due_at LIMIT $4) \
        RETURNING mail_id, message_id, template, order_id, session_id, attempts, unclear, expires_at, \
            created_at, recipient, traceparent, event_topic, event_partition, event_offset, \
            event_source, event_id, event_key, event_headers, payload",
};

/// Claims up to `count` mails that are due at `now`, until `until`.
pub async fn claim(
    database: &Database,
    holder: &str,
    now: i64,
    until: i64,
    count: usize,
) -> Result<Vec<Claimed>, DatabaseError> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let params = [holder.into(), now.into(), until.into(), count.into()];
    database.query(CLAIM, &params).await?.iter().map(claimed).collect()
}

fn claimed(row: &Row) -> Result<Claimed, DatabaseError> {
    let count = |column| row.int(column).map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Ok(Claimed {
        mail_id: row.text("mail_id")?,
        message_id: row.text("message_id")?,
        template: Template::from_name(&row.text("template")?),
        order_id: row.text("order_id")?.parse().unwrap_or_default(),
        session_id: row.text("session_id")?,
        standing: Standing {
            attempts: count("attempts")?,
            unclear: count("unclear")?,
            expires_at: row.int("expires_at")?,
        },
        created_at: row.int("created_at")?,
        recipient: row.opt_text("recipient")?,
        traceparent: row.opt_text("traceparent")?,
        record: record(row)?,
    })
}

fn record(row: &Row) -> Result<Option<Record>, DatabaseError> {
    let Some(topic) = Topic::from_name(&row.text("event_topic")?) else { return Ok(None) };
    Ok(Some(Record {
        topic,
        partition: i32::try_from(row.int("event_partition")?).unwrap_or(-1),
        offset: row.int("event_offset")?,
        source: row.text("event_source")?,
        id: row.text("event_id")?,
        key: row.opt_bytes("event_key")?,
        payload: row.opt_bytes("payload")?,
        headers: row.opt_text("event_headers")?.unwrap_or_default(),
    }))
}

/// Claims that were not renewed: whether those mails went out, nobody knows. How many there were. Passes by those
/// whose end is being written.
pub async fn expire_claims(database: &Database, now: i64) -> Result<usize, DatabaseError> {
    const EXPIRE: Sql = Sql {
        postgres: "UPDATE mails SET state = 'unknown', unclear = unclear + 1, due_at = $1, changed_at = $1 \
            WHERE mail_id = ANY(ARRAY(SELECT mail_id FROM mails \
                WHERE state = 'sending' AND due_at <= $1 FOR UPDATE SKIP LOCKED)) RETURNING mail_id",
        sqlite: "UPDATE mails SET state = 'unknown', unclear = unclear + 1, due_at = $1, changed_at = $1 \
            WHERE state = 'sending' AND due_at <= $1 RETURNING mail_id",
    };
    Ok(database.query(EXPIRE, &[now.into()]).await?.len())
}

/// Keeps claims of `holder` until `until`. Passes by those whose end is being written, of which there are many in
/// one transaction: neither waits for the other.
pub async fn renew(
    database: &Database,
    holder: &str,
    mail_ids: Vec<String>,
    until: i64,
) -> Result<(), DatabaseError> {
    const RENEW: Sql = Sql {
        postgres: "UPDATE mails SET due_at = $2 WHERE mail_id = ANY(ARRAY(SELECT mail_id FROM mails \
            WHERE holder = $1 AND state = 'sending' AND mail_id = ANY($3) FOR UPDATE SKIP LOCKED)) \
            RETURNING mail_id",
        sqlite: "UPDATE mails SET due_at = $2 WHERE holder = $1 AND state = 'sending' \
            AND mail_id IN (SELECT value FROM json_each($3)) RETURNING mail_id",
    };
    database.query(RENEW, &[holder.into(), until.into(), mail_ids.into()]).await?;
    Ok(())
}

/// How a claim ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server took the mail.
    Sent,
    /// Another attempt at `due_at`; `unclear` attempts so far may have delivered it.
    Again {
        due_at: i64,
        unclear: u32,
    },
    /// As if it had not been claimed.
    Back,
    Failed {
        reason: &'static str,
        dead_lettered: bool,
    },
}

impl End {
    /// The statement, and its parameters after the first three.
    fn statement(self) -> (&'static str, Vec<Value>) {
        match self {
            Self::Sent => (
                "UPDATE mails SET state = 'sent', reason = NULL, due_at = NULL, holder = NULL, \
                    changed_at = $3 \
                 WHERE mail_id = $1 AND holder = $2 AND state IN ('sending', 'unknown')",
                Vec::new(),
            ),
            Self::Again { due_at, unclear } => (
                "UPDATE mails SET state = CASE WHEN $5 > 0 THEN 'unknown' ELSE 'queued' END, \
                    due_at = $4, unclear = $5, holder = NULL, changed_at = $3 \
                 WHERE mail_id = $1 AND holder = $2 AND state IN ('sending', 'unknown')",
                vec![due_at.into(), unclear.into()],
            ),
            Self::Back => (
                "UPDATE mails SET state = CASE WHEN unclear > 0 THEN 'unknown' ELSE 'queued' END, \
                    due_at = $3, attempts = attempts - 1, holder = NULL, changed_at = $3 \
                 WHERE mail_id = $1 AND holder = $2 AND state IN ('sending', 'unknown')",
                Vec::new(),
            ),
            Self::Failed { reason, dead_lettered } => (
                "UPDATE mails SET state = 'failed', reason = $4, due_at = NULL, \
                    dead_lettered = $5, holder = NULL, changed_at = $3 \
                 WHERE mail_id = $1 AND holder = $2 AND state IN ('sending', 'unknown')",
                vec![reason.into(), dead_lettered.into()],
            ),
        }
    }
}

/// Ends a claim of `holder`; whether it was still its own. A claim that expired counts as its own
/// until somebody else takes the mail.
pub async fn finish(
    tx: &mut Tx<'_>,
    holder: &str,
    mail_id: &str,
    end: End,
    now: i64,
) -> Result<bool, DatabaseError> {
    let (sql, more) = end.statement();
    let mut params: Vec<Value> = vec![mail_id.into(), holder.into(), now.into()];
    params.extend(more);
    Ok(tx.execute(sql, &params).await? > 0)
}

/// What is known of a session's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    Address(String),
    /// The payment has none.
    None,
    /// The payment was not seen yet.
    NotYet,
}

/// The address of a session, as its payment said.
pub async fn address(database: &Database, session_id: &str) -> Result<Known, DatabaseError> {
    let sql = "SELECT address FROM addresses WHERE session_id = $1";
    let rows = database.query(sql, &[session_id.into()]).await?;
    Ok(match rows.first().map(|row| row.opt_text("address")).transpose()? {
        Some(Some(address)) => Known::Address(address),
        Some(None) => Known::None,
        None => Known::NotYet,
    })
}

/// Mails that are not finished, counted up to 100,000.
pub async fn awaiting(database: &Database) -> Result<i64, DatabaseError> {
    let sql = "SELECT COUNT(*) AS awaiting FROM \
        (SELECT 1 AS one FROM mails WHERE due_at IS NOT NULL LIMIT 100000) AS waiting";
    database.query(sql, &[]).await?.first().map_or(Ok(0), |row| row.int("awaiting"))
}

/// Forgets addresses and contents that nobody needs any more, at most 1,000 of each; the rows that
/// keep a mail from being sent twice stay. How many were found.
pub async fn forget(database: &Database, now: i64, kept_ms: i64) -> Result<usize, DatabaseError> {
    let addresses = "DELETE FROM addresses WHERE session_id IN \
        (SELECT session_id FROM addresses WHERE kept_until < $1 LIMIT 1000) RETURNING session_id";
    let contents = "UPDATE mails SET recipient = NULL, payload = NULL, event_key = NULL, \
            event_headers = NULL \
        WHERE mail_id IN (SELECT mail_id FROM mails \
            WHERE payload IS NOT NULL AND due_at IS NULL AND changed_at < $1 LIMIT 1000) \
        RETURNING mail_id";
    let database = database.patient();
    let addresses = database.query(addresses, &[now.into()]).await?.len();
    Ok(addresses + database.query(contents, &[(now - kept_ms).into()]).await?.len())
}
