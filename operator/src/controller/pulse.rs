//! Whether the loop goes on: which attempts are under way, which shop is due, and when an attempt ended last.
//! A loop that only looks alive is ended by `/livez`, and starts anew.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::reconcile::ATTEMPT_LIMIT;

/// An attempt ends within its own limit, and what is said of it takes as long as two calls.
const UNDER_WAY_LIMIT: Duration = ATTEMPT_LIMIT.saturating_add(Duration::from_secs(60));
/// While somebody is due, some attempt ends within this: more than one takes at most, so that a loop that
/// is merely busy is left alone.
const SILENCE_LIMIT: Duration = UNDER_WAY_LIMIT.saturating_add(Duration::from_secs(60));

/// From when on a loop counts as stuck.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one attempt.
    pub under_way: Duration,
    /// Without an end of any attempt while one is due.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { under_way: UNDER_WAY_LIMIT, silence: SILENCE_LIMIT }
    }
}

/// Namespace and name.
pub type Shop = (String, String);

/// Clones share it.
#[derive(Clone)]
pub struct Pulse(Arc<Mutex<State>>);

struct State {
    limits: Limits,
    next: u64,
    under_way: HashMap<u64, Instant>,
    due: HashMap<Shop, Instant>,
    /// The last end of an attempt, or the start of all this.
    ended: Instant,
}

impl Default for Pulse {
    fn default() -> Self {
        Self::with(Limits::default())
    }
}

impl Pulse {
    pub fn with(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(State {
            limits,
            next: 0,
            under_way: HashMap::new(),
            due: HashMap::new(),
            ended: Instant::now(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt begins. From now on its shop is not due, until the attempt says when it is again.
    pub fn begin(&self, shop: &Shop) -> UnderWay {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.under_way.insert(number, Instant::now());
        state.due.remove(shop);
        UnderWay { pulse: self.clone(), number }
    }

    /// The shop wants another attempt after that long.
    pub fn due(&self, shop: Shop, wait: Duration) {
        self.state().due.insert(shop, Instant::now() + wait);
    }

    /// Shops that are not among these are gone.
    pub fn keep_only(&self, shops: &HashSet<Shop>) {
        self.state().due.retain(|shop, _| shops.contains(shop));
    }

    pub fn under_way(&self) -> usize {
        self.state().under_way.len()
    }

    /// How long the shop that has waited longest is overdue.
    pub fn overdue(&self, now: Instant) -> Duration {
        let state = self.state();
        let waits = state.due.values().map(|due| now.saturating_duration_since(*due));
        waits.max().unwrap_or_default()
    }

    /// What does not go on, if anything.
    pub fn stuck(&self, now: Instant) -> Option<&'static str> {
        let overdue = self.overdue(now);
        let state = self.state();
        let longest = state.under_way.values().map(|began| now.saturating_duration_since(*began));
        if longest.max().is_some_and(|longest| longest > state.limits.under_way) {
            return Some("an attempt does not end");
        }
        let silence = now.saturating_duration_since(state.ended);
        (overdue.min(silence) > state.limits.silence)
            .then_some("no attempt begins although one is due")
    }
}

/// An attempt, until it is dropped.
pub struct UnderWay {
    pulse: Pulse,
    number: u64,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.under_way.remove(&self.number);
        state.ended = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Shop {
        ("shops".into(), "demo".into())
    }

    fn later(limit: Duration) -> Instant {
        Instant::now() + limit + Duration::from_secs(1)
    }

    #[test]
    fn an_attempt_that_does_not_end_is_noticed() {
        let pulse = Pulse::default();
        let attempt = pulse.begin(&shop());
        assert_eq!((pulse.under_way(), pulse.stuck(Instant::now() + ATTEMPT_LIMIT)), (1, None));
        assert_eq!(pulse.stuck(later(UNDER_WAY_LIMIT)), Some("an attempt does not end"));
        drop(attempt);
        assert_eq!((pulse.under_way(), pulse.stuck(later(UNDER_WAY_LIMIT))), (0, None));
    }

    #[test]
    fn a_loop_that_forgets_a_shop_is_noticed() {
        let pulse = Pulse::default();
        pulse.due(shop(), Duration::ZERO);
        let late = later(SILENCE_LIMIT);
        assert!(pulse.overdue(late) > SILENCE_LIMIT);
        assert_eq!(pulse.stuck(late), Some("no attempt begins although one is due"));
        // One that is begun again is not due, nor is one that is gone.
        drop(pulse.begin(&shop()));
        assert_eq!((pulse.overdue(late), pulse.stuck(late)), (Duration::ZERO, None));
        pulse.due(shop(), Duration::ZERO);
        pulse.keep_only(&HashSet::new());
        assert_eq!(pulse.stuck(late), None);
    }

    #[test]
    fn nobody_who_waits_for_an_edit_makes_a_loop_stuck() {
        let pulse = Pulse::default();
        drop(pulse.begin(&shop()));
        assert_eq!(pulse.stuck(Instant::now() + Duration::from_secs(1 << 20)), None);
        pulse.due(shop(), Duration::from_secs(300));
        assert_eq!(pulse.stuck(later(SILENCE_LIMIT)), None);
    }
}
