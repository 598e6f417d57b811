//! One run, from nothing to its report.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use storefront_contract::ServiceId;

use crate::{
    compare::compare,
    counters::Counters,
    faults::AILING,
    lanes::{self, Timeline},
    load::{self, Bought, Crowd},
    options::Options,
    poison,
    report::{Measured, Report},
    scenario::{Outcome, Stage},
    tell::Teller,
    world::World,
};

/// How often it is said how far it is.
const STAYS_EVERY_S: u64 = 30;

/// Starts a shop, lets shoppers and faults in, mends everything, waits, and compares.
pub async fn run(options: &Options) -> Result<Report> {
    let tell = Teller::default();
    tell.say(&format!(
        "seed {}: {} carts a second; starting three brokers, PostgreSQL and two of every service",
        options.seed, options.rate
    ));
    let world = World::start(options).await?;
    world.ask(ServiceId::Order, AILING).await?;
    let result = under_load(&world, options, &tell).await;
    if let Some(folder) = &options.logs {
        keep_logs(&world, folder)?;
    }
    result
}

async fn under_load(world: &World, options: &Options, tell: &Teller) -> Result<Report> {
    let counters = Arc::new(Counters::default());
    let watching = tokio::spawn(Arc::clone(&counters).watch(world.clone()));
    let (crowd, timeline) = (Arc::new(Crowd::default()), Timeline::default());
    let began = Instant::now();
    let stage = Stage { world, options, tell, crowd: &crowd, timeline: &timeline, began };
    let (bought, outcome, poison) =
        sell(&stage, &crowd, poison::spread(world, options, &crowd)).await?;
    let load_s = began.elapsed().as_secs_f64();
    tell.say("the load is over and everything is mended; waiting until all is quiet");
    let began = Instant::now();
    world.quiet(poison.len() as u64, tell).await?;
    counters.look(world).await;
    watching.abort();
    let measured = Measured {
        load_s,
        quiet_s: began.elapsed().as_secs_f64(),
        inbox_hits: counters.events("duplicate"),
        parked: counters.events("parked"),
        carts: crowd.begun(),
        asked_again: crowd.asked_again(),
        longest_s: crowd.longest().as_secs_f64(),
        ends: world.members.iter().map(crate::member::Member::ends).sum(),
        figures: outcome.figures,
    };
    let facts = world.facts(bought, poison, outcome.excuses).await?;
    for words in world.traces(&facts).await? {
        tell.say(&words);
    }
    let mut verdict = compare(&facts);
    for words in &outcome.findings {
        verdict.broken(words);
    }
    tell.say("compared");
    Ok(Report::new(options, &facts, &timeline.all(), measured, verdict))
}

/// Lets shoppers in while the scenario plays, and something more goes on; what came of each of the three.
pub async fn sell<T>(
    stage: &Stage<'_>,
    crowd: &Arc<Crowd>,
    more: impl Future<Output = Result<T>>,
) -> Result<(Bought, Outcome, T)> {
    let Stage { world, options, tell, .. } = *stage;
    tell.say("all is ready");
    let shopping = async { Ok(load::shop(world, options, crowd).await) };
    let work = async { tokio::try_join!(shopping, stage.play(), more) };
    tokio::select! {
        done = work => done,
        failed = lanes::keep_up(world) => anyhow::bail!("{failed:?}"),
        () = how_far(tell, crowd, options) => anyhow::bail!("it never ends by itself"),
    }
}

/// Tells it again and again, for as long as it is awaited: in the last line of a terminal, and now and then in a line that stays.
async fn how_far(tell: &Teller, crowd: &Crowd, options: &Options) {
    let of = if options.scenario.counts_carts() {
        format!(" of {}", options.orders)
    } else {
        String::new()
    };
    for second in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (begun, done) = (crowd.begun(), crowd.done());
        let words = format!("{done}{of} carts, {} at the till", begun.saturating_sub(done));
        tell.progress(&words);
        if second.is_multiple_of(STAYS_EVERY_S) {
            tell.say(&words);
        }
    }
}

/// Copies what every process said.
pub fn keep_logs(world: &World, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for member in &world.members {
        let name = format!("{}.log", member.instance.name());
        fs::copy(member.instance.folder().join("stderr.log"), folder.join(name))?;
    }
    Ok(())
}
