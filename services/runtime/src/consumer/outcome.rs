//! What becomes of an event, and the rules that decide it. Pure.

use std::collections::HashSet;

use storefront_contract::Envelope;

use super::{
    ParkingPolicy,
    decode::{Content, Decoded, Raw},
    engine::explain,
};
use crate::{
    handler::Failure,
    store::{
        inbox::{Identity, State},
        parked::{OrderKey, Parked},
    },
};

/// Reason of a dead letter whose attempts are used up.
const EXHAUSTED: &str = "attempts-exhausted";

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Handled,
    /// Handled before, or at work in another way.
    Duplicate,
    /// A replay for another group.
    ForOthers,
    /// Waits for another attempt, or (without one so far) behind another event of its key.
    Parked {
        attempts: u32,
        error: String,
    },
    Dead {
        reason: &'static str,
        error: String,
        attempts: u32,
    },
}

impl Outcome {
    /// A fixed word for metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Duplicate => "duplicate",
            Self::ForOthers => "skipped",
            Self::Parked { .. } => "parked",
            Self::Dead { .. } => "dead",
        }
    }

    /// What a failed attempt makes of an event: `attempts` counts it. A dependency's failure is none
    /// of the event's, and does not come here.
    pub(crate) fn of_failure(failure: &Failure, attempts: u32, policy: &ParkingPolicy) -> Self {
        let error = explain(failure);
        match failure {
            Failure::Permanent { reason, .. } => Self::Dead { reason, error, attempts },
            _ if attempts >= policy.attempts_max => {
                Self::Dead { reason: EXHAUSTED, error, attempts }
            }
            _ => Self::Parked { attempts, error },
        }
    }
}

/// A record on its way through the transaction.
#[derive(Debug)]
pub(crate) struct Fate<E> {
    pub identity: Identity,
    pub order_key: OrderKey,
    pub replay: bool,
    pub anew: bool,
    /// What the handler gets.
    pub event: Option<(E, Envelope)>,
    /// What becomes of it if nothing else happens.
    pub outcome: Outcome,
}

impl<E> Fate<E> {
    /// Before the inbox was asked. An event behind a parked one of its key waits there; one that cannot
    /// be understood waits for nobody.
    pub(crate) fn new(decoded: Decoded<E>, held: &HashSet<OrderKey>) -> Self {
        let Decoded { identity, order_key, replay, anew, content } = decoded;
        let (event, outcome) = match content {
            Content::ForOthers => (None, Outcome::ForOthers),
            Content::Reject { reason, error } => {
                (None, Outcome::Dead { reason, error, attempts: 1 })
            }
            Content::Event { event, envelope } if held.contains(&order_key) => {
                (Some((event, envelope)), Outcome::Parked { attempts: 0, error: String::new() })
            }
            Content::Event { event, envelope } => (Some((event, envelope)), Outcome::Handled),
        };
        Self { identity, order_key, replay, anew, event, outcome }
    }

    /// Whether the inbox has to be asked.
    pub(crate) fn is_open(&self) -> bool {
        self.outcome != Outcome::ForOthers
    }

    /// What the inbox is told.
    pub(crate) fn state(&self) -> State {
        match self.outcome {
            Outcome::Parked { .. } => State::Parked,
            Outcome::Dead { .. } => State::Dead,
            Outcome::Handled | Outcome::Duplicate | Outcome::ForOthers => State::Handled,
        }
    }

    pub(crate) fn to_parked(&self, raw: &Raw<'_>, attempts: u32, error: &str) -> Parked {
        Parked {
            order_key: self.order_key.clone(),
            partition: raw.partition,
            offset: raw.offset,
            identity: self.identity.clone(),
            key: raw.key.map(<[u8]>::to_vec),
            payload: raw.payload.map(<[u8]>::to_vec),
            headers: raw.owned_headers(),
            attempts,
            error: error.to_owned(),
        }
    }
}
