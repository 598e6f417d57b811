//! What each session has seen, so that a payment, an order and a mail count once a session, and the
//! time between payment and mail can be taken whichever of them is heard first.

use std::collections::BTreeMap;

use serde::Serialize;
use storefront_contract::{AnyEvent, Template};
use storefront_runtime::{DatabaseError, Received, Row, Sql, Tx};

/// News of one session in one batch, merged: an upsert may touch a row only once.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct News {
    session_id: String,
    paid_id: Option<String>,
    paid_at: Option<i64>,
    awaits_mail: Option<i64>,
    ordered_id: Option<String>,
    receipt_id: Option<String>,
    confirmation_id: Option<String>,
    mailed_at: Option<i64>,
}

/// What stands in a session's row after a batch.
#[derive(Debug)]
pub struct Seen {
    paid_id: Option<String>,
    ordered_id: Option<String>,
    receipt_id: Option<String>,
    confirmation_id: Option<String>,
    paid_at: Option<i64>,
    mailed_at: Option<i64>,
    measured: bool,
}

/// The first to say something is kept: whose id stands in the row was counted.
const UPSERT: Sql = Sql {
    postgres: "INSERT INTO sessions (session_id, seen_at, paid_id, paid_at, awaits_mail, ordered_id, \
            receipt_id, confirmation_id, mailed_at, measured) \
        SELECT session_id, $2, paid_id, paid_at, awaits_mail, ordered_id, receipt_id, \
            confirmation_id, mailed_at, 0 \
        FROM jsonb_to_recordset(CAST($1 AS jsonb)) AS news(session_id TEXT, paid_id TEXT, \
            paid_at BIGINT, awaits_mail BIGINT, ordered_id TEXT, receipt_id TEXT, \
            confirmation_id TEXT, mailed_at BIGINT) \
        ON CONFLICT (session_id) DO UPDATE SET \
            paid_id = COALESCE(sessions.paid_id, excluded.paid_id), \
            paid_at = COALESCE(sessions.paid_at, excluded.paid_at), \
            awaits_mail = COALESCE(sessions.awaits_mail, excluded.awaits_mail), \
            ordered_id = COALESCE(sessions.ordered_id, excluded.ordered_id), \
            receipt_id = COALESCE(sessions.receipt_id, excluded.receipt_id), \
            confirmation_id = COALESCE(sessions.confirmation_id, excluded.confirmation_id), \
            mailed_at = COALESCE(sessions.mailed_at, excluded.mailed_at) \
        RETURNING session_id, paid_id, paid_at, ordered_id, receipt_id, confirmation_id, mailed_at, \
            measured",
    sqlite: "INSERT INTO sessions (session_id, seen_at, paid_id, paid_at, awaits_mail, ordered_id, \
            receipt_id, confirmation_id, mailed_at, measured) \
        SELECT value ->> 'session_id', $2, value ->> 'paid_id', value ->> 'paid_at', \
            value ->> 'awaits_mail', value ->> 'ordered_id', value ->> 'receipt_id', \
            value ->> 'confirmation_id', value ->> 'mailed_at', 0 \
        FROM json_each($1) WHERE true \
        ON CONFLICT (session_id) DO UPDATE SET \
            paid_id = COALESCE(sessions.paid_id, excluded.paid_id), \
            paid_at = COALESCE(sessions.paid_at, excluded.paid_at), \
            awaits_mail = COALESCE(sessions.awaits_mail, excluded.awaits_mail), \
            ordered_id = COALESCE(sessions.ordered_id, excluded.ordered_id), \
            receipt_id = COALESCE(sessions.receipt_id, excluded.receipt_id), \
            confirmation_id = COALESCE(sessions.confirmation_id, excluded.confirmation_id), \
            mailed_at = COALESCE(sessions.mailed_at, excluded.mailed_at) \
        RETURNING session_id, paid_id, paid_at, ordered_id, receipt_id, confirmation_id, mailed_at, \
            measured",
};

const MEASURED: Sql = Sql {
    postgres: "UPDATE sessions SET measured = 1 WHERE session_id = ANY($1)",
    sqlite: "UPDATE sessions SET measured = 1 \
        WHERE session_id IN (SELECT value FROM json_each($1))",
};

/// Merges a batch into one piece of news a session, in the order of the session ids.
pub fn merge(events: &[Received<AnyEvent>]) -> Vec<News> {
    let mut sessions: BTreeMap<&str, News> = BTreeMap::new();
    for Received { event, envelope, .. } in events {
        let id = || Some(envelope.id.clone());
        let news = sessions.entry(session_of(event)).or_default();
        match event {
            AnyEvent::Payment(payment) if news.paid_id.is_none() => {
                news.paid_id = id();
                news.paid_at = Some(payment.paid_at.as_millisecond());
                news.awaits_mail = Some(payment.email.is_some().into());
            }
            AnyEvent::Order(_) if news.ordered_id.is_none() => news.ordered_id = id(),
            AnyEvent::Email(mail) => {
                let slot = match mail.template {
                    Template::PaymentReceipt => &mut news.receipt_id,
                    Template::OrderConfirmation => &mut news.confirmation_id,
                };
                if slot.is_none() {
                    *slot = id();
                }
                news.mailed_at.get_or_insert(mail.sent_at.as_millisecond());
            }
            AnyEvent::Payment(_) | AnyEvent::Order(_) => {}
        }
    }
    let named = |(session_id, news): (&str, News)| News { session_id: session_id.into(), ..news };
    sessions.into_iter().map(named).collect()
}

pub fn session_of(event: &AnyEvent) -> &str {
    match event {
        AnyEvent::Payment(payment) => &payment.session_id,
        AnyEvent::Order(order) => &order.session_id,
        AnyEvent::Email(mail) => &mail.session_id,
    }
}

/// Writes the news, in one statement, and returns what each session has seen now.
pub async fn note(
    tx: &mut Tx<'_>,
    news: &[News],
    now_ms: i64,
) -> Result<BTreeMap<String, Seen>, DatabaseError> {
    let news = serde_json::json!(news).to_string();
    let rows = tx.query(UPSERT, &[news.into(), now_ms.into()]).await?;
    rows.iter().map(seen).collect()
}

fn seen(row: &Row) -> Result<(String, Seen), DatabaseError> {
    let seen = Seen {
        paid_id: row.opt_text("paid_id")?,
        ordered_id: row.opt_text("ordered_id")?,
        receipt_id: row.opt_text("receipt_id")?,
        confirmation_id: row.opt_text("confirmation_id")?,
        paid_at: row.opt_int("paid_at")?,
        mailed_at: row.opt_int("mailed_at")?,
        measured: row.int("measured")? != 0,
    };
    Ok((row.text("session_id")?, seen))
}

/// Remembers that the time from payment to mail of these sessions was taken.
pub async fn measured(tx: &mut Tx<'_>, sessions: Vec<String>) -> Result<(), DatabaseError> {
    if !sessions.is_empty() {
        tx.execute(MEASURED, &[sessions.into()]).await?;
    }
    Ok(())
}

impl Seen {
    /// Whether this very event is the one of its kind that counts.
    pub fn counts(&self, event: &AnyEvent, id: &str) -> bool {
        let counted = match event {
            AnyEvent::Payment(_) => &self.paid_id,
            AnyEvent::Order(_) => &self.ordered_id,
            AnyEvent::Email(mail) => match mail.template {
                Template::PaymentReceipt => &self.receipt_id,
                Template::OrderConfirmation => &self.confirmation_id,
            },
        };
        counted.as_deref() == Some(id)
    }

    /// When it was paid and when first mailed, if both are known and not yet measured.
    pub fn to_measure(&self) -> Option<(i64, i64)> {
        if self.measured { None } else { self.paid_at.zip(self.mailed_at) }
    }
}
