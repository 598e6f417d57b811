//! The same carts and the same kills for the shop as people write it in Node (`tests/bench/node`): what that loses and doubles. It
//! has neither webhooks nor a database, so that there is less to compare: orders and mails, each by its cart's own user.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde::Serialize;
use storefront_contract::{Names, Topic};
use storefront_testkit::read_topic;

use crate::{
    lanes::Timeline,
    load::Crowd,
    options::Options,
    run::{keep_logs, sell},
    scenario::Stage,
    shopper::Manner,
    tell::Teller,
    world::World,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// When nothing more has come for so long, nothing will. Longer than a session in a consumer group lasts (30 s), and a rebalance after it.
const STILL: Duration = Duration::from_secs(75);

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    seed: u64,
    carts: usize,
    paid: usize,
    faults: usize,
    kills: usize,
    /// Processes that have ended by themselves, and were started again.
    ends: u32,
    orders: Tally,
    mails: Tally,
    /// Paid sessions without an order or without a mail, and those with more than one order.
    lost: usize,
    doubled: usize,
    /// Of the lost ones: of shoppers who closed the browser after they had paid, which Node's shop never hears of.
    lost_of_leavers: usize,
    /// Sessions beside those that shoppers were given.
    orphans: usize,
    /// Shoppers who were not served at all.
    unserved: usize,
    load_s: f64,
}

/// How many have none of something, and how many more than one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    none: usize,
    more: usize,
}

/// Starts it, lets shoppers and faults in, waits until nothing moves, and compares.
pub async fn run(options: &Options) -> Result<Report> {
    ensure!(options.scenario.counts_carts(), "Node's shop knows the scenarios random and calm");
    ensure!(options.without.is_none(), "Node's shop has no guard that could be taken out");
    let tell = Teller::default();
    tell.say(&format!(
        "seed {}: {} carts a second; starting three brokers and two of every service in Node",
        options.seed, options.rate
    ));
    let world = World::start(options).await?;
    let result = under_load(&world, options, &tell).await;
    if let Some(folder) = &options.logs {
        keep_logs(&world, folder)?;
    }
    result
}

async fn under_load(world: &World, options: &Options, tell: &Teller) -> Result<Report> {
    let (crowd, timeline, began) =
        (Arc::new(Crowd::default()), Timeline::default(), Instant::now());
    let stage = Stage { world, options, tell, crowd: &crowd, timeline: &timeline, began };
    let (bought, ..) = sell(&stage, &crowd, async { Ok(()) }).await?;
    let load_s = began.elapsed().as_secs_f64();
    tell.say("the load is over and everything is mended; waiting until nothing moves");
    let (orders, mails) = still(world, tell).await?;

    let sessions = world.sessions().await?;
    let paid: BTreeSet<&str> = sessions
        .values()
        .filter(|session| session.is_paid)
        .map(|session| session.user.as_str())
        .collect();
    let left = bought.purchases().filter(|purchase| purchase.manner == Manner::Leaves);
    let left: BTreeSet<&str> = left.map(|purchase| purchase.user.as_str()).collect();
    let lost =
        || paid.iter().filter(|user| !orders.contains_key(**user) || !mails.contains_key(**user));
    let happened = timeline.all();
    Ok(Report {
        seed: options.seed,
        carts: crowd.begun(),
        paid: paid.len(),
        faults: happened.len(),
        kills: happened.iter().filter(|happened| happened.is_kill).count(),
        ends: world.members.iter().map(crate::member::Member::ends).sum(),
        orders: tally(&paid, &orders),
        mails: tally(&paid, &mails),
        lost: lost().count(),
        doubled: tally(&paid, &orders).more,
        lost_of_leavers: lost().filter(|user| left.contains(**user)).count(),
        orphans: sessions.len().saturating_sub(bought.purchases().count()),
        unserved: bought.failed.len(),
        load_s,
    })
}

type Counts = BTreeMap<String, usize>;

/// Orders and mails of each user, once no more come.
async fn still(world: &World, tell: &Teller) -> Result<(Counts, Counts)> {
    let (mut moved, mut last) = (Instant::now(), (Counts::new(), Counts::new()));
    while moved.elapsed() < STILL {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = (orders(world).await?, mails(world).await?);
        tell.progress(&format!("{} have an order, {} a mail", now.0.len(), now.1.len()));
        if now != last {
            (moved, last) = (Instant::now(), now);
        }
    }
    Ok(last)
}

async fn orders(world: &World) -> Result<Counts> {
    let brokers = world.kafka.bootstrap().to_owned();
    let read = move || read_topic(&brokers, &Names::new("").topic(Topic::OrderSuccessful));
    let mut counts = Counts::new();
    for letter in tokio::task::spawn_blocking(read).await?? {
        *counts.entry(letter.key().to_owned()).or_default() += 1;
    }
    Ok(counts)
}

async fn mails(world: &World) -> Result<Counts> {
    let recipients = world.recipients().await?.into_iter();
    let user = |address: &str| address.split('@').next().unwrap_or_default().to_owned();
    Ok(recipients.map(|(address, count)| (user(&address), count)).collect())
}

fn tally(paid: &BTreeSet<&str>, counts: &Counts) -> Tally {
    let count = |user: &&&str| counts.get(**user).copied().unwrap_or_default();
    Tally {
        none: paid.iter().filter(|user| count(user) == 0).count(),
        more: paid.iter().filter(|user| count(user) > 1).count(),
    }
}

impl Report {
    /// Nothing was lost or doubled.
    pub fn holds(&self) -> bool {
        (self.lost, self.doubled, self.unserved) == (0, 0, 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("carts", self.carts),
            ("paid, by the ledger", self.paid),
            ("  without an order", self.orders.none),
            ("  with more than one", self.orders.more),
            ("  without a mail", self.mails.none),
            ("  with more than one", self.mails.more),
            ("lost: without an order or a mail", self.lost),
            ("  of shoppers who closed the browser", self.lost_of_leavers),
            ("sessions that no shopper was given", self.orphans),
            ("shoppers who were not served", self.unserved),
            ("faults", self.faults),
            ("  of them kills", self.kills),
        ];
        for (name, value) in rows {
            writeln!(f, "  {name:<44}{value:>8}")?;
        }
        writeln!(f, "  {:<44}{:>8}", "processes that ended by themselves", self.ends)?;
        writeln!(f, "  {:<44}{:>8.0}", "seconds of load", self.load_s)?;
        let Self { lost, doubled, seed, paid, kills, .. } = self;
        write!(f, "lost {lost}, doubled {doubled} (Node, seed {seed}: {paid} paid, {kills} kills)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_is_counted_and_who_has_more_than_one() {
        let counts = [("b", 1), ("c", 2), ("d", 3), ("nobody", 5)];
        let counts = counts.map(|(user, count)| (user.to_owned(), count)).into();
        let tally = tally(&["a", "b", "c", "d"].into(), &counts);
        assert_eq!(tally, Tally { none: 1, more: 2 });
    }
}
