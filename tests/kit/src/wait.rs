//! Waiting for a condition, and the seed of a test's randomness. Tests do not sleep; they wait here.

use std::{
    env,
    time::{Duration, Instant},
};

/// How often a condition is looked at. Short enough not to be felt, long enough for two busy cores.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` holds; panics with `what` when it does not within `limit`.
pub async fn eventually(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually_some(limit, what, async || condition().await.then_some(())).await;
}

/// Waits until `attempt` gives something, and answers with it; panics with `what` when it does not
/// within `limit`. An attempt that hangs is given up at the limit too.
#[expect(clippy::panic, reason = "a test ends with the words that say what did not come")]
pub async fn eventually_some<T>(
    limit: Duration,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Some(value)) => return value,
            Ok(None) if Instant::now() + LOOK_EVERY < deadline => {}
            _ => panic!("not within {limit:?}: {what}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The seed of a test's randomness: `STOREFRONT_SEED` or a new one; printed, so that a failure can be
/// run again.
#[expect(clippy::print_stdout, reason = "the harness shows it with a failed test")]
pub fn seed() -> u64 {
    let given = env::var_os("STOREFRONT_SEED").and_then(|text| text.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed} (run again with STOREFRONT_SEED={seed})");
    seed
}
