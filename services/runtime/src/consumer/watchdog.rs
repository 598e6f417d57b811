//! Notices a consumer that has stalled: there are records to read, nothing keeps it from reading, and
//! yet nothing comes (rust-rdkafka#638). Pure.

use std::time::{Duration, Instant};

/// A consumer that was made anew without effect is given more time, up to this.
const PERIOD_MOST: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(crate) struct Watchdog {
    period: Duration,
    current: Duration,
    last_progress: Instant,
}

impl Watchdog {
    pub(crate) fn new(period: Duration, now: Instant) -> Self {
        Self { period, current: period, last_progress: now }
    }

    /// Something was read, or nothing could be expected.
    pub(crate) fn progress(&mut self, now: Instant) {
        self.last_progress = now;
    }

    /// Records were read: the consumer works.
    pub(crate) fn alive(&mut self, now: Instant) {
        self.current = self.period;
        self.progress(now);
    }

    /// Whether it is time to ask the broker where the logs end: what librdkafka believes may be what
    /// has stalled.
    pub(crate) fn is_suspicious(&self, now: Instant) -> bool {
        now.duration_since(self.last_progress) >= self.current / 2
    }

    /// Whether the consumer has to be made anew. `behind`: there is something to read.
    pub(crate) fn has_stalled(&mut self, now: Instant, behind: bool) -> bool {
        if !behind {
            self.progress(now);
            return false;
        }
        if now.duration_since(self.last_progress) < self.current {
            return false;
        }
        // Offsets that are no records (transaction markers) look like a lag that nothing removes.
        self.current = (self.current * 2).min(PERIOD_MOST);
        self.progress(now);
        true
    }
}

/// Notices a consumer that its group has lost: when brokers were away librdkafka does not always join
/// again, and nothing tells of it. Pure.
#[derive(Debug)]
pub(crate) struct Absence {
    period: Duration,
    since: Instant,
}

impl Absence {
    pub(crate) fn new(period: Duration, now: Instant) -> Self {
        Self { period, since: now }
    }

    /// Whether it is time to ask whether brokers are there; once in each period. `joined`: when it was
    /// known to be a member last.
    pub(crate) fn is_long(&mut self, now: Instant, joined: Instant) -> bool {
        self.since = self.since.max(joined);
        let is_long = now.duration_since(self.since) >= self.period;
        if is_long {
            self.since = now;
        }
        is_long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_consumer_with_a_backlog_is_made_anew_ever_more_patiently() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut watchdog = Watchdog::new(10 * second, start);
        assert!(!watchdog.has_stalled(start + 9 * second, true));
        assert!(watchdog.is_suspicious(start + 9 * second));
        assert!(watchdog.has_stalled(start + 10 * second, true));
        assert!(!watchdog.has_stalled(start + 25 * second, true));
        assert!(watchdog.has_stalled(start + 30 * second, true));
        watchdog.alive(start + 31 * second);
        assert!(watchdog.has_stalled(start + 41 * second, true));
    }

    #[test]
    fn nothing_to_read_is_no_stall() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Duration::from_secs(10), start);
        let later = start + Duration::from_secs(100);
        assert!(!watchdog.has_stalled(later, false));
        assert!(!watchdog.has_stalled(later + Duration::from_secs(9), true));
    }

    #[test]
    fn an_absence_is_noticed_once_in_each_period() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut absence = Absence::new(10 * second, start);
        assert!(!absence.is_long(start + 9 * second, start));
        assert!(absence.is_long(start + 10 * second, start));
        assert!(!absence.is_long(start + 19 * second, start));
        assert!(absence.is_long(start + 20 * second, start));
        assert!(!absence.is_long(start + 30 * second, start + 25 * second));
    }
}
