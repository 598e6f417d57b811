//! Claims mails that are due and sends them, so many at once as the server may be asked to take. Holds
//! itself back while no server is there. The consumer goes on and the service stays ready, as queueing
//! mails needs no server: `storefront_smtp_up` and a growing `storefront_mails_awaiting` tell.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use storefront_runtime::{DatabaseError, Shutdown};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
};
use tracing::Instrument as _;

use crate::{
    attempt::{Desk, Reached},
    mails,
    queue::KEPT_LONGER_MS,
};

/// First wait after somebody said that there is work: their transaction may not have ended yet.
const POLL_FIRST: Duration = Duration::from_millis(5);
/// How long their ends may take to be written then.
const WRITE_PATIENCE: Duration = Duration::from_secs(3);
/// How often what is old is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The sender of one service instance.
pub struct Sender {
    desk: Arc<Desk>,
    /// Told when there is something to do.
    wake: Arc<Notify>,
    /// Mails under way at once.
    connections: usize,
    under_way: UnderWay,
}

/// The mails whose claims are kept alive.
#[derive(Clone, Default)]
struct UnderWay(Arc<Mutex<HashSet<String>>>);

/// Whether mails may be tried, judged by what became of the last ones.
#[derive(Debug, Default)]
struct Hold {
    /// Attempts in a row that found no server.
    failures: u32,
    until: Option<Instant>,
}

impl Sender {
    pub fn new(desk: Arc<Desk>, wake: Arc<Notify>, connections: usize) -> Self {
        Self { desk, wake, connections, under_way: UnderWay::default() }
    }

    /// Sends until `shutdown`, then ends what is under way.
    pub async fn run(&self, shutdown: &Shutdown) {
        let done = Shutdown::new();
        let work = async {
            self.work(shutdown).await;
            done.cancel();
        };
        tokio::join!(work, self.keep_up(&done));
    }

    async fn work(&self, shutdown: &Shutdown) {
        let abandon = Shutdown::new();
        let mut tasks = JoinSet::new();
        let (mut hold, mut poll, mut blind) = (Hold::default(), POLL_FIRST, false);
        while !shutdown.is_cancelled() {
            let free = hold.free(self.connections, tasks.len(), Instant::now());
            match self.claim(free, &mut tasks, &abandon).await {
                Ok(claimed) => {
                    blind = false;
                    if claimed > 0 {
                        poll = POLL_FIRST;
                    }
                }
                Err(error) => {
                    if !blind {
                        tracing::warn!(%error, reason = error.reason(), "mails cannot be claimed");
                    }
                    blind = true;
                    poll = self.desk.policy.poll_most;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = tasks.join_next() => {
                    self.note(&mut hold, ended);
                    // Those that were written down together free their places together.
                    while let Some(ended) = tasks.try_join_next() {
                        self.note(&mut hold, ended);
                    }
                }
                () = self.wake.notified() => poll = POLL_FIRST,
                () = tokio::time::sleep(poll) => poll = (poll * 2).min(self.desk.policy.poll_most),
            }
        }
        end(tasks, &abandon, self.desk.policy.stop_patience).await;
    }

    /// Claims up to `free` mails and begins to send them; how many.
    async fn claim(
        &self,
        free: usize,
        tasks: &mut JoinSet<Reached>,
        abandon: &Shutdown,
    ) -> Result<usize, DatabaseError> {
        if free == 0 {
            return Ok(0);
        }
        let desk = &self.desk;
        let now = desk.clock.now();
        let until = now + as_millis(desk.policy.lease);
        let claimed = mails::claim(&desk.database, &desk.holder, now, until, free).await?;
        let count = claimed.len();
        for mail in claimed {
            let entry = self.under_way.enter(&mail.mail_id);
            let (desk, abandon) = (Arc::clone(desk), abandon.clone());
            let attempt = async move {
                let _entry = entry;
                desk.send(mail, abandon).await
            };
            tasks.spawn(attempt.in_current_span());
        }
        Ok(count)
    }

    fn note(&self, hold: &mut Hold, ended: Result<Reached, JoinError>) {
        match ended {
            Ok(Reached::Yes) => {
                if hold.failures > 0 {
                    tracing::info!("the mail server is back");
                }
                *hold = Hold::default();
                self.desk.metrics.smtp_up.set(1);
            }
            Ok(Reached::No(answer)) => {
                let now = Instant::now();
                // Those that were under way together fail together, and count once.
                if hold.until.is_none_or(|until| until <= now) {
                    hold.failures = hold.failures.saturating_add(1);
                    hold.until = Some(now + self.desk.policy.hold(hold.failures, fastrand::f64()));
                }
                self.desk.metrics.smtp_up.set(0);
                if hold.failures == 1 {
                    let (code, error) = (answer.code, answer.text);
                    tracing::warn!(code, error, "the mail server cannot be reached; mails wait");
                }
            }
            Ok(Reached::NotTried) => {}
            // Its claim is not renewed any more, so the mail is taken up as `unknown`.
            Err(error) => tracing::error!(%error, "sending a mail ended unexpectedly"),
        }
    }

    /// Keeps claims alive, takes up those of instances that are gone, and tells how much waits.
    async fn keep_up(&self, done: &Shutdown) {
        let mut forgotten: Option<Instant> = None;
        let period = self.desk.policy.lease / 3;
        loop {
            let due = forgotten.is_none_or(|last| last.elapsed() > FORGET_INTERVAL);
            match self.tick(due).await {
                Ok(true) => forgotten = Some(Instant::now()),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "mails could not be looked after"),
            }
            self.desk.smtp.prune();
            tokio::select! {
                () = done.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    }

    /// Whether everything old was forgotten, if that was `due`.
    async fn tick(&self, due: bool) -> Result<bool, DatabaseError> {
        let desk = &self.desk;
        let now = desk.clock.look(&desk.database).await?;
        let ids = self.under_way.ids();
        if !ids.is_empty() {
            let until = now + as_millis(desk.policy.lease);
            mails::renew(&desk.database, &desk.holder, ids, until).await?;
        }
        let expired = mails::expire_claims(&desk.database, now).await?;
        if expired > 0 {
            tracing::warn!(mails = expired, "claims ended in the middle of sending");
            for _ in 0..expired {
                desk.metrics.count("unknown");
            }
            self.wake.notify_one();
        }
        desk.metrics.awaiting.set(mails::awaiting(&desk.database).await?);
        Ok(due && mails::forget(&desk.database, now, KEPT_LONGER_MS).await? == 0)
    }
}

/// Lets mails under way come to their end, and not for ever.
async fn end(mut tasks: JoinSet<Reached>, abandon: &Shutdown, patience: Duration) {
    let all = async |tasks: &mut JoinSet<Reached>| while tasks.join_next().await.is_some() {};
    if tokio::time::timeout(patience, all(&mut tasks)).await.is_err() {
        // What was not handed over goes back; what was in the middle is `unknown`.
        abandon.cancel();
        tokio::time::timeout(WRITE_PATIENCE, all(&mut tasks)).await.ok();
    }
}

impl Hold {
    /// How many more mails may be tried. After a pause one mail asks for all whether the server is
    /// back.
    fn free(&self, connections: usize, under_way: usize, now: Instant) -> usize {
        match self.until {
            None => connections.saturating_sub(under_way),
            Some(until) if now < until || under_way > 0 => 0,
            Some(_) => 1,
        }
    }
}

impl UnderWay {
    fn enter(&self, mail_id: &str) -> Entry {
        self.lock().insert(mail_id.to_owned());
        Entry { under_way: self.clone(), mail_id: mail_id.to_owned() }
    }

    fn ids(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mail under way: however it ends, its claim is not renewed after that.
struct Entry {
    under_way: UnderWay,
    mail_id: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.mail_id);
    }
}

fn as_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
