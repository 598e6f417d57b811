//! How a consumer behaves where nothing but experience decides: sizes, limits, patience.

use std::time::Duration;

use storefront_contract::Topic;

use crate::backoff::delay;

/// Options of a consumer. The defaults are for a shop; a test shortens the waits.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// What to read; empty for all that the catalog says. A topic that is left out is not read at all.
    pub topics: Vec<Topic>,
    /// Most records in one transaction.
    pub batch_max_records: usize,
    /// Most bytes of keys and values in one transaction; a single larger record makes one of its own.
    pub batch_max_bytes: usize,
    /// Longest time for one call of the handler. Far below `max.poll.interval.ms` (5 min), as nothing
    /// is polled meanwhile.
    pub handler_limit: Duration,
    pub parking: ParkingPolicy,
    /// Waits between attempts while a dependency is down: doubled from the first up to the last, less
    /// a random part.
    pub pause_first: Duration,
    pub pause_most: Duration,
    /// A consumer that has records to read, is not paused and makes no progress for this long is made
    /// anew (rust-rdkafka#638).
    pub watchdog_period: Duration,
    /// How long a consumer that its group has lost may try to join again, while brokers are there, until
    /// it is made anew.
    pub absence_period: Duration,
    /// How long the ids of handled events are kept. It has to be longer than the topics keep their
    /// records (7 days by default): an older record that is read again would be handled again.
    pub inbox_retention: Duration,
}

/// What happens to an event that cannot be handled now.
#[derive(Debug, Clone)]
pub struct ParkingPolicy {
    /// How often it is tried in all, the first time included. After the last it is dead-lettered.
    pub attempts_max: u32,
    /// Wait before the second attempt, doubled before each further one, less a random part…
    pub delay_first: Duration,
    /// …up to this.
    pub delay_most: Duration,
    /// Most events that may be parked. At the bound the partition pauses.
    pub parked_max: i64,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            batch_max_records: 500,
            batch_max_bytes: 4 << 20,
            handler_limit: Duration::from_secs(10),
            parking: ParkingPolicy::default(),
            pause_first: Duration::from_millis(200),
            pause_most: Duration::from_secs(10),
            watchdog_period: Duration::from_secs(60),
            absence_period: Duration::from_secs(60),
            inbox_retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Eight attempts over some ten minutes.
impl Default for ParkingPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            delay_first: Duration::from_secs(5),
            delay_most: Duration::from_secs(300),
            parked_max: 10_000,
        }
    }
}

impl ParkingPolicy {
    /// How long to wait after the `attempts`-th attempt has failed.
    pub(crate) fn delay_after(&self, attempts: u32) -> Duration {
        delay(self.delay_first, self.delay_most, attempts.saturating_sub(1))
    }
}
