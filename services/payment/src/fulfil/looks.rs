//! How often browsers make us ask Stripe about sessions of our own. A page that asks too often is
//! answered by the row: the webhook brings it the same news.

use std::time::Duration;

use super::recent::Recent;
use crate::{pace::Pace, session_id::SessionId};

/// Between two questions about one session. A success page looks about as often.
const PER_SESSION: Duration = Duration::from_secs(1);
/// Of all sessions, a second: with the sweeper's, and those about unknown ones, below what Stripe allows
/// in live mode, and what a shop can use.
const PER_SECOND: u32 = 20;
const BURST: u32 = 100;

/// The questions that browsers have caused.
#[derive(Debug)]
pub(super) struct Looks {
    asked: Recent,
    pace: Pace,
}

impl Default for Looks {
    fn default() -> Self {
        Self { asked: Recent::new(PER_SESSION), pace: Pace::new(PER_SECOND, BURST) }
    }
}

impl Looks {
    /// Whether Stripe may be asked about a session now; a yes is for one question.
    pub fn may_ask(&self, id: &SessionId) -> bool {
        let may = !self.asked.has(id) && self.pace.take();
        if may {
            self.asked.note(id);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> SessionId {
        SessionId::parse(&format!("cs_test_{number}")).unwrap()
    }

    #[test]
    fn one_session_is_asked_about_once_a_second() {
        let looks = Looks::default();
        assert!(looks.may_ask(&id(1)) && looks.may_ask(&id(2)));
        assert!(!looks.may_ask(&id(1)));
    }

    #[test]
    fn all_sessions_together_have_a_rate() {
        let looks = Looks::default();
        let asked = (0..10 * BURST).filter(|number| looks.may_ask(&id(*number))).count();
        // A slow machine may gain a token or two meanwhile.
        assert!((BURST as usize..2 * BURST as usize).contains(&asked), "{asked}");
        // A no costs nothing: it is asked about as soon as there is room.
        assert!(!looks.asked.has(&id(10 * BURST - 1)));
    }
}
