//! Sessions that are not this shop's: remembered for a while, so that a made-up id costs one call to
//! Stripe, and many made-up ids cost few.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{pace::Pace, session_id::SessionId};

/// Ids in each of two halves: when the younger is full, it replaces the older one.
const HALF: usize = 4096;
const REMEMBERED: Duration = Duration::from_secs(600);
/// Questions about ids without a row, a second. In order there are none: every session that a shopper
/// gets has a row before they get it.
const PER_SECOND: u32 = 5;
const BURST: u32 = 20;

/// What is known of ids without a row.
#[derive(Debug)]
pub struct Unknown {
    halves: Mutex<[HashMap<SessionId, Instant>; 2]>,
    pace: Pace,
}

impl Default for Unknown {
    fn default() -> Self {
        Self { halves: Mutex::default(), pace: Pace::new(PER_SECOND, BURST) }
    }
}

impl Unknown {
    /// Whether Stripe has said lately that this is none of ours.
    pub fn is_foreign(&self, id: &SessionId) -> bool {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.iter().any(|half| half.get(id).is_some_and(|said| said.elapsed() < REMEMBERED))
    }

    /// Stripe has said that this is none of ours.
    pub fn remember(&self, id: &SessionId) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves[0].len() >= HALF {
            halves[1] = mem::take(&mut halves[0]);
        }
        halves[0].insert(id.clone(), Instant::now());
    }

    /// Whether Stripe may be asked about another one now.
    pub fn may_ask(&self) -> bool {
        self.pace.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_and_is_bounded() {
        let unknown = Unknown::default();
        let id = |number: usize| SessionId::parse(&format!("cs_test_{number}")).unwrap();
        assert!(!unknown.is_foreign(&id(0)));
        for number in 0..3 * HALF {
            unknown.remember(&id(number));
        }
        assert!(unknown.is_foreign(&id(3 * HALF - 1)) && unknown.is_foreign(&id(2 * HALF)));
        assert!(!unknown.is_foreign(&id(0)));
        assert!(unknown.halves.lock().unwrap().iter().all(|half| half.len() <= HALF));
        assert_eq!((0..100).filter(|_| unknown.may_ask()).count(), BURST as usize);
    }
}
