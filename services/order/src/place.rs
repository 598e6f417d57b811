//! Makes orders of payments: set by set, in the runtime's transaction, once a session for ever.

use std::collections::{HashMap, HashSet};

use jiff::{Timestamp, Unit};
use storefront_contract::{Envelope, OrderSuccessful, PaymentSuccessful};
use storefront_runtime::{
    DatabaseError, Failure, Handler, OnConflict, Outgoing, Received, Row, Sql, Tx, Value,
};
use uuid::Uuid;

const COLUMNS: &[&str] =
    &["order_id", "session_id", "user_id", "cart", "amount", "currency", "created_at"];

/// The orders of some ids, for the few that were there already.
const SESSIONS_OF: Sql = Sql {
    postgres: "SELECT order_id, session_id FROM orders WHERE order_id = ANY($1)",
    sqlite: "SELECT order_id, session_id FROM orders \
        WHERE order_id IN (SELECT value FROM json_each($1))",
};

/// The handler of `payment-successful`.
pub struct PlaceOrders {
    clock: fn() -> Timestamp,
}

/// Why a payment cannot become an order.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Two sessions under one order id would be one order: one of them paid for nothing.
    #[error("order {order_id} is already the order of another session")]
    OrderIdTaken { order_id: Uuid },
    #[error("the cart cannot be stored")]
    Cart(#[source] serde_json::Error),
}

impl Refused {
    /// A fixed word for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::OrderIdTaken { .. } => "order-id-taken",
            Self::Cart(_) => "unstorable",
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::permanent(refused.reason(), refused)
    }
}

impl Default for PlaceOrders {
    fn default() -> Self {
        Self { clock: Timestamp::now }
    }
}

impl Handler for PlaceOrders {
    type Event = PaymentSuccessful;

    async fn handle(
        &self,
        events: &[Received<PaymentSuccessful>],
        tx: &mut Tx<'_>,
        out: &mut Outgoing,
    ) -> Result<(), Failure> {
        for (order, cause) in self.place(events, tx).await? {
            tracing::debug!(order.id = %order.order_id, "order placed");
            out.send(&order, cause);
        }
        Ok(())
    }
}

impl PlaceOrders {
    /// Stores the orders of a batch, in one statement, and returns those that are new with what caused
    /// them.
    pub async fn place<'e>(
        &self,
        events: &'e [Received<PaymentSuccessful>],
        tx: &mut Tx<'_>,
    ) -> Result<Vec<(OrderSuccessful, &'e Envelope)>, Failure> {
        // Rows hold milliseconds, so the event says no more than the row.
        let now = (self.clock)();
        let now = now.round(Unit::Millisecond).unwrap_or(now);
        // The same session under another event id, in one batch: the first one stands.
        let mut sessions = HashSet::with_capacity(events.len());
        let candidates: Vec<_> = events
            .iter()
            .filter(|received| sessions.insert(received.event.session_id.as_str()))
            .collect();
        let rows: Result<Vec<_>, _> =
            candidates.iter().map(|received| row(&received.event, now)).collect();
        let new = tx
            .insert_returning("orders", COLUMNS, rows?, OnConflict::Ignore, &["session_id"])
            .await?;
        let placed = if new.len() == candidates.len() {
            candidates
        } else {
            only_new(tx, candidates, &new).await?
        };
        let event = |received: &'e Received<_>| {
            (order_successful(&received.event, now), &received.envelope)
        };
        Ok(placed.into_iter().map(event).collect())
    }
}

/// Leaves out the payments whose session has its order already, however they came again.
async fn only_new<'e>(
    tx: &mut Tx<'_>,
    candidates: Vec<&'e Received<PaymentSuccessful>>,
    new: &[Row],
) -> Result<Vec<&'e Received<PaymentSuccessful>>, Failure> {
    let new: Result<HashSet<_>, DatabaseError> =
        new.iter().map(|row| row.text("session_id")).collect();
    let new = new?;
    let (placed, known): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|received| new.contains(&received.event.session_id));
    let ids: Vec<String> = known.iter().map(|r| r.event.order_id.to_string()).collect();
    let mut sessions = HashMap::new();
    for row in tx.query(SESSIONS_OF, &[ids.into()]).await? {
        sessions.insert(row.text("order_id")?, row.text("session_id")?);
    }
    for received in known {
        let PaymentSuccessful { order_id, session_id, .. } = &received.event;
        if sessions.get(&order_id.to_string()).is_some_and(|session| session != session_id) {
            return Err(Refused::OrderIdTaken { order_id: *order_id }.into());
        }
        tracing::info!(order.id = %order_id, "the session has its order already");
    }
    Ok(placed)
}

fn row(event: &PaymentSuccessful, now: Timestamp) -> Result<Vec<Value>, Refused> {
    Ok(vec![
        event.order_id.into(),
        event.session_id.as_str().into(),
        event.user_id.as_str().into(),
        serde_json::to_string(&event.cart).map_err(Refused::Cart)?.into(),
        event.amount.into(),
        event.currency.code().into(),
        now.into(),
    ])
}

fn order_successful(payment: &PaymentSuccessful, created_at: Timestamp) -> OrderSuccessful {
    OrderSuccessful {
        order_id: payment.order_id,
        user_id: payment.user_id.clone(),
        cart: payment.cart.clone(),
        amount: payment.amount,
        currency: payment.currency,
        session_id: payment.session_id.clone(),
        created_at,
    }
}
