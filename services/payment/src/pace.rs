//! A rate that is not exceeded: so many at once, so many a second on average.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A token bucket.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    burst: f64,
    /// Tokens, and when they were counted.
    state: Mutex<(f64, Instant)>,
}

impl Pace {
    /// `burst` at once, then `per_second`.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (f64::from(per_second.max(1)), f64::from(burst.max(1)));
        Self { per_second, burst, state: Mutex::new((burst, Instant::now())) }
    }

    /// Takes a token if there is one.
    pub fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted) = *state;
        let gained = now.duration_since(counted).as_secs_f64() * self.per_second;
        let tokens = (tokens + gained).min(self.burst);
        let taken = tokens >= 1.0;
        *state = (if taken { tokens - 1.0 } else { tokens }, now);
        taken
    }

    /// Waits for a token.
    pub async fn wait(&self) {
        while !self.take() {
            tokio::time::sleep(Duration::from_secs_f64(1.0 / self.per_second)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_rate() {
        let pace = Pace::new(10, 3);
        let start = Instant::now();
        let taken = |after_ms| {
            let now = start + Duration::from_millis(after_ms);
            (0..5).filter(|_| pace.take_at(now)).count()
        };
        assert_eq!(taken(0), 3);
        assert_eq!(taken(99), 0);
        assert_eq!(taken(250), 2);
        assert_eq!(taken(60_000), 3);
    }
}
