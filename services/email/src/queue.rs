//! The handler: an event becomes a row, and nothing is sent here. The same mail is queued once, whichever
//! event asks for it; a replayed dead letter wakes the row that was given up.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use lettre::message::Mailbox;
use storefront_contract::{EmailSuccessful, Event, Shop, Template, Topic, ids};
use storefront_runtime::{
    DatabaseError, Failure, Handler, OnConflict, Outgoing, Received, Record, Tx, Value,
};
use tokio::sync::Notify;

use crate::{address, happening::Happening, message, metrics::MailMetrics};

/// Addresses and contents are kept this much longer than mails may be sent, so that a dead letter can
/// be understood and an order's event can come late.
pub const KEPT_LONGER_MS: i64 = 30 * 24 * 3_600_000;

/// A mail that was too old when its event came: switched on late, the service mails no history.
pub const TOO_OLD: &str = "too-old";
/// A mail to somebody whose address nobody knows.
pub const NO_ADDRESS: &str = "no-address";

const COLUMNS: &[&str] = &[
    "mail_id",
    "message_id",
    "template",
    "order_id",
    "session_id",
    "state",
    "reason",
    "attempts",
    "unclear",
    "due_at",
    "expires_at",
    "created_at",
    "changed_at",
    "dead_lettered",
    "recipient",
    "traceparent",
    "event_topic",
    "event_partition",
    "event_offset",
    "event_source",
    "event_id",
    "event_key",
    "event_headers",
    "payload",
];

/// The handler of `payment-successful` and `order-successful`.
pub struct QueueMails {
    pub shop: Shop,
    pub from: Mailbox,
    /// Topics whose events become a mail.
    pub send_on: Vec<Topic>,
    pub max_age_ms: i64,
    pub metrics: MailMetrics,
    /// Tells the sender that there is something to do.
    pub wake: Arc<Notify>,
    pub clock: fn() -> Timestamp,
}

/// A mail that an event asks for.
struct Wanted {
    mail_id: String,
    /// Why it is not sent, if that is known already. Not a failure that a person should look at.
    reason: Option<&'static str>,
    /// In the order of [`COLUMNS`].
    row: Vec<Value>,
    /// The parameters of [`REVIVE`].
    revive: Vec<Value>,
}

impl Handler for QueueMails {
    type Event = Happening;
    const KEEPS_RECORDS: bool = true;

    async fn handle(
        &self,
        events: &[Received<Happening>],
        tx: &mut Tx<'_>,
        _out: &mut Outgoing,
    ) -> Result<(), Failure> {
        self.take(events, tx).await
    }
}

impl QueueMails {
    /// Queues the mails of a batch.
    pub async fn take(
        &self,
        events: &[Received<Happening>],
        tx: &mut Tx<'_>,
    ) -> Result<(), Failure> {
        let now = (self.clock)().as_millisecond();
        let (mut addresses, mut mails) = (Vec::new(), Vec::new());
        for received in events {
            let address = address_of(&received.event)?;
            if let Happening::Paid(payment) = &received.event {
                let kept_until = now + self.max_age_ms + KEPT_LONGER_MS;
                let session_id = payment.session_id.as_str();
                addresses.push(vec![session_id.into(), address.clone().into(), kept_until.into()]);
            }
            if self.send_on.contains(&received.topic) {
                let record = received.record.as_deref().ok_or_else(no_record)?;
                mails.push(self.wanted(received, record, address.as_deref(), now));
            }
        }
        let columns = &["session_id", "address", "kept_until"];
        tx.insert("addresses", columns, addresses, OnConflict::Ignore).await?;
        Ok(self.queue(tx, mails).await?)
    }

    fn wanted(
        &self,
        received: &Received<Happening>,
        record: &Record,
        address: Option<&str>,
        now: i64,
    ) -> Wanted {
        let Received { event, envelope, .. } = received;
        let template = event.template();
        let mail_id = ids::event_id(&self.shop, EmailSuccessful::TYPE, &identity(event, template));
        // A clock that runs ahead must not make a mail young for ever.
        let expires_at = event.at().as_millisecond().min(now) + self.max_age_ms;
        let reason = match (event, address) {
            (Happening::Paid(_), None) => Some(NO_ADDRESS),
            _ if expires_at <= now => Some(TOO_OLD),
            _ => None,
        };
        let mail_id = mail_id.to_string();
        let record: [Value; 8] = [
            record.topic.name().into(),
            record.partition.into(),
            record.offset.into(),
            record.source.as_str().into(),
            record.id.as_str().into(),
            record.key.clone().into(),
            record.headers.as_str().into(),
            record.payload.clone().into(),
        ];
        let state = if reason.is_some() { "failed" } else { "queued" };
        let mut row: Vec<Value> = vec![
            mail_id.as_str().into(),
            message::message_id(&mail_id, &self.from).into(),
            template.name().into(),
            event.order_id().into(),
            event.session_id().into(),
            state.into(),
            reason.into(),
            0_i64.into(),
            0_i64.into(),
            Some(now).filter(|_| reason.is_none()).into(),
            expires_at.into(),
            now.into(),
            now.into(),
            false.into(),
            address.into(),
            envelope.traceparent.as_deref().into(),
        ];
        row.extend(record.iter().cloned());
        // Replayed by a person: its time begins anew.
        let mut revive: Vec<Value> = vec![
            mail_id.as_str().into(),
            now.into(),
            (now + self.max_age_ms).into(),
            address.into(),
        ];
        revive.extend(record);
        Wanted { mail_id, reason, row, revive }
    }

    /// One statement for the batch, and one more for each mail that was there already.
    async fn queue(&self, tx: &mut Tx<'_>, wanted: Vec<Wanted>) -> Result<(), DatabaseError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let rows = wanted.iter().map(|wanted| wanted.row.clone()).collect();
        let new = tx.insert_returning("mails", COLUMNS, rows, OnConflict::Ignore, &["mail_id"]);
        let new: HashSet<String> =
            new.await?.iter().map(|row| row.text("mail_id")).collect::<Result<_, _>>()?;
        for mail in wanted {
            if new.contains(&mail.mail_id) {
                self.metrics.count(if mail.reason.is_some() { "failed" } else { "queued" });
                if let Some(reason) = mail.reason {
                    tracing::info!(mail.id = mail.mail_id, reason, "no mail is sent");
                }
            } else if tx.execute(REVIVE, &mail.revive).await? > 0 {
                self.metrics.count("queued");
            }
        }
        self.wake.notify_one();
        Ok(())
    }
}

/// A given-up mail whose event came again: somebody replayed its dead letter.
const REVIVE: &str = "UPDATE mails SET state = 'queued', reason = NULL, attempts = 0, unclear = 0, \
        due_at = $2, expires_at = $3, changed_at = $2, dead_lettered = 0, recipient = $4, \
        event_topic = $5, event_partition = $6, event_offset = $7, event_source = $8, \
        event_id = $9, event_key = $10, event_headers = $11, payload = $12 \
    WHERE mail_id = $1 AND state = 'failed' AND dead_lettered = 1";

/// The event that a mail's success will be: its id is the mail's.
fn identity(event: &Happening, template: Template) -> String {
    format!("{}/{}", event.session_id(), template.name())
}

/// A payment's address, which must be one; an order's event has none.
fn address_of(event: &Happening) -> Result<Option<String>, Failure> {
    let Happening::Paid(payment) = event else { return Ok(None) };
    let Some(email) = &payment.email else { return Ok(None) };
    let address = address::recipient(email)
        .map_err(|invalid| Failure::permanent(invalid.reason(), invalid))?;
    Ok(Some(address.to_string()))
}

/// The runtime keeps records for this handler, so this is never seen.
fn no_record() -> Failure {
    Failure::permanent("no-record", "the runtime handed over an event without its record")
}
