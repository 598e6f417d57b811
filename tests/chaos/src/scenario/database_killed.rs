//! PostgreSQL is killed under load, again and again: how long until somebody can buy after it is back.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Outcome, Stage, goes_on};

const TIMES: u32 = 5;
/// Between two of them.
const PAUSE_S: u64 = 10;
const AWAY_MS: std::ops::Range<u64> = 200..5_000;
/// The promise.
const SOLD_AGAIN_MAX: Duration = Duration::from_secs(10);
/// Nobody waits longer for it to be kept.
const LIMIT: Duration = Duration::from_secs(120);

pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let Stage { world, options, .. } = stage;
    let mut random = fastrand::Rng::with_seed(options.seed.wrapping_add(11));
    let (mut sold, mut ready) = (Vec::new(), Duration::ZERO);
    for _ in 0..options.times.unwrap_or(TIMES) {
        goes_on(PAUSE_S).await;
        let away = Duration::from_millis(random.u64(AWAY_MS));
        let kill = async {
            world.postgres.kill()?;
            tokio::time::sleep(away).await;
            world.postgres.start().await
        };
        stage.act("postgres killed", true, kill).await?;
        let back = Instant::now();
        sold.push(stage.sold_again(LIMIT).await?);
        for member in &world.members {
            member.instance.ready(&world.http).await?;
        }
        ready = ready.max(back.elapsed());
    }
    goes_on(PAUSE_S).await;
    sold.sort_unstable();
    let (median, longest) = (sold[sold.len() / 2], sold[sold.len() - 1]);
    let mut outcome = Outcome::default();
    outcome.figure("seconds until a checkout after it is back", median.as_secs_f64());
    outcome.figure("  the longest of them", longest.as_secs_f64());
    outcome.figure("seconds until all are ready, the longest", ready.as_secs_f64());
    if longest > SOLD_AGAIN_MAX {
        let words = format!("the first checkout after PostgreSQL was back took {longest:.1?}");
        outcome.findings.push(words);
    }
    Ok(outcome)
}
