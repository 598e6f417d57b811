//! Tries parked events again: claims a key that is due, runs its first event, and leaves the key with
//! its next one. Any instance may do it, several at once, as each key is locked by the one at work.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    dead::DeadLetter,
    decode::{Content, content},
    engine::{Engine, received},
    outcome::{Fate, Outcome},
};
use crate::{
    Dependency, Shutdown,
    backoff::Backoff,
    db::{DatabaseError, Tx},
    handler::{Failure, Handler, Outgoing},
    metrics::{EventLabels, ReasonLabels},
    store::{
        inbox::{self, State},
        outbox,
        parked::{self, Head},
    },
    text::chain,
};

/// How often to look for keys that another instance has parked.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// What one step found.
enum Step {
    /// A head was run: there may be more.
    Ran,
    /// Nothing is due.
    Idle,
}

impl<H: Handler> Engine<H> {
    /// Runs parked events until the service stops.
    pub(crate) async fn run_parked(self: Arc<Self>, health: Dependency, shutdown: Shutdown) {
        let options = &self.options;
        let mut backoff = Backoff::new(options.pause_first, options.pause_most);
        while !shutdown.is_cancelled() {
            let wait = match self.step().await {
                Ok((step, wait)) => {
                    health.up();
                    backoff.reset();
                    match step {
                        Step::Ran => continue,
                        Step::Idle => wait,
                    }
                }
                Err(error) => {
                    health.down(chain(&error));
                    backoff.next()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.parked.notified() => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Runs one head, or says how long there is nothing to do.
    async fn step(&self) -> Result<(Step, Duration), DatabaseError> {
        let (count, due_at) = parked::outlook(&self.database, &self.group).await?;
        self.service.metrics.events().parked.set(count);
        let now_ms = Timestamp::now().as_millisecond();
        match due_at {
            Some(due_at) if due_at <= now_ms => {}
            Some(due_at) => {
                let wait_ms = u64::try_from(due_at - now_ms).unwrap_or(0);
                return Ok((Step::Idle, Duration::from_millis(wait_ms).min(LOOK_INTERVAL)));
            }
            None => return Ok((Step::Idle, LOOK_INTERVAL)),
        }
        let mut tx = self.database.begin().await?;
        let Some(head) = parked::claim(&mut tx, &self.group, now_ms).await? else {
            // Another instance is at work on what is due.
            tx.commit().await?;
            return Ok((Step::Idle, Duration::from_millis(200)));
        };
        let outcome = self.run_head(&mut tx, &head).await?;
        tx.commit().await?;
        self.count(&head, &outcome);
        Ok((Step::Ran, Duration::ZERO))
    }

    async fn run_head(&self, tx: &mut Tx<'_>, head: &Head) -> Result<Outcome, DatabaseError> {
        let now = Timestamp::now();
        let event = &head.event;
        let names = &self.sender.names;
        let attempts = event.attempts + 1;
        let mut out = Outgoing::new(self.sender.clone());
        let outcome = match names.parse_topic(&event.order_key.topic) {
            None => Outcome::Dead {
                reason: "unexpected-topic",
                error: "the topic is not one of this shop's any more".to_owned(),
                attempts,
            },
            Some(topic) => {
                let raw = event.raw(topic);
                match content::<H::Event>(&raw, &event.identity) {
                    Content::Event { event: decoded, envelope } => {
                        let mut fate = Fate {
                            identity: event.identity.clone(),
                            order_key: event.order_key.clone(),
                            replay: false,
                            anew: false,
                            event: Some((decoded, envelope)),
                            outcome: Outcome::Handled,
                        };
                        let received: Vec<_> = received::<H>(&mut fate, &raw).into_iter().collect();
                        self.try_head(tx, &received, &mut out, attempts).await?
                    }
                    // A newer version of this program may be stricter than the one that parked it.
                    Content::Reject { reason, error } => Outcome::Dead { reason, error, attempts },
                    Content::ForOthers => Outcome::ForOthers,
                }
            }
        };
        self.settle_head(tx, head, &outcome, out, now).await?;
        Ok(outcome)
    }

    async fn try_head(
        &self,
        tx: &mut Tx<'_>,
        events: &[crate::handler::Received<H::Event>],
        out: &mut Outgoing,
        attempts: u32,
    ) -> Result<Outcome, DatabaseError> {
        tx.savepoint().await?;
        match self.call(events, tx, out).await {
            Ok(()) => {
                tx.release().await?;
                Ok(Outcome::Handled)
            }
            Err(Failure::Dependency(error)) => Err(error),
            Err(failure) => {
                tx.rollback_to_savepoint().await?;
                out.truncate(0);
                Ok(Outcome::of_failure(&failure, attempts, &self.options.parking))
            }
        }
    }

    async fn settle_head(
        &self,
        tx: &mut Tx<'_>,
        head: &Head,
        outcome: &Outcome,
        out: Outgoing,
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        let now_ms = now.as_millisecond();
        let identity = [&head.event.identity];
        match outcome {
            Outcome::Parked { attempts, error } => {
                let wait_ms = self.options.parking.delay_after(*attempts).as_millis();
                let due_at_ms = now_ms + i64::try_from(wait_ms).unwrap_or(i64::MAX / 2);
                return parked::postpone(tx, &self.group, head, error, due_at_ms).await;
            }
            Outcome::Dead { reason, error, attempts } => {
                inbox::mark(tx, &self.group, &identity, State::Dead).await?;
                let letter = self.dead_letter(head, reason, error, *attempts);
                outbox::insert(tx, vec![letter.into_message(now)], now_ms).await?;
            }
            Outcome::Handled | Outcome::Duplicate | Outcome::ForOthers => {
                inbox::mark(tx, &self.group, &identity, State::Handled).await?;
                outbox::insert(tx, out.into_messages(), now_ms).await?;
            }
        }
        parked::remove(tx, &self.group, head, now_ms).await
    }

    fn dead_letter(
        &self,
        head: &Head,
        reason: &'static str,
        error: &str,
        attempts: u32,
    ) -> DeadLetter {
        let event = &head.event;
        let topic = &event.order_key.topic;
        let to = self.sender.names.parse_topic(topic).map(|topic| self.dead_letter_topic(topic));
        DeadLetter {
            // One that is not ours any more keeps the name that its dead letters would have had.
            to: to.unwrap_or_else(|| format!("{topic}.{}.dlq", self.group)),
            topic: topic.clone(),
            partition: event.partition,
            offset: event.offset,
            key: event.key.clone(),
            payload: event.payload.clone(),
            headers: event.headers.clone(),
            reason: reason.to_owned(),
            error: error.to_owned(),
            attempts,
        }
    }

    fn count(&self, head: &Head, outcome: &Outcome) {
        let metrics = self.service.metrics.events();
        let topic = head.event.order_key.topic.as_str().into();
        metrics.events.get_or_create(&EventLabels { topic, result: outcome.word() }).inc();
        let id = &head.event.identity.id;
        match outcome {
            Outcome::Dead { reason, error, .. } => {
                metrics.dead_letters.get_or_create(&ReasonLabels { reason }).inc();
                tracing::warn!(event.id = id, reason, error, "parked event dead-lettered");
            }
            Outcome::Parked { attempts, error } => {
                tracing::warn!(event.id = id, attempts, error, "parked event failed again");
            }
            _ => tracing::info!(event.id = id, "parked event handled"),
        }
    }
}
