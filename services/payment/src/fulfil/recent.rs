//! Sessions that something was said or asked of lately. Bounded: of very many, the oldest are forgotten
//! before their time.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::session_id::SessionId;

/// Ids in each of two halves: when the younger is full, it replaces the older one.
pub(super) const HALF: usize = 4096;

/// Ids with a time of their own.
#[derive(Debug)]
pub(super) struct Recent {
    halves: Mutex<[HashMap<SessionId, Instant>; 2]>,
    lasts: Duration,
}

impl Recent {
    /// Each id is remembered for so long.
    pub fn new(lasts: Duration) -> Self {
        Self { halves: Mutex::default(), lasts }
    }

    pub fn has(&self, id: &SessionId) -> bool {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.iter().any(|half| half.get(id).is_some_and(|noted| noted.elapsed() < self.lasts))
    }

    pub fn note(&self, id: &SessionId) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves[0].len() >= HALF {
            halves[1] = mem::take(&mut halves[0]);
        }
        halves[0].insert(id.clone(), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_for_a_while_and_is_bounded() {
        let recent = Recent::new(Duration::from_secs(600));
        let id = |number: usize| SessionId::parse(&format!("cs_test_{number}")).unwrap();
        assert!(!recent.has(&id(0)));
        for number in 0..3 * HALF {
            recent.note(&id(number));
        }
        assert!(recent.has(&id(3 * HALF - 1)) && recent.has(&id(2 * HALF)));
        assert!(!recent.has(&id(0)));
        assert!(recent.halves.lock().unwrap().iter().all(|half| half.len() <= HALF));
        let forgetful = Recent::new(Duration::ZERO);
        forgetful.note(&id(0));
        assert!(!forgetful.has(&id(0)));
    }
}
