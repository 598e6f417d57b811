//! Statements on the table `stripe_events`: which of Stripe's events were taken.

use std::collections::HashSet;

use storefront_runtime::{Database, DatabaseError, Sql};

use super::{query, with_now};
use crate::session_id::SessionId;

/// How long an event is remembered. Stripe lists and repeats events for 30 days.
const EVENT_LIFE_MS: i64 = 35 * 24 * 60 * 60 * 1000;
/// Longest type that is kept; Stripe's longest has some 70 characters.
const TYPE_MAX_LENGTH: usize = 100;

/// The table.
#[derive(Clone)]
pub struct StripeEvents(Database);

/// An event, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredEvent<'a> {
    pub id: &'a str,
    pub event_type: &'a str,
    pub session_id: Option<&'a SessionId>,
    /// Stripe's time.
    pub created_at_ms: i64,
}

const BEGIN: Sql = with_now!(
    "INSERT INTO stripe_events (id, type, session_id, created_at, received_at) \
     VALUES ($1, $2, $3, $4, ",
    ") ON CONFLICT DO NOTHING RETURNING id"
);
const NOTE: Sql = with_now!(
    "INSERT INTO stripe_events (id, type, session_id, created_at, received_at, done_at) \
     VALUES ($1, $2, $3, $4, ",
    ", ",
    ") ON CONFLICT DO NOTHING RETURNING id"
);
const IS_DONE: &str = "SELECT id FROM stripe_events WHERE id = $1 AND done_at IS NOT NULL";
const FINISH: Sql = with_now!(
    "UPDATE stripe_events SET done_at = ",
    " WHERE id = $1 AND done_at IS NULL RETURNING id"
);
const DONE_BETWEEN: &str = "SELECT id FROM stripe_events \
    WHERE created_at BETWEEN $1 AND $2 AND done_at IS NOT NULL LIMIT 10000";
const FORGET: Sql =
    with_now!("DELETE FROM stripe_events WHERE created_at < ", " - $1 RETURNING 1 AS forgotten");

impl StripeEvents {
    pub fn new(database: Database) -> Self {
        Self(database)
    }

    /// Stores an event before anything is done about it. `false`: what it means is stored already.
    pub async fn begin(&self, event: &StoredEvent<'_>) -> Result<bool, DatabaseError> {
        if !query(&self.0, BEGIN, &params(event)).await?.is_empty() {
            return Ok(true);
        }
        // It came before: finished, or left unfinished by a failure, or just being worked on. The
        // last two are done (again): fulfilling twice changes nothing.
        Ok(query(&self.0, IS_DONE.into(), &[event.id.into()]).await?.is_empty())
    }

    /// What the event means is stored.
    pub async fn finish(&self, id: &str) -> Result<(), DatabaseError> {
        query(&self.0, FINISH, &[id.into()]).await.map(drop)
    }

    /// Stores an event that nothing is to be done about. `false`: it came before.
    pub async fn note(&self, event: &StoredEvent<'_>) -> Result<bool, DatabaseError> {
        Ok(!query(&self.0, NOTE, &params(event)).await?.is_empty())
    }

    /// Which events of a span of Stripe's time are done.
    pub async fn done_between(
        &self,
        first_ms: i64,
        last_ms: i64,
    ) -> Result<HashSet<String>, DatabaseError> {
        let rows =
            query(&self.0.patient(), DONE_BETWEEN.into(), &[first_ms.into(), last_ms.into()])
                .await?;
        rows.iter().map(|row| row.text("id")).collect()
    }

    /// Forgets events that Stripe repeats no more; how many.
    pub async fn forget(&self) -> Result<usize, DatabaseError> {
        Ok(query(&self.0.patient(), FORGET, &[EVENT_LIFE_MS.into()]).await?.len())
    }
}

fn params(event: &StoredEvent<'_>) -> [storefront_runtime::Value; 4] {
    let event_type: String = event.event_type.chars().take(TYPE_MAX_LENGTH).collect();
    [
        event.id.into(),
        event_type.into(),
        event.session_id.map(SessionId::as_str).into(),
        event.created_at_ms.into(),
    ]
}
