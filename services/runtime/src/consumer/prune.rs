//! Forgets the ids of old events, a few at a time.

use std::time::Duration;

use jiff::Timestamp;

use super::engine::Engine;
use crate::{Shutdown, handler::Handler, store::inbox, text::chain};

const INTERVAL: Duration = Duration::from_secs(3600);
/// Rows of one statement: none takes long, so that nobody waits for its locks.
const ROWS: u32 = 5000;
/// Statements of one round.
const ROUND_MAX: u32 = 200;

impl<H: Handler> Engine<H> {
    /// Prunes the inbox every hour until the service stops. Several instances do no harm.
    pub(crate) async fn prune_inbox(&self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            let kept_ms =
                i64::try_from(self.options.inbox_retention.as_millis()).unwrap_or(i64::MAX);
            let before_ms = Timestamp::now().as_millisecond().saturating_sub(kept_ms);
            for _ in 0..ROUND_MAX {
                match inbox::prune(&self.database, before_ms, ROWS).await {
                    Ok(deleted) if deleted < u64::from(ROWS) => break,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(error = chain(&error), "old ids could not be forgotten");
                        break;
                    }
                }
            }
        }
    }
}
