//! Follows the list of Stripe's events, so that what a webhook did not bring is found within one
//! interval. Stripe lists events of the last 30 days, newest first.

use std::{collections::HashSet, time::Duration};

use storefront_contract::ServiceId;
use storefront_runtime::failpoint::{self, Step};
use tokio::time::Instant;

use super::Sweeper;
use crate::{
    events::TakeError,
    fulfil::Asker,
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
/// How far the cursor stays behind the newest event, in Stripe's time. An event is listed by the time
/// of what it tells, some moments after it, and so may appear behind one that was listed before.
const OVERLAP_S: i64 = 60;

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
            Some(cursor) => match self.go_forward(&cursor).await {
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

    /// From the stored place to the newest event.
    async fn go_forward(&self, stored: &str) -> Result<(), FollowError> {
        let mut passed = Passed::default();
        for _ in 0..PAGES_MAX {
            let from = passed.newest().unwrap_or(stored);
            let page = self.page(EventPage::NewerThan(from)).await?;
            let done = self.done_of(&page.data).await?;
            // Oldest first, and the cursor follows, so that a failure loses nothing.
            for event in page.data.iter().rev() {
                if let Err(error) = self.take(event, &done).await {
                    self.move_to(stored, passed.settled()).await?;
                    return Err(error);
                }
                passed.push(event);
            }
            if !page.has_more || !self.is_mine().await? {
                return self.move_to(stored, passed.settled()).await;
            }
        }
        // Far behind the newest event, so nothing is in flux here; and a step must be made.
        self.move_to(stored, passed.newest()).await
    }

    /// From the newest event back to the oldest, when nothing is known. Only when all were taken the
    /// cursor is set: a failure begins again.
    async fn look_back(&self) -> Result<(), FollowError> {
        let mut page = self.page(EventPage::Newest).await?;
        let Some(newest_s) = page.data.first().map(created_s) else { return Ok(()) };
        let (mut settled, mut pages) = (None, 1);
        loop {
            let done = self.done_of(&page.data).await?;
            for event in &page.data {
                self.take(event, &done).await?;
                if settled.is_none() && is_settled(created_s(event), newest_s) {
                    settled = Some(event.id.clone());
                }
            }
            let Some(oldest) = page.data.last().map(|event| event.id.clone()) else { break };
            if !page.has_more || pages == FIRST_PAGES_MAX {
                if page.has_more {
                    tracing::warn!(pages, "Stripe lists more events than are looked back at");
                }
                self.app.cursor.move_to(&settled.unwrap_or(oldest)).await?;
                break;
            }
            if !self.is_mine().await? {
                break;
            }
            page = self.page(EventPage::OlderThan(&oldest)).await?;
            pages += 1;
        }
        Ok(())
    }

    async fn move_to(&self, stored: &str, place: Option<&str>) -> Result<(), FollowError> {
        match place.filter(|place| *place != stored) {
            Some(place) => Ok(self.app.cursor.move_to(place).await?),
            None => Ok(()),
        }
    }

    async fn take(&self, event: &Event, done: &HashSet<String>) -> Result<(), FollowError> {
        let foreign = event.metadata("shop").is_some_and(|shop| shop != self.app.shop.id());
        if foreign || done.contains(&event.id) {
            return Ok(());
        }
        self.pace.wait().await;
        match self.app.take_event(event, Asker::Listed).await {
            Err(error) if !error.is_temporary() => {
                let reason = error.reason();
                tracing::error!(event.id, reason, "an event of Stripe's is passed over");
                Ok(())
            }
            taken => {
                taken?;
                failpoint::reach(ServiceId::Payment, Step::EventFollowed);
                Ok(())
            }
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

/// Events that one round has taken, oldest first: at most those of its pages.
#[derive(Debug, Default)]
struct Passed(Vec<(String, i64)>);

impl Passed {
    fn push(&mut self, event: &Event) {
        self.0.push((event.id.clone(), created_s(event)));
    }

    fn newest(&self) -> Option<&str> {
        self.0.last().map(|(id, _)| id.as_str())
    }

    /// The newest one behind which nothing appears any more.
    fn settled(&self) -> Option<&str> {
        let newest_s = self.0.iter().map(|(_, created_s)| *created_s).max()?;
        let settled = self.0.iter().rev().find(|(_, created_s)| is_settled(*created_s, newest_s));
        settled.map(|(id, _)| id.as_str())
    }
}

fn is_settled(created_s: i64, newest_s: i64) -> bool {
    created_s <= newest_s.saturating_sub(OVERLAP_S)
}

fn created_s(event: &Event) -> i64 {
    event.created.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_behind_what_may_still_appear() {
        let passed = |times: &[i64]| {
            let mut passed = Passed::default();
            for (number, created) in times.iter().enumerate() {
                let json = format!(r#"{{"id": "evt_{number}", "created": {created}}}"#);
                passed.push(&serde_json::from_str(&json).unwrap());
            }
            let settled = passed.settled().unwrap_or("none").to_owned();
            (settled, passed.newest().unwrap_or("none").to_owned())
        };
        let both = |settled: &str, newest: &str| (settled.to_owned(), newest.to_owned());
        assert_eq!(passed(&[]), both("none", "none"));
        assert_eq!(passed(&[100, 100, 159]), both("none", "evt_2"));
        assert_eq!(passed(&[100, 100, 101, 160, 160]), both("evt_1", "evt_4"));
        assert_eq!(passed(&[100, 700]), both("evt_0", "evt_1"));
    }
}
