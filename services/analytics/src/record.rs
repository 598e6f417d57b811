//! Takes events of all topics: logs each, and adds what is new to the aggregates, one statement a table.

use jiff::Timestamp;
use storefront_contract::AnyEvent;
use storefront_runtime::{DatabaseError, Failure, Handler, Outgoing, Received, Sql, Tx};

use crate::{
    sessions::{self, Seen},
    tally::Tally,
};

/// The handler of all three topics.
pub struct Record {
    clock: fn() -> Timestamp,
}

impl Default for Record {
    fn default() -> Self {
        Self { clock: Timestamp::now }
    }
}

impl Handler for Record {
    type Event = AnyEvent;

    async fn handle(
        &self,
        events: &[Received<AnyEvent>],
        tx: &mut Tx<'_>,
        _out: &mut Outgoing,
    ) -> Result<(), Failure> {
        Ok(self.add(events, tx).await?)
    }
}

impl Record {
    /// Adds a batch to the aggregates.
    pub async fn add(
        &self,
        events: &[Received<AnyEvent>],
        tx: &mut Tx<'_>,
    ) -> Result<(), DatabaseError> {
        let now_ms = (self.clock)().as_millisecond();
        let seen = sessions::note(tx, &sessions::merge(events), now_ms).await?;
        let mut tally = Tally::default();
        for received in events {
            log(received);
            let seen = seen.get(sessions::session_of(&received.event));
            if seen.is_some_and(|seen| seen.counts(&received.event, &received.envelope.id)) {
                count(&mut tally, &received.event);
            }
        }
        let mut complete = Vec::new();
        for (session_id, seen) in seen {
            if let Some((paid_at, mailed_at)) = Seen::to_measure(&seen) {
                tally.paid_and_mailed(paid_at, mailed_at);
                complete.push(session_id);
            }
        }
        sessions::measured(tx, complete).await?;
        write(tx, &tally).await
    }
}

fn count(tally: &mut Tally, event: &AnyEvent) {
    match event {
        AnyEvent::Payment(event) => tally.payment(event.paid_at, event.currency, event.amount),
        AnyEvent::Order(event) => tally.order(event.created_at, event.currency),
        AnyEvent::Email(event) => tally.mail(event.sent_at, event.template.name()),
    }
}

/// Ids only: a user's id may be an address.
fn log(received: &Received<AnyEvent>) {
    let event_id = received.envelope.id.as_str();
    match &received.event {
        AnyEvent::Payment(event) => tracing::info!(
            event.id = event_id,
            order.id = %event.order_id,
            amount = event.amount,
            currency = event.currency.code(),
            "payment successful"
        ),
        AnyEvent::Order(event) => tracing::info!(
            event.id = event_id,
            order.id = %event.order_id,
            amount = event.amount,
            currency = event.currency.code(),
            "order successful"
        ),
        AnyEvent::Email(event) => tracing::info!(
            event.id = event_id,
            order.id = %event.order_id,
            mail.template = event.template.name(),
            // Without the domain, which would make it look like an address: logs have none.
            mail.id = event.message_id.split('@').next().unwrap_or_default(),
            "mail successful"
        ),
    }
}

const ADD_SALES: Sql = Sql {
    postgres: "INSERT INTO sales (step, starts_at, currency, payments, revenue, orders) \
        SELECT step, starts_at, currency, payments, revenue, orders \
        FROM jsonb_to_recordset(CAST($1 AS jsonb)) AS new(step TEXT, starts_at BIGINT, \
            currency TEXT, payments BIGINT, revenue BIGINT, orders BIGINT) \
        ON CONFLICT (step, starts_at, currency) DO UPDATE SET \
            payments = sales.payments + excluded.payments, \
            revenue = sales.revenue + excluded.revenue, orders = sales.orders + excluded.orders",
    sqlite: "INSERT INTO sales (step, starts_at, currency, payments, revenue, orders) \
        SELECT value ->> 'step', value ->> 'starts_at', value ->> 'currency', \
            value ->> 'payments', value ->> 'revenue', value ->> 'orders' \
        FROM json_each($1) WHERE true \
        ON CONFLICT (step, starts_at, currency) DO UPDATE SET \
            payments = sales.payments + excluded.payments, \
            revenue = sales.revenue + excluded.revenue, orders = sales.orders + excluded.orders",
};

const ADD_MAILS: Sql = Sql {
    postgres: "INSERT INTO mails (starts_at, template, sent) SELECT starts_at, template, sent \
        FROM jsonb_to_recordset(CAST($1 AS jsonb)) AS new(starts_at BIGINT, template TEXT, \
            sent BIGINT) \
        ON CONFLICT (starts_at, template) DO UPDATE SET sent = mails.sent + excluded.sent",
    sqlite: "INSERT INTO mails (starts_at, template, sent) \
        SELECT value ->> 'starts_at', value ->> 'template', value ->> 'sent' \
        FROM json_each($1) WHERE true \
        ON CONFLICT (starts_at, template) DO UPDATE SET sent = mails.sent + excluded.sent",
};

const ADD_LATENCY: Sql = Sql {
    postgres: "INSERT INTO latency (starts_at, at_most_ms, mails, sum_ms, longest_ms) \
        SELECT starts_at, at_most_ms, mails, sum_ms, longest_ms \
        FROM jsonb_to_recordset(CAST($1 AS jsonb)) AS new(starts_at BIGINT, at_most_ms BIGINT, \
            mails BIGINT, sum_ms BIGINT, longest_ms BIGINT) \
        ON CONFLICT (starts_at, at_most_ms) DO UPDATE SET mails = latency.mails + excluded.mails, \
            sum_ms = latency.sum_ms + excluded.sum_ms, \
            longest_ms = GREATEST(latency.longest_ms, excluded.longest_ms)",
    sqlite: "INSERT INTO latency (starts_at, at_most_ms, mails, sum_ms, longest_ms) \
        SELECT value ->> 'starts_at', value ->> 'at_most_ms', value ->> 'mails', \
            value ->> 'sum_ms', value ->> 'longest_ms' \
        FROM json_each($1) WHERE true \
        ON CONFLICT (starts_at, at_most_ms) DO UPDATE SET mails = latency.mails + excluded.mails, \
            sum_ms = latency.sum_ms + excluded.sum_ms, \
            longest_ms = MAX(latency.longest_ms, excluded.longest_ms)",
};

/// Adds a batch's sums: at most three statements, however large the batch.
async fn write(tx: &mut Tx<'_>, tally: &Tally) -> Result<(), DatabaseError> {
    let sales = tally.sales.iter().map(|((step, starts_at, currency), sales)| {
        serde_json::json!({
            "step": step, "starts_at": starts_at, "currency": currency,
            "payments": sales.payments, "revenue": sales.revenue, "orders": sales.orders,
        })
    });
    let mails = tally.mails.iter().map(|((starts_at, template), sent)| {
        serde_json::json!({ "starts_at": starts_at, "template": template, "sent": sent })
    });
    let latency = tally.latency.iter().map(|((starts_at, at_most_ms), latency)| {
        serde_json::json!({
            "starts_at": starts_at, "at_most_ms": at_most_ms, "mails": latency.mails,
            "sum_ms": latency.sum_ms, "longest_ms": latency.longest_ms,
        })
    });
    for (sql, rows) in [
        (ADD_SALES, sales.collect::<Vec<_>>()),
        (ADD_MAILS, mails.collect()),
        (ADD_LATENCY, latency.collect()),
    ] {
        if !rows.is_empty() {
            tx.execute(sql, &[serde_json::Value::Array(rows).to_string().into()]).await?;
        }
    }
    Ok(())
}
