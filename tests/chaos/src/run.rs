//! One run, from nothing to its report.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use storefront_contract::ServiceId;

use crate::{
    compare::compare,
    counters::Counters,
    faults::AILING,
    lanes::{self, Timeline},
    load::{self, Crowd},
    options::Options,
    poison,
    report::{Measured, Report},
    schedule,
    tell::Teller,
    world::World,
};

/// How often it is said how far it is.
const STAYS_EVERY_S: u64 = 30;

/// Starts a shop, lets shoppers and faults in, mends everything, waits, and compares.
pub async fn run(options: &Options) -> Result<Report> {
    let tell = Teller::default();
    tell.say(&format!(
        "seed {}: {} carts, {} a second; starting three brokers, PostgreSQL and two of every service",
        options.seed, options.orders, options.rate
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
    let (crowd, timeline) = (Arc::new(Crowd::default()), Arc::new(Timeline::default()));
    let schedule = if options.calm { Vec::new() } else { schedule::draw(options) };
    tell.say(&format!("all is ready; {} faults are planned", schedule.len()));

    let (is_over, began) = (AtomicBool::new(false), Instant::now());
    let shopping = async {
        let bought = load::shop(world, options, &crowd).await;
        is_over.store(true, Ordering::SeqCst);
        Ok(bought)
    };
    let load_is_over = || is_over.load(Ordering::SeqCst);
    let breaking = lanes::run(world, &schedule, tell, &timeline, load_is_over);
    let telling = how_far(tell, &crowd, options.orders as usize);
    let work = async { tokio::try_join!(shopping, breaking, poison::spread(world, options)) };
    let (bought, (), poison) = tokio::select! {
        done = work => done?,
        failed = lanes::keep_up(world) => anyhow::bail!("{failed:?}"),
        () = telling => anyhow::bail!("it never ends by itself"),
    };
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
        asked_again: crowd.asked_again.load(Ordering::Relaxed),
        longest_s: f64::from(crowd.longest_ms.load(Ordering::Relaxed)) / 1000.0,
        ends: world.members.iter().map(crate::member::Member::ends).sum(),
    };
    let facts = world.facts(bought, poison).await?;
    tell.say("compared");
    Ok(Report::new(options, &facts, &timeline.all(), &measured, compare(&facts)))
}

/// Tells it again and again, for as long as it is awaited: in the last line of a terminal, and now and then in a line that stays.
async fn how_far(tell: &Teller, crowd: &Crowd, carts: usize) {
    for second in 1_u64.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (begun, done) =
            (crowd.begun.load(Ordering::Relaxed), crowd.done.load(Ordering::Relaxed));
        let words = format!("{done} of {carts} carts, {} at the till", begun - done);
        tell.progress(&words);
        if second.is_multiple_of(STAYS_EVERY_S) {
            tell.say(&words);
        }
    }
}

fn keep_logs(world: &World, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for member in &world.members {
        let name = format!("{}.log", member.instance.name());
        fs::copy(member.instance.folder().join("stderr.log"), folder.join(name))?;
    }
    Ok(())
}
