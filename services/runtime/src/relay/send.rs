//! What the relay does: rows to the producer, reports back to the table, and a new start after a
//! failed delivery. Knows nothing of the lease.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time};

use super::{
    producer::{Producer, Report},
    refusal::{Refusal, refusal},
    run::{Line, Relay},
    window::{Flight, Key, Turn},
};
use crate::{
    db::DatabaseError,
    failpoint::{self, Step},
    store::outbox,
    text::chain,
};

/// Most rows read at once.
const PAGE: u32 = 1000;
/// How many refused messages are tried once more at a time.
const RETRY_MAX: u32 = 50;
/// How long the last messages may take when the service stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// How far the table was read.
pub(super) enum Filled {
    /// There is nothing more.
    All,
    /// There is more, once reports have made room.
    Part,
    /// The producer takes nothing any more.
    Stopped,
}

impl Relay<'_> {
    /// Gives the oldest rows to the producer.
    pub(super) async fn fill(&mut self, producer: &Producer) -> Result<Filled, DatabaseError> {
        // Where it failed before, no report may come any more to do it with.
        self.settle().await?;
        let now = Instant::now();
        let waiting = self.window.waiting_topics(now);
        let rows = outbox::ready(self.database, self.window.excluded(), waiting, PAGE).await?;
        if !rows.is_empty() {
            failpoint::reach(self.service, Step::OutboxRead);
        }
        let mut held = Vec::new();
        let mut result = if rows.is_empty() { Filled::All } else { Filled::Part };
        for stored in &rows {
            if self.precise_until.is_some_and(|until| stored.id > until) {
                break;
            }
            if self.window.is_waiting(&stored.message.topic, now) {
                continue;
            }
            if self.window.turn(stored) == Turn::Held {
                held.push(stored.id);
                continue;
            }
            let Err(code) = producer.send(stored) else {
                self.window.sent(stored);
                continue;
            };
            match refusal(code, stored.message.partition.is_some()) {
                // librdkafka knows by itself that it is too large, and has not taken it.
                Refusal::Permanent | Refusal::PerhapsTheBatch => {
                    self.refuse(stored.id, &stored.into(), &code.to_string()).await?;
                }
                Refusal::Topic => {
                    self.window.wait_for_topic(&stored.message.topic, now);
                }
                Refusal::Bystander => {
                    result = Filled::Stopped;
                    break;
                }
                // Its queue is full: reports come, and then there is room.
                Refusal::Temporary => break,
            }
        }
        if self.window.in_flight() > 0 {
            failpoint::reach(self.service, Step::OutboxSent);
        }
        if !held.is_empty() {
            outbox::hold(self.database, held).await?;
        }
        Ok(result)
    }

    /// Takes all reports that are there: deletes what was acknowledged, returns what failed.
    pub(super) async fn take(
        &mut self,
        first: Report,
        reports: &mut mpsc::UnboundedReceiver<Report>,
    ) -> Vec<Report> {
        let mut failures = Vec::new();
        let mut next = Some(first);
        while let Some(report) = next {
            match report.result {
                Ok(()) => self.window.acknowledge(report.id),
                Err(_) => failures.push(report),
            }
            next = reports.try_recv().ok();
        }
        let settled = self.settle().await;
        if self.note(settled).is_some() && failures.is_empty() {
            self.backoff.reset();
        }
        failures
    }

    /// Notes what was acknowledged: it is deleted, and whoever waited for it goes on.
    async fn settle(&mut self) -> Result<(), DatabaseError> {
        if !self.window.acknowledged().is_empty() {
            failpoint::reach(self.service, Step::OutboxAcknowledged);
            outbox::delete(self.database, self.window.acknowledged().to_vec()).await?;
            self.window.deleted();
            failpoint::reach(self.service, Step::OutboxDeleted);
        }
        while let Some((topic, key)) = self.window.freed() {
            outbox::release(self.database, &topic, &key).await?;
            self.window.released();
            tracing::info!(topic, "a refused message was taken after all; its key goes on");
        }
        Ok(())
    }

    /// Something was not delivered: everything on its way is given up and starts again at the oldest
    /// row, with a new producer. What the failed ones mean is noted first.
    pub(super) async fn restart(&mut self, line: Line, failures: &[Report]) -> Line {
        drop(line);
        let wait = self.judge(failures).await;
        self.window.land();
        if wait {
            self.pause().await;
        }
        loop {
            match self.start() {
                Ok(line) => return line,
                // Credentials are read again for each client, and may be missing while they rotate.
                Err(error) => {
                    tracing::warn!(error = chain(&error), "no producer could be made");
                    self.pause().await;
                }
            }
        }
    }

    /// Notes what each failed delivery means. Whether to wait before the next attempt.
    async fn judge(&mut self, failures: &[Report]) -> bool {
        let mut refused: HashSet<Key> = HashSet::new();
        let mut wait = false;
        let newest = self.window.newest();
        let precise = self.precise_until.is_some();
        for Report { id, result } in failures {
            let (Err(code), Some(flight)) = (result, self.window.get(*id).cloned()) else {
                continue;
            };
            match refusal(*code, flight.placed) {
                Refusal::PerhapsTheBatch if !precise => self.precise_until = newest,
                Refusal::Permanent | Refusal::PerhapsTheBatch => {
                    // Of several of one key only the first was refused for its own sake.
                    let first = flight.key().is_none_or(|key| refused.insert(key));
                    if first {
                        let noted = self.refuse(*id, &flight, &code.to_string()).await;
                        wait |= self.note(noted).is_none();
                    }
                }
                Refusal::Topic if self.window.is_waiting(&flight.topic, Instant::now()) => {}
                Refusal::Topic => {
                    let wait = self.window.wait_for_topic(&flight.topic, Instant::now());
                    tracing::warn!(
                        topic = flight.topic,
                        ?wait,
                        "topic is not there; messages wait"
                    );
                }
                Refusal::Bystander => {}
                Refusal::Temporary => {
                    tracing::warn!(topic = flight.topic, error = %code, "messages were not delivered");
                    wait = true;
                }
            }
        }
        wait
    }

    /// Marks a message that the broker refuses for good.
    async fn refuse(&mut self, id: i64, flight: &Flight, error: &str) -> Result<(), DatabaseError> {
        outbox::fail(self.database, id, error).await?;
        self.window.refuse(id, flight);
        self.metrics.outbox_failed.inc();
        tracing::error!(topic = flight.topic, outbox.id = id, error, "message refused by Kafka");
        Ok(())
    }

    /// Puts refused messages back into the queue, for one more attempt each. Their followers stay out
    /// of it until that has succeeded.
    pub(super) async fn retry_failed(&mut self) -> Result<(), DatabaseError> {
        let failed = outbox::failed(self.database, self.retried_until, RETRY_MAX).await?;
        self.retried_until = match failed.last() {
            Some(last) if failed.len() == RETRY_MAX as usize => last.id,
            _ => 0,
        };
        let ids: Vec<i64> = failed.iter().map(|stored| stored.id).collect();
        for id in &ids {
            self.window.try_again(*id);
        }
        if !ids.is_empty() {
            outbox::retry(self.database, ids).await?;
        }
        Ok(())
    }

    /// The service stops: what its last transactions stored and what is on its way may still arrive, so
    /// that it need not wait for the next start.
    pub(super) async fn drain(&mut self, mut line: Line) {
        let deadline = time::Instant::now() + DRAIN_LIMIT;
        let filled = self.fill(&line.0).await;
        self.note(filled);
        while self.window.in_flight() > 0 {
            let Ok(Some(report)) = time::timeout_at(deadline, line.1.recv()).await else { break };
            if !self.take(report, &mut line.1).await.is_empty() {
                break;
            }
        }
    }

    async fn pause(&mut self) {
        tokio::select! {
            () = time::sleep(self.backoff.next()) => {}
            () = self.shutdown.cancelled() => {}
        }
    }
}
