//! Stripe's answer into the row, and, when it says paid, the event into the outbox with it.

use jiff::Timestamp;
use storefront_contract::{Money, PaymentSuccessful, ServiceId, ids::order_id};
use storefront_runtime::{
    TraceContext,
    failpoint::{self, Guard, Step},
};

use super::{Asker, FulfilError};
use crate::{
    app::App,
    schedule::next_check_in_ms,
    session_id::SessionId,
    state::{State, Verdict, judge},
    store::{self, Payment, Settled},
    stripe::objects::Session,
};

/// How long after its end a session that Stripe does not know counts as expired.
const OVER_AFTER_MS: i64 = 60 * 60 * 1000;

/// Whether the time to pay has ended long ago.
pub(super) fn is_over(payment: &Payment) -> bool {
    let ended = |at: i64| payment.read_at_ms.saturating_sub(at) > OVER_AFTER_MS;
    payment.expires_at_ms.is_some_and(ended)
}

impl App {
    /// Stores what Stripe's answer means for a claimed payment. `None`: the row has moved on.
    pub(super) async fn settle(
        &self,
        payment: Payment,
        session: &Session,
        asker: Asker,
    ) -> Result<Option<Payment>, FulfilError> {
        let verdict = match judge(session, payment.priced) {
            // Paid, but nobody knows by whom or for what.
            Verdict::Paid | Verdict::Differs { .. } if !payment.is_whole() => Verdict::Unclear,
            verdict => verdict,
        };
        let reason = match verdict {
            Verdict::Differs { paid } => Some(describe(payment.priced, paid)),
            Verdict::Failed => Some("the delayed payment did not come".to_owned()),
            _ => None,
        };
        // News that is older than what the row knows changes nothing but the next look.
        let state = verdict.state();
        let state = if payment.state.may_become(state) { state } else { payment.state };
        let settled = Settled {
            state,
            email: session.email(),
            paid_at_ms: (state == State::Paid).then(|| paid_at(asker, session).as_millisecond()),
            next_check_at_ms: self.next_check_at_ms(&payment, state),
            reason: reason.as_deref(),
        };
        let before = payment.state;
        let stored = self.store(payment, settled).await?;
        if stored.is_some() && state == State::Paid && before != State::Paid {
            self.metrics.paid(asker.messenger());
        }
        Ok(stored)
    }

    /// A session that Stripe does not know any more, after its time.
    pub(super) async fn settle_missing(
        &self,
        payment: Payment,
    ) -> Result<Option<Payment>, FulfilError> {
        let (email, paid_at_ms, next_check_at_ms) = (None, None, None);
        let reason = Some("Stripe does not know the session");
        let state = State::Expired;
        self.store(payment, Settled { state, email, paid_at_ms, next_check_at_ms, reason }).await
    }

    async fn store(
        &self,
        payment: Payment,
        settled: Settled<'_>,
    ) -> Result<Option<Payment>, FulfilError> {
        let before = payment.state;
        let event = self.event(&payment, &settled);
        // Mostly there is no news, and one statement is enough.
        let stored = if event.is_empty() {
            self.payments.settle(&payment, &settled).await?
        } else {
            let stored = match self.store_with(&payment, &settled, &event).await {
                // If it was committed after all, the row has moved on.
                Err(error) if error.is_commit_unknown() => {
                    self.store_with(&payment, &settled, &event).await
                }
                stored => stored,
            }?;
            if stored && failpoint::without(Guard::Outbox) {
                failpoint::between_transactions().await;
                self.tell(&event).await?;
            }
            failpoint::reach(ServiceId::Payment, Step::PaymentCommitted);
            stored
        };
        if !stored {
            return Ok(None);
        }
        let email = payment.email.clone().or_else(|| settled.email.map(str::to_owned));
        let reason = settled.reason.map(str::to_owned);
        let paid_at_ms = settled.paid_at_ms;
        let payment = Payment { state: settled.state, email, paid_at_ms, reason, ..payment };
        if before != payment.state {
            self.announce(&payment);
        }
        Ok(Some(payment))
    }

    /// Stores what a payment has become, and with it the event that tells it. `false`: the row has moved on.
    async fn store_with(
        &self,
        payment: &Payment,
        settled: &Settled<'_>,
        event: &[(PaymentSuccessful, Option<TraceContext>)],
    ) -> Result<bool, FulfilError> {
        let work = self.payments.database().transact(|tx| {
            Box::pin(async move {
                let moved = store::settle(tx, payment, settled).await?;
                if moved && !failpoint::without(Guard::Outbox) {
                    self.outbox.insert(tx, event).await?;
                    failpoint::reach(ServiceId::Payment, Step::PaymentWritten);
                }
                Ok::<_, FulfilError>(moved)
            })
        });
        work.await
    }

    /// Stores an event by itself, as nothing that is shipped does.
    async fn tell(
        &self,
        event: &[(PaymentSuccessful, Option<TraceContext>)],
    ) -> Result<(), FulfilError> {
        let work = self.payments.database().transact(|tx| {
            Box::pin(async move { Ok::<_, FulfilError>(self.outbox.insert(tx, event).await?) })
        });
        work.await
    }

    /// The event of a payment that becomes paid; of any other, none.
    fn event(
        &self,
        payment: &Payment,
        settled: &Settled<'_>,
    ) -> Vec<(PaymentSuccessful, Option<TraceContext>)> {
        let (Some(session_id), Some(paid_at_ms)) = (&payment.session_id, settled.paid_at_ms) else {
            return Vec::new();
        };
        vec![self.event_of(payment, session_id, (settled.email, paid_at_ms))]
    }

    /// The event that a payment was, or is, told by: the same however often it is made.
    pub(crate) fn event_of(
        &self,
        payment: &Payment,
        session_id: &SessionId,
        (email, paid_at_ms): (Option<&str>, i64),
    ) -> (PaymentSuccessful, Option<TraceContext>) {
        let session_id = session_id.as_str();
        let trace = payment.traceparent.as_deref().and_then(TraceContext::parse);
        let event = PaymentSuccessful {
            user_id: payment.user_id.clone(),
            cart: payment.cart.clone(),
            amount: payment.priced.amount,
            currency: payment.priced.currency,
            email: payment.email.clone().or_else(|| email.map(str::to_owned)),
            session_id: session_id.to_owned(),
            order_id: order_id(&self.shop, session_id),
            paid_at: Timestamp::from_millisecond(paid_at_ms).unwrap_or_default(),
        };
        (event, trace)
    }

    /// Tells people and machines that a payment has entered a state.
    pub(crate) fn announce(&self, payment: &Payment) {
        self.metrics.entered(payment.state.name());
        let (id, state) = (payment.id.as_str(), payment.state.name());
        match payment.state {
            State::Held => {
                let reason = payment.reason.as_deref();
                tracing::error!(payment.id = id, reason, "ALERT: a payment is held, look at it");
            }
            State::Paid | State::Failed => tracing::info!(payment.id = id, state, "payment moved"),
            _ => tracing::debug!(payment.id = id, state, "payment moved"),
        }
    }

    /// When to look again, in the database's time.
    pub(super) fn next_check_at_ms(&self, payment: &Payment, state: State) -> Option<i64> {
        let expires_in_ms = payment.expires_at_ms.map(|at| at.saturating_sub(payment.read_at_ms));
        next_check_in_ms(state, payment.age_ms(), expires_in_ms, self.sweep_interval_ms())
            .map(|wait| payment.read_at_ms.saturating_add(wait))
    }
}

/// When Stripe said it was paid: the event's time if one has brought the news, else now. What an audit
/// finds may have been paid long ago, but not before its session was made.
fn paid_at(asker: Asker, session: &Session) -> Timestamp {
    let now = Timestamp::now();
    let made = || session.created.and_then(|seconds| Timestamp::from_second(seconds).ok());
    match asker {
        Asker::Audit => made().unwrap_or(now).min(now),
        Asker::Event(Some(time)) | Asker::Listed(Some(time)) => time.min(now),
        Asker::Event(None) | Asker::Listed(None) | Asker::Verify | Asker::Sweeper => now,
    }
}

fn describe(priced: Money, paid: Option<Money>) -> String {
    match paid {
        Some(paid) => format!("priced {priced}, paid {paid}"),
        None => format!("priced {priced}, paid an amount that cannot be read"),
    }
}
