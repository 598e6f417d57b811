//! Runs the schedule: every lane by itself, its faults one after the other at their times or as soon as the one before is over.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::{
    schedule::{Lane, Planned},
    tell::Teller,
    world::World,
};

/// A fault that was done.
#[derive(Debug, Clone)]
pub struct Happened {
    /// From the load's begin.
    pub at: Duration,
    pub lasted: Duration,
    pub what: String,
    /// Whether it ended a process at once.
    pub is_kill: bool,
}

/// What has happened so far, in the order of the ends.
#[derive(Default)]
pub struct Timeline(Mutex<Vec<Happened>>);

impl Timeline {
    pub fn note(&self, happened: Happened) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(happened);
    }

    /// By begin.
    pub fn all(&self) -> Vec<Happened> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by_key(|happened| happened.at);
        all
    }
}

/// Does all of it; what takes too long to begin because others took long is left out at the `end`, when no load is left to
/// suffer it.
pub async fn run(
    world: &World,
    schedule: &[Planned],
    tell: &Teller,
    timeline: &Timeline,
    load_is_over: impl Fn() -> bool,
) -> Result<()> {
    let (began, load_is_over) = (Instant::now(), &load_is_over);
    let lane = async |lane: Lane| {
        for planned in schedule.iter().filter(|planned| planned.lane == lane) {
            tokio::time::sleep_until(began + planned.at).await;
            if load_is_over() {
                break;
            }
            let at = began.elapsed();
            tell.say(&planned.fault.to_string());
            world.suffer(planned).await.with_context(|| planned.fault.to_string())?;
            let lasted = began.elapsed().saturating_sub(at);
            let (what, is_kill) = (planned.fault.to_string(), planned.fault.is_kill());
            timeline.note(Happened { at, lasted, what, is_kill });
        }
        anyhow::Ok(())
    };
    try_join_all(Lane::ALL.map(lane)).await.map(drop)
}

/// Starts again what ends by itself, for as long as it is awaited.
pub async fn keep_up(world: &World) -> Result<()> {
    const LOOK_EVERY: Duration = Duration::from_millis(250);
    loop {
        for member in &world.members {
            member.keep_up()?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
