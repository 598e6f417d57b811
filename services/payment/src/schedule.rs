//! When the sweeper looks at a payment again. Pure. Webhooks and the list of events bring most news at
//! once; this is the net below them, so its pace falls with the age of a payment.

use crate::state::State;

/// Longest pause while the shopper can pay.
const OPEN_MAX_MS: i64 = 60 * 60 * 1000;
/// Longest pause while a bank takes its time: up to two weeks, for some methods.
const PROCESSING_MAX_MS: i64 = 6 * 60 * 60 * 1000;
/// Stripe closes a session at its time, and tells within moments.
const AFTER_EXPIRY_MS: i64 = 30 * 1000;
/// A creation that failed for now is tried again soon: nothing may be stuck for a minute.
const CREATING_MIN_MS: i64 = 5 * 1000;
const CREATING_MAX_MS: i64 = 10 * 60 * 1000;

/// How long to wait before the next look, in milliseconds; `None` when nothing more can come.
/// `interval_ms` is the shortest pause for a payment that the shopper can pay.
pub fn next_check_in_ms(
    state: State,
    age_ms: i64,
    expires_in_ms: Option<i64>,
    interval_ms: i64,
) -> Option<i64> {
    let age_ms = age_ms.max(0);
    match state {
        State::Creating => Some((age_ms / 2).clamp(CREATING_MIN_MS, CREATING_MAX_MS)),
        State::Open => {
            let pause = age_ms.clamp(interval_ms, OPEN_MAX_MS.max(interval_ms));
            let expiry = expires_in_ms.filter(|left| *left > 0).map(|left| left + AFTER_EXPIRY_MS);
            Some(expiry.map_or(pause, |expiry| expiry.min(pause)))
        }
        State::Processing => Some(age_ms.clamp(interval_ms, PROCESSING_MAX_MS.max(interval_ms))),
        State::Expired | State::Failed | State::Held | State::Paid => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_rarer_with_age() {
        let day = 24 * 60 * 60 * 1000;
        let open = |age| next_check_in_ms(State::Open, age, Some(day - age), 30_000).unwrap();
        assert_eq!(open(0), 30_000);
        assert_eq!(open(90_000), 90_000);
        assert_eq!(open(day / 2), OPEN_MAX_MS);
        assert_eq!(open(day - 1000), 1000 + AFTER_EXPIRY_MS, "right after its end");
        assert_eq!(open(day + 1), OPEN_MAX_MS);
        let mut looks = 0;
        let mut age = 0;
        while age < day {
            age += open(age);
            looks += 1;
        }
        assert!(looks < 40, "{looks} calls to Stripe for a forgotten session");
        let creating = |age| next_check_in_ms(State::Creating, age, None, 30_000).unwrap();
        assert_eq!((creating(0), creating(day)), (CREATING_MIN_MS, CREATING_MAX_MS));
        assert!(
            State::ALL
                .into_iter()
                .filter(|s| s.is_final())
                .all(|state| { next_check_in_ms(state, 0, None, 30_000).is_none() })
        );
    }
}
