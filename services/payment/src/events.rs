//! What an event of Stripe's leads to, whether a webhook brought it or the list of events: stored
//! first, acted on, marked as done. Its content is only a hint; what counts is what Stripe says when
//! asked.

use std::sync::Arc;

use jiff::Timestamp;
use storefront_contract::ServiceId;
use storefront_runtime::{
    DatabaseError,
    failpoint::{self, Step},
};

use crate::{
    app::App,
    fulfil::{Asker, Found, FulfilError},
    metrics::EVENT_TYPES,
    session_id::SessionId,
    store::StoredEvent,
    stripe::objects::Event,
};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// What it means is stored.
    Done,
    /// It was done before.
    Duplicate,
    /// There is nothing to do about events of its type, or it names no session.
    Ignored,
    /// It is of another shop.
    Foreign,
}

/// Why what an event means is not stored.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error("the event could not be stored")]
    Database(#[from] DatabaseError),
    #[error("the event's session could not be looked at")]
    Fulfil(#[source] Arc<FulfilError>),
}

impl TakeError {
    /// Whether the same event may be taken later. One that may not must not be in the way of others.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Database(error) => error.is_temporary(),
            Self::Fulfil(error) => error.is_temporary(),
        }
    }

    /// A fixed word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Database(error) => error.reason(),
            Self::Fulfil(error) => error.reason(),
        }
    }
}

impl App {
    /// Takes an event, however often and late it comes. `asker`: who has brought it, with its time.
    pub async fn take_event(
        self: &Arc<Self>,
        event: &Event,
        asker: fn(Option<Timestamp>) -> Asker,
    ) -> Result<Taken, TakeError> {
        self.metrics.stripe_event(&event.kind);
        let session_id = event.object_id().and_then(SessionId::parse);
        let created = event.created.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let stored = StoredEvent {
            id: &event.id,
            event_type: &event.kind,
            session_id: session_id.as_ref(),
            created_at_ms: created.unwrap_or_else(Timestamp::now).as_millisecond(),
        };
        let known = EVENT_TYPES.contains(&event.kind.as_str());
        let (true, Some(session_id)) = (known, &session_id) else {
            self.events.note(&stored).await?;
            return Ok(Taken::Ignored);
        };
        if event.metadata("shop").is_some_and(|shop| shop != self.shop.id()) {
            self.metrics.foreign();
            return Ok(Taken::Foreign);
        }
        if !self.events.begin(&stored).await? {
            return Ok(Taken::Duplicate);
        }
        failpoint::reach(ServiceId::Payment, Step::EventStored);
        let found = self.fulfil(session_id, asker(created)).await;
        let taken = match found.map_err(TakeError::Fulfil)? {
            Found::Ours(_) => Taken::Done,
            Found::Foreign => Taken::Foreign,
            // Nobody has heard what is true now, so the event is not done.
            Found::Known(_) => return Err(TakeError::Fulfil(Arc::new(FulfilError::Busy))),
        };
        self.events.finish(&event.id).await?;
        failpoint::reach(ServiceId::Payment, Step::EventDone);
        Ok(taken)
    }
}
