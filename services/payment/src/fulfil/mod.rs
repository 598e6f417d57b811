//! The one place that learns from Stripe what became of a session, and the one place that makes a
//! payment `paid`. Verify, webhook and sweeper call it; none of them decides anything.

mod adopt;
mod flights;
mod looks;
mod recent;
mod settle;
mod unknown;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use storefront_contract::ServiceId;
use storefront_runtime::{
    DatabaseError, OutboxError,
    db::Kind,
    failpoint::{self, Step},
};
use tokio::time::Instant;

use self::{flights::Flights, looks::Looks, unknown::Unknown};
use crate::{
    app::App,
    session_id::SessionId,
    store::{Claim, Payment, StoreError},
    stripe::StripeError,
};

/// Longest time for one question, Stripe's retries and another instance's question included.
const ASK_LIMIT: Duration = Duration::from_secs(9);
/// How long a claim on a session lasts when its holder is killed. Longer than a question.
const CLAIM_MS: i64 = 12_000;
/// While another instance asks, its news is looked for this often.
const POLL: Duration = Duration::from_millis(100);
/// How long a browser waits for another instance's news before it is told what the row says.
const BROWSER_LIMIT: Duration = Duration::from_secs(3);
/// How often a row may slip away under a settled question. Each time it has moved up, and there are
/// four ranks.
const SLIPS_MAX: u32 = 5;

/// Who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A browser, with an id that anybody may have made up.
    Verify,
    /// A webhook: an event of Stripe's, with the time at which it happened.
    Event(Option<Timestamp>),
    /// The sweeper, about such an event in Stripe's list.
    Listed(Option<Timestamp>),
    /// The sweeper, about a row.
    Sweeper,
    /// An audit, which has found the session in Stripe's list.
    Audit,
}

impl Asker {
    /// A fixed word for metrics: the messenger.
    fn messenger(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Event(_) => "webhook",
            Self::Listed(_) | Self::Sweeper => "sweeper",
            Self::Audit => "audit",
        }
    }
}

/// What is known of a session now.
#[derive(Debug, Clone)]
pub enum Found {
    Ours(Arc<Payment>),
    /// What the row says while another instance asks, or has just asked: good enough for a browser, never
    /// for an event.
    Known(Arc<Payment>),
    /// It does not exist, or belongs to another shop.
    Foreign,
}

/// Why nothing new is known.
#[derive(Debug, thiserror::Error)]
pub enum FulfilError {
    #[error("Stripe could not be asked about the session")]
    Stripe(#[source] StripeError),
    #[error("the payment could not be read or stored")]
    Store(#[from] StoreError),
    #[error("the payment's event cannot be written")]
    Event(#[source] OutboxError),
    #[error("another instance is asking Stripe about the session")]
    Busy,
    #[error("too many unknown sessions are asked about")]
    TooMany,
    #[error("the work on the session did not end")]
    Lost,
}

impl FulfilError {
    /// Whether the same question may be answered later.
    pub fn is_temporary(&self) -> bool {
        match self {
            // An answer that cannot be read is the same the next time, for all that we know.
            Self::Stripe(StripeError::Malformed(_)) | Self::Event(_) => false,
            Self::Stripe(error) => !error.is_permanent(),
            Self::Store(error) => error.is_temporary(),
            Self::Busy | Self::TooMany | Self::Lost => true,
        }
    }

    /// Whether it is open if what was to be stored is stored.
    fn is_commit_unknown(&self) -> bool {
        matches!(self, Self::Store(StoreError::Database(error)) if error.kind() == Kind::CommitUnknown)
    }

    /// A fixed word for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Stripe(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Event(_) => "event",
            Self::Busy => "busy",
            Self::TooMany => "too-many",
            Self::Lost => "lost",
        }
    }
}

impl From<DatabaseError> for FulfilError {
    fn from(error: DatabaseError) -> Self {
        Self::Store(error.into())
    }
}

impl From<OutboxError> for FulfilError {
    fn from(error: OutboxError) -> Self {
        match error {
            OutboxError::Database(error) => error.into(),
            error @ OutboxError::Json(_) => Self::Event(error),
        }
    }
}

/// An answer that many may share.
type Shared = Result<Found, Arc<FulfilError>>;

/// What fulfilling remembers between questions.
#[derive(Default)]
pub struct Fulfilling {
    flights: Flights<Shared>,
    looks: Looks,
    unknown: Unknown,
}

impl App {
    /// Asks Stripe about a session, unless its payment is charged, and stores what that means: a paid
    /// one is marked and its event is put into the outbox in one transaction. Any number of callers,
    /// at any time, in any order, in any number of instances: the event is written once.
    pub async fn fulfil(
        self: &Arc<Self>,
        id: &SessionId,
        asker: Asker,
    ) -> Result<Found, Arc<FulfilError>> {
        let (app, id) = (self.clone(), id.clone());
        // Boxed, as it is large and goes through several hands.
        let work = Box::pin(async move {
            let serves = |answer: &Shared| serves(asker, answer);
            app.fulfilling.flights.ask(&id, serves, || app.ask(&id, asker)).await
        });
        self.see_through(work).await.unwrap_or_else(|| Err(Arc::new(FulfilError::Lost)))
    }

    async fn ask(&self, id: &SessionId, asker: Asker) -> Shared {
        let deadline = Instant::now() + ASK_LIMIT;
        self.ask_until(id, asker, deadline).await.map_err(Arc::new)
    }

    async fn ask_until(
        &self,
        id: &SessionId,
        asker: Asker,
        deadline: Instant,
    ) -> Result<Found, FulfilError> {
        // In the flight, so that those who come together get what the first of them has learned.
        if asker == Asker::Verify
            && let Some(payment) = self.payments.by_session(id).await?
            && !self.fulfilling.looks.may_ask(id)
        {
            return Ok(Found::Known(Arc::new(payment)));
        }
        let patient_until = Instant::now() + BROWSER_LIMIT;
        let mut slips = 0;
        loop {
            match self.payments.claim(id, CLAIM_MS).await? {
                Claim::Charged(payment) => return Ok(Found::Ours(Arc::new(payment))),
                Claim::Taken(payment) => {
                    if let Some(payment) = self.learn(id, payment, asker, deadline).await? {
                        return Ok(Found::Ours(Arc::new(payment)));
                    }
                    slips += 1;
                    if slips == SLIPS_MAX {
                        return Err(FulfilError::Busy);
                    }
                }
                Claim::Absent => {
                    if !self.adopt(id, asker, deadline).await? {
                        return Ok(Found::Foreign);
                    }
                }
                Claim::Busy(payment) => {
                    let now = Instant::now();
                    // A browser can do with what is known; an event must not be lost.
                    if asker == Asker::Verify && now >= patient_until {
                        return Ok(Found::Known(Arc::new(payment)));
                    }
                    if now + POLL >= deadline {
                        return Err(FulfilError::Busy);
                    }
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    /// Asks Stripe about a claimed payment and stores the answer. `None`: the row has moved on
    /// meanwhile, look again.
    async fn learn(
        &self,
        id: &SessionId,
        payment: Payment,
        asker: Asker,
        deadline: Instant,
    ) -> Result<Option<Payment>, FulfilError> {
        let claimed = payment.id.clone();
        failpoint::reach(ServiceId::Payment, Step::SessionClaimed);
        match self.stripe.session(id, deadline).await {
            Ok(session) => {
                failpoint::reach(ServiceId::Payment, Step::SessionAsked);
                let settled = self.settle(payment, &session, asker).await;
                if settled.is_err() {
                    // Whether it was stored may not be known; whoever asks next need not wait for us.
                    self.payments.release(&claimed).await.ok();
                }
                settled
            }
            // Long after its end, Stripe may forget a session; so may a stand-in that was restarted.
            Err(error) if error.is_missing() && settle::is_over(&payment) => {
                self.settle_missing(payment).await
            }
            Err(error) => {
                self.payments.release(&claimed).await?;
                Err(FulfilError::Stripe(error))
            }
        }
    }
}

/// Whether one may be content with what another one got. What is only good enough for browsers (the row
/// as it is, "foreign" out of our memory) must not pass for news: an event would be marked as done, and
/// its news be lost.
fn serves(asker: Asker, answer: &Shared) -> bool {
    let for_browsers = match answer {
        Ok(found) => matches!(found, Found::Known(_) | Found::Foreign),
        Err(error) => matches!(**error, FulfilError::TooMany),
    };
    asker == Asker::Verify || !for_browsers
}
