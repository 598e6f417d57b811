//! Members of order's and email's consumer groups leave and join every two seconds. Nothing is lost, what is committed never goes
//! back, and the work goes on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use storefront_contract::{Names, ServiceId, Topic};
use tokio::time::MissedTickBehavior;

use super::{Outcome, Stage, goes_on};
use crate::world::{PARTITIONS, World};

const LASTS_S: u32 = 300;
const WARM_UP_S: u64 = 15;
/// The quiet that the storm is held against is not longer.
const QUIET_MAX: Duration = Duration::from_secs(60);
const BEAT: Duration = Duration::from_secs(2);
/// More than a clean stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const STORMY: [ServiceId; 2] = [ServiceId::Order, ServiceId::Email];
const LOOK_EVERY: Duration = Duration::from_millis(500);
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Of the quiet rate.
const RATE_MIN: f64 = 0.5;

pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let Stage { world, options, .. } = stage;
    let lasts = options.lasts_or(LASTS_S);
    goes_on(WARM_UP_S).await;
    let quiet = rates(world, tokio::time::sleep(lasts.min(QUIET_MAX))).await?;
    let mut back = Backwards::default();
    let changes = AtomicU32::new(0);
    let stormy = async {
        tokio::select! {
            failed = back.watch(world) => failed,
            done = storm(stage, lasts, &changes) => done,
        }
    };
    let mut stormed = Ok(());
    let storm = rates(world, async { stormed = stormy.await }).await?;
    stormed?;
    goes_on(WARM_UP_S).await;

    let mut outcome = Outcome::default();
    outcome.count("members that left or joined", changes.into_inner());
    let names = [
        ("orders a second in quiet", "  in the storm"),
        ("mails a second in quiet", "  in the storm"),
    ];
    for (((name, in_storm), quiet), storm) in names.into_iter().zip(quiet).zip(storm) {
        outcome.figure(name, quiet);
        outcome.figure(in_storm, storm);
        if storm < quiet * RATE_MIN {
            outcome.findings.push(format!("{name} {quiet:.1}, and in the storm {storm:.1}"));
        }
    }
    outcome.count("times that offsets were looked at", back.looks);
    outcome.count("offsets that went back", back.found.len());
    outcome.findings.append(&mut back.found);
    Ok(outcome)
}

/// Each group by itself.
async fn storm(stage: &Stage<'_>, lasts: Duration, changes: &AtomicU32) -> Result<()> {
    let [order, email] = STORMY.map(|service| storm_of(stage, service, lasts, changes));
    tokio::try_join!(order, email).map(drop)
}

/// Every two seconds a member of the group leaves or joins; the other one stays.
async fn storm_of(
    stage: &Stage<'_>,
    service: ServiceId,
    lasts: Duration,
    changes: &AtomicU32,
) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(stage.options.seed.wrapping_add(service as u64));
    let (began, mut beat) = (Instant::now(), tokio::time::interval(BEAT));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = None;
    while began.elapsed() < lasts || away.is_some() {
        beat.tick().await;
        // Who is away comes back; then one of the two goes.
        if let Some(number) = away.take() {
            let join = async { stage.world.member(service, number)?.start() };
            stage.act(&format!("{service}-{number} joins"), false, join).await?;
        } else {
            let number = random.usize(1..=2);
            let leave = stage.world.member(service, number)?.stop(STOP_LIMIT);
            stage.act(&format!("{service}-{number} leaves"), false, leave).await?;
            away = Some(number);
        }
        changes.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Orders and mails a second while something goes on.
async fn rates(world: &World, meanwhile: impl Future<Output = ()>) -> Result<[f64; 2]> {
    let (began, before) = (Instant::now(), done(world).await?);
    meanwhile.await;
    let after = done(world).await?;
    let seconds = began.elapsed().as_secs_f64();
    Ok([0, 1].map(|at| f64::from(after[at] - before[at]) / seconds))
}

async fn done(world: &World) -> Result<[u32; 2]> {
    let orders = world.number(ServiceId::Order, "SELECT count(*) FROM orders").await?;
    let sent = "SELECT count(*) FROM mails WHERE state = 'sent'";
    let mails = world.number(ServiceId::Email, sent).await?;
    Ok([orders.try_into()?, mails.try_into()?])
}

/// Offsets that are lower than they were, in the databases and at the brokers.
#[derive(Debug, Default)]
struct Backwards {
    highest: BTreeMap<String, i64>,
    looks: u32,
    found: Vec<String>,
}

impl Backwards {
    /// Looks again and again.
    async fn watch(&mut self, world: &World) -> Result<()> {
        let [order, email] = STORMY.map(|service| Group::new(world, service));
        let groups = [order?, email?];
        loop {
            for (service, group) in STORMY.into_iter().zip(&groups) {
                for (place, offset) in stored(world, service).await? {
                    self.note(&format!("{service}'s database, {place}"), offset);
                }
                for (place, offset) in group.committed().await? {
                    self.note(&format!("{service}'s group, {place}"), offset);
                }
            }
            self.looks += 1;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn note(&mut self, place: &str, offset: i64) {
        let highest = self.highest.entry(place.to_owned()).or_insert(offset);
        if offset < *highest {
            self.found.push(format!("{place}: from {highest} back to {offset}"));
        }
        *highest = offset;
    }
}

async fn stored(world: &World, service: ServiceId) -> Result<Vec<(String, i64)>> {
    let query = "SELECT topic || '/' || partition, next_offset FROM offsets";
    world.pairs(service, query).await
}

/// What a group has told the brokers, asked by a client that is no member of it.
struct Group {
    client: Arc<BaseConsumer>,
    topic: String,
}

impl Group {
    fn new(world: &World, service: ServiceId) -> Result<Self> {
        let names = Names::new("");
        let group = names.group(service).context("it has no group")?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", world.kafka.bootstrap()).set("group.id", group);
        Ok(Self {
            client: Arc::new(config.create()?),
            topic: names.topic(Topic::PaymentSuccessful),
        })
    }

    async fn committed(&self) -> Result<Vec<(String, i64)>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, PARTITIONS - 1);
        let client = Arc::clone(&self.client);
        let ask = move || client.committed_offsets(list, ASK_LIMIT);
        let told = tokio::task::spawn_blocking(ask).await??;
        let known = told.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => {
                Some((format!("{}/{}", element.topic(), element.partition()), offset))
            }
            _ => None,
        });
        Ok(known.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_that_goes_back_is_found_once() {
        let mut back = Backwards::default();
        for offset in [1, 5, 5, 3, 4] {
            back.note("here", offset);
        }
        back.note("there", 2);
        assert_eq!(back.found, ["here: from 5 back to 3"]);
    }
}
