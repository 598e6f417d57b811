//! Follows the list of Stripe's events, so that what a webhook did not bring is found within one
//! interval. Stripe lists events of the last 30 days, newest first.

use std::{collections::HashSet, time::Duration};

use tokio::time::Instant;

use super::Sweeper;
use crate::{
    events::TakeError,
    metrics::EVENT_TYPES,
    stripe::{
        StripeError,
        objects::{Event, List},
        requests::EventPage,
    },
};

/// Pages of 100 events in one round; the next round goes on from there.
const PAGES_MAX: u32 = 20;
/// Pages of the first look back, when nothing is known: a new shop on an old account has few of its
/// own, but all of the account's must be passed.
const FIRST_PAGES_MAX: u32 = 200;
const PAGE_LIMIT: Duration = Duration::from_secs(9);

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the events could not be listed")]
    Stripe(#[source] StripeError),
    #[error("an event could not be taken")]
    Take(#[from] TakeError),
}

impl FollowError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Stripe(error) => error.reason(),
            Self::Take(error) => error.reason(),
        }
    }
}

impl From<storefront_runtime::DatabaseError> for FollowError {
    fn from(error: storefront_runtime::DatabaseError) -> Self {
        Self::Take(error.into())
    }
}

impl Sweeper {
    pub(super) async fn follow_events(&self) {
        if let Err(error) = self.follow().await {
            tracing::warn!(reason = error.reason(), "Stripe's events were not followed to the end");
        }
    }

    async fn follow(&self) -> Result<(), FollowError> {
        if !self.is_mine().await? {
            return Ok(());
        }
        match self.app.cursor.read().await? {
            Some(cursor) => match self.go_forward(cursor).await {
                Err(FollowError::Stripe(error)) if error.is_missing() => {
                    tracing::warn!("Stripe does not list the last event any more; looking back");
                    self.app.cursor.reset().await?;
                    self.look_back().await
                }
                result => result,
            },
            None => self.look_back().await,
        }
    }

    /// From the last event that was taken to the newest one.
    async fn go_forward(&self, mut cursor: String) -> Result<(), FollowError> {
        for _ in 0..PAGES_MAX {
            let page = self.page(EventPage::NewerThan(&cursor)).await?;
            let done = self.done_of(&page.data).await?;
            // Oldest first, and the cursor follows, so that a failure loses nothing.
            for event in page.data.iter().rev() {
                let taken = self.take(event, &done).await;
                if let Err(error) = taken {
                    self.app.cursor.move_to(&cursor).await?;
                    return Err(error);
                }
                cursor.clone_from(&event.id);
            }
            if !page.data.is_empty() {
                self.app.cursor.move_to(&cursor).await?;
            }
            if !page.has_more || !self.is_mine().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// From the newest event back to the oldest, when nothing is known. Only when all were taken the
    /// cursor is set, to the newest: a failure begins again.
    async fn look_back(&self) -> Result<(), FollowError> {
        let mut page = self.page(EventPage::Newest).await?;
        let Some(newest) = page.data.first().map(|event| event.id.clone()) else { return Ok(()) };
        for _ in 0..FIRST_PAGES_MAX {
            let done = self.done_of(&page.data).await?;
            for event in &page.data {
                self.take(event, &done).await?;
            }
            let oldest = page.data.last().map(|event| event.id.clone());
            match oldest.filter(|_| page.has_more) {
                Some(oldest) if self.is_mine().await? => {
                    page = self.page(EventPage::OlderThan(&oldest)).await?;
                }
                Some(_) => return Ok(()),
                None => break,
            }
        }
        self.app.cursor.move_to(&newest).await?;
        Ok(())
    }

    async fn take(&self, event: &Event, done: &HashSet<String>) -> Result<(), FollowError> {
        let foreign = event.metadata("shop").is_some_and(|shop| shop != self.app.shop.id());
        if foreign || done.contains(&event.id) {
            return Ok(());
        }
        self.pace.wait().await;
        match self.app.take_event(event).await {
            Err(error) if !error.is_temporary() => {
                let reason = error.reason();
                tracing::error!(event.id, reason, "an event of Stripe's is passed over");
                Ok(())
            }
            taken => Ok(taken.map(drop)?),
        }
    }

    /// Which events of a page are done: one query for all, as mostly all are.
    async fn done_of(&self, page: &[Event]) -> Result<HashSet<String>, FollowError> {
        let times = || page.iter().filter_map(|event| event.created);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Ok(HashSet::new());
        };
        let (first_ms, last_ms) = (first.saturating_mul(1000), last.saturating_mul(1000));
        Ok(self.app.events.done_between(first_ms, last_ms).await?)
    }

    async fn page(&self, page: EventPage<'_>) -> Result<List<Event>, FollowError> {
        self.pace.wait().await;
        let deadline = Instant::now() + PAGE_LIMIT;
        self.app.stripe.events(page, &EVENT_TYPES, deadline).await.map_err(FollowError::Stripe)
    }

    /// Takes or renews the lease on the list.
    async fn is_mine(&self) -> Result<bool, FollowError> {
        Ok(self.lease.acquire(self.app.payments.database()).await?.is_some())
    }
}
