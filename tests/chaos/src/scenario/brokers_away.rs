//! All brokers are away at once. Nobody at the till notices, and everything comes afterwards.

use std::time::{Duration, Instant};

use anyhow::Result;
use storefront_contract::ServiceId;

use super::{Outcome, Stage, goes_on};
use crate::quiet::Tide;

const LASTS_S: u32 = 600;
const WARM_UP_S: u64 = 15;
const BROKERS: [usize; 3] = [1, 2, 3];
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let Stage { world, crowd, .. } = stage;
    goes_on(WARM_UP_S).await;
    for number in BROKERS {
        let kill = async { world.kafka.broker(number).kill() };
        stage.act(&format!("broker-{number} killed"), true, kill).await?;
    }
    let (sold, asked_again) = (crowd.checkouts(), crowd.asked_again());
    tokio::time::sleep(stage.options.lasts_or(LASTS_S)).await;
    let (sold, asked_again) = (crowd.checkouts() - sold, crowd.asked_again() - asked_again);
    // What is measured now is the drain alone.
    crowd.enough();
    while !crowd.is_over() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let waiting = world.number(ServiceId::Payment, "SELECT count(*) FROM outbox").await?;
    let before = world.tide().await?;
    let start = async {
        let [first, second, third] = BROKERS.map(|number| world.kafka.broker(number));
        tokio::try_join!(first.start(), second.start(), third.start())
    };
    stage.act("all brokers started", false, start).await?;
    let back = Instant::now();
    world.quiet(0, stage.tell).await?;
    let (took, after) = (back.elapsed(), world.tide().await?);

    let mut outcome = Outcome::default();
    outcome.count("checkouts while all brokers were away", sold);
    outcome.count("requests that failed meanwhile", asked_again);
    outcome.count("events in payment's outbox at the end", waiting);
    let told = |tide: &Tide| tide.told.iter().sum::<u64>();
    let drained = u32::try_from(told(&after) - told(&before))?;
    outcome.count("messages of the drain", drained);
    outcome.figure("messages of the drain, a second", f64::from(drained) / took.as_secs_f64());
    outcome.figure("seconds from all brokers up to all done", took.as_secs_f64());
    if sold == 0 || asked_again > 0 {
        let words = format!(
            "while all brokers were away {sold} checkouts were sold, and {asked_again} requests failed"
        );
        outcome.findings.push(words);
    }
    Ok(outcome)
}
