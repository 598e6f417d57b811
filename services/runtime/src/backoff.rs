//! How long to wait before the next attempt: longer each time, never longer than a bound, and never
//! two of us at the same moment.

use std::time::Duration;

/// A growing delay.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, attempt: 0 }
    }

    /// It worked: the next failure starts from the first delay.
    pub(crate) fn reset(&mut self) {
        self.attempt = 0;
    }

    /// The delay before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = delay(self.first, self.most, self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        delay
    }
}

/// Doubles with each attempt up to `most`, less up to a half of it at random.
pub(crate) fn delay(first: Duration, most: Duration, attempt: u32) -> Duration {
    let whole = first.saturating_mul(1 << attempt.min(20)).min(most);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_start_again() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, most);
        for expected_ms in [100, 200, 400, 800, 1000, 1000] {
            let delay_ms = backoff.next().as_millis();
            assert!((expected_ms / 2..=expected_ms).contains(&delay_ms), "{delay_ms}");
        }
        backoff.reset();
        assert!(backoff.next() <= first);
        assert!(delay(first, most, u32::MAX) <= most);
    }
}
