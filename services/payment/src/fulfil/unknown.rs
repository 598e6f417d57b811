//! Sessions that are not this shop's: remembered for a while, so that a made-up id costs one call to
//! Stripe, and many made-up ids cost few.

use std::time::Duration;

use super::recent::Recent;
use crate::{pace::Pace, session_id::SessionId};

const REMEMBERED: Duration = Duration::from_secs(600);
/// Questions about ids without a row, a second. In order there are none: every session that a shopper
/// gets has a row before they get it.
const PER_SECOND: u32 = 5;
const BURST: u32 = 20;

/// What is known of ids without a row.
#[derive(Debug)]
pub(super) struct Unknown {
    foreign: Recent,
    pace: Pace,
}

impl Default for Unknown {
    fn default() -> Self {
        Self { foreign: Recent::new(REMEMBERED), pace: Pace::new(PER_SECOND, BURST) }
    }
}

impl Unknown {
    /// Whether Stripe has said lately that this is none of ours.
    pub fn is_foreign(&self, id: &SessionId) -> bool {
        self.foreign.has(id)
    }

    /// Stripe has said that this is none of ours.
    pub fn remember(&self, id: &SessionId) {
        self.foreign.note(id);
    }

    /// Whether Stripe may be asked about another one now.
    pub fn may_ask(&self) -> bool {
        self.pace.take()
    }
}
