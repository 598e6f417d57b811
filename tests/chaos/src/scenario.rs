//! Scenarios: what is done to a shop under load, each in a file of its name. Whatever one does, at the end the same is compared.

mod brokers_away;
mod database_killed;
mod rebalance_storm;
mod restore;
mod rotations;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    lanes::{self, Happened, Timeline},
    load::Crowd,
    options::{Options, Scenario},
    schedule,
    tell::Teller,
    world::World,
};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a scenario plays on.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    pub world: &'a World,
    pub options: &'a Options,
    pub tell: &'a Teller,
    pub crowd: &'a Crowd,
    pub timeline: &'a Timeline,
    /// When the load began.
    pub began: Instant,
}

/// What a scenario leaves behind, beside what is compared after each.
#[derive(Debug, Default)]
pub struct Outcome {
    pub figures: Vec<Figure>,
    /// Promises that it found broken, in words.
    pub findings: Vec<String>,
    pub excuses: Excuses,
}

/// Something that it measured; the name says the unit.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
}

/// What a database that has lost committed transactions may do.
#[derive(Debug, Clone, Default)]
pub struct Excuses {
    /// Mails that it may not know to be sent, and how often.
    pub mails: BTreeMap<String, usize>,
    /// Sessions made before this time (Unix, in seconds) may be forgotten, if nobody paid them.
    pub sessions_until: i64,
}

impl Outcome {
    fn figure(&mut self, name: &'static str, value: f64) {
        self.figures.push(Figure { name, value });
    }

    fn count(&mut self, name: &'static str, count: impl TryInto<u32>) {
        self.figure(name, count.try_into().map_or(f64::INFINITY, f64::from));
    }
}

impl Stage<'_> {
    /// Plays it to its end, and ends the load where that has no end of its own.
    pub async fn play(&self) -> Result<Outcome> {
        let outcome = match self.options.scenario {
            Scenario::Random => {
                let planned = schedule::draw(self.options);
                self.tell.say(&format!("{} faults are planned", planned.len()));
                let is_over = || self.crowd.is_over();
                lanes::run(self.world, &planned, self.tell, self.timeline, is_over).await?;
                return Ok(Outcome::default());
            }
            Scenario::Calm => return Ok(Outcome::default()),
            Scenario::BrokersAway => brokers_away::play(self).await,
            Scenario::DatabaseKilled => database_killed::play(self).await,
            Scenario::RebalanceStorm => rebalance_storm::play(self).await,
            Scenario::Rotations => rotations::play(self).await,
            Scenario::Restore => restore::play(self).await,
        };
        self.crowd.enough();
        outcome
    }

    /// Does something, says so, and notes how long it took.
    async fn act<T>(
        &self,
        what: &str,
        is_kill: bool,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.tell.say(what);
        let at = self.began.elapsed();
        let done = work.await.with_context(|| what.to_owned())?;
        let lasted = self.began.elapsed().saturating_sub(at);
        self.timeline.note(Happened { at, lasted, what: what.to_owned(), is_kill });
        Ok(done)
    }

    /// How long it takes until somebody who asks for a checkout from now on gets one.
    async fn sold_again(&self, limit: Duration) -> Result<Duration> {
        let (began, before) = (Instant::now(), self.crowd.checkouts());
        while self.crowd.checkouts() == before {
            anyhow::ensure!(began.elapsed() < limit, "no checkout within {limit:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(began.elapsed())
    }
}

/// The load goes on for so long.
async fn goes_on(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
