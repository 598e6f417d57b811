//! The net below webhooks and browsers: finishes creations that were cut off, follows Stripe's events,
//! and looks at payments that nobody brings news of. Decides nothing: it calls what they call.

mod events;
mod rows;

use std::{sync::Arc, time::Duration};

use storefront_runtime::{Lease, Shutdown};
use tokio::time::Instant;

use crate::{app::App, pace::Pace};

/// Longest pause between two looks for rows that are due: what is stuck is found within it.
const TICK_MAX: Duration = Duration::from_secs(5);
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);
/// Calls to Stripe that the sweeper makes, a second: less than half of what Stripe allows in test mode.
const CALLS_PER_SECOND: u32 = 10;
/// Longer than a page of events takes.
const LEASE: Duration = Duration::from_secs(60);

/// The sweeper of one instance. Rows are shared between instances by leases in their rows; the list of
/// events is followed by one instance at a time.
pub struct Sweeper {
    app: Arc<App>,
    lease: Lease,
    pace: Pace,
}

impl Sweeper {
    pub fn new(app: Arc<App>) -> Self {
        let lease = Lease::new("stripe-events", LEASE);
        Self { app, lease, pace: Pace::new(CALLS_PER_SECOND, CALLS_PER_SECOND) }
    }

    /// Sweeps until shutdown. A failure is logged, and what it left is done the next time.
    pub async fn run(&self, shutdown: &Shutdown) {
        // Side by side: a long list of events must not keep a creation from being finished.
        let sweep =
            async { tokio::join!(self.sweep_rows_for_ever(), self.follow_events_for_ever()) };
        tokio::select! {
            () = shutdown.cancelled() => {}
            _ = sweep => {}
        }
        self.lease.release(self.app.payments.database()).await.ok();
    }

    async fn sweep_rows_for_ever(&self) {
        let tick = self.app.sweep_interval.min(TICK_MAX);
        let mut pruned: Option<Instant> = None;
        loop {
            if pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE_INTERVAL) {
                self.prune().await;
                pruned = Some(Instant::now());
            }
            self.sweep_rows().await;
            pause(tick).await;
        }
    }

    async fn follow_events_for_ever(&self) {
        loop {
            self.follow_events().await;
            pause(self.app.sweep_interval).await;
        }
    }

    async fn prune(&self) {
        match self.app.payments.forget_keys().await {
            Ok(keys) if keys > 0 => tracing::debug!(keys, "idempotency keys freed"),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(reason = error.reason(), "idempotency keys were not freed");
            }
        }
        if let Err(error) = self.app.events.forget().await {
            tracing::warn!(reason = error.reason(), "old events were not removed");
        }
    }
}

/// Not all instances at once, and not in step for ever.
async fn pause(interval: Duration) {
    tokio::time::sleep(interval.mul_f64(0.75 + 0.25 * fastrand::f64())).await;
}
