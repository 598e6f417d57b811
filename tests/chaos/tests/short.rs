//! The whole harness for half a minute: every kind of fault, few carts. `make chaos` is the long one.

use anyhow::{Result, ensure};
use storefront_chaos::{Options, run};
use storefront_testkit::seed;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_doubled_while_everything_is_killed() -> Result<()> {
    let report = run(&Options::random(seed(), 240, 8)).await?;
    println!("{report}");
    ensure!(report.holds(), "{}", report.last_line());
    ensure!(report.timeline.len() >= 3 && report.paid > 200, "it was too quiet: {report}");
    Ok(())
}
