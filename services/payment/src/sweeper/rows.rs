//! Rows whose time to be looked at has come.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use storefront_contract::ServiceId;
use storefront_runtime::failpoint::{self, Step};
use tokio::time::Instant;

use super::Sweeper;
use crate::{
    fulfil::Asker,
    state::State,
    store::{Payment, StoreError},
};

/// Rows taken at once, of creations and of sessions each.
const BATCH: i64 = 10;
/// Batches in a row before the events get their turn.
const BATCHES_MAX: u32 = 50;
/// Rows worked on at once.
const AT_ONCE: usize = 4;
/// How long a batch belongs to us. Longer than the batch takes when Stripe is slow for each of its
/// rows: five rounds of four rows, nine seconds each.
const BATCH_LEASE_MS: i64 = 50_000;
const CREATE_LIMIT: Duration = Duration::from_secs(9);
/// Stripe forgets idempotency keys after a day, so an older creation could make a second session.
const CREATING_MAX_MS: i64 = 23 * 60 * 60 * 1000;

impl Sweeper {
    pub(super) async fn sweep_rows(&self) {
        for _ in 0..BATCHES_MAX {
            let (due, more) = match self.due().await {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(reason = error.reason(), "payments were not swept");
                    return;
                }
            };
            stream::iter(due).for_each_concurrent(AT_ONCE, |payment| self.sweep_row(payment)).await;
            if !more {
                return;
            }
        }
    }

    /// A batch, and whether there may be more. Creations first: a shopper waits for them, and they must
    /// not stand behind all the sessions that became due while this service was down.
    async fn due(&self) -> Result<(Vec<Payment>, bool), StoreError> {
        let payments = &self.app.payments;
        let mut due = payments.due_creations(BATCH, BATCH_LEASE_MS).await?;
        let sessions = payments.due_sessions(BATCH, BATCH_LEASE_MS).await?;
        let full = |count: usize| i64::try_from(count).is_ok_and(|count| count == BATCH);
        let more = full(due.len()) || full(sessions.len());
        due.extend(sessions);
        Ok((due, more))
    }

    async fn sweep_row(&self, payment: Payment) {
        failpoint::reach(ServiceId::Payment, Step::RowsTaken);
        self.pace.wait().await;
        let id = payment.id.clone();
        let outcome = match (&payment.session_id, payment.state) {
            (None, State::Creating) if payment.age_ms() > CREATING_MAX_MS => {
                let ended = self.app.payments.give_up(&id, State::Expired, "never-created");
                ended.await.map(drop).map_err(|error| error.reason())
            }
            (None, State::Creating) => {
                let finished = self.app.finish_creation(payment, Instant::now() + CREATE_LIMIT);
                finished.await.map(drop).map_err(|error| error.reason())
            }
            (Some(session_id), _) => {
                let found = self.app.fulfil(session_id, Asker::Sweeper).await;
                found.map(drop).map_err(|error| error.reason())
            }
            (None, _) => Ok(()),
        };
        if let Err(reason) = outcome {
            tracing::warn!(payment.id = id, reason, "a payment could not be swept for now");
        }
    }
}
