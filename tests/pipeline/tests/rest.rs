//! A shop at rest leaves the machine alone. Counted is the time that the kernel gave to the process, which
//! does not depend on what else the machine does; the bound is a guard against loops, not a benchmark.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use storefront_pipeline_tests::{Shop, ok};
use storefront_testkit::eventually;

/// Long enough for every timer of the idle shop to fire at least once.
const WINDOW: Duration = Duration::from_secs(15);
/// Of one core. Measured is about 0.6.
const PERCENT_MAX: u64 = 2;
/// `sysconf(_SC_CLK_TCK)`: the unit of `/proc/PID/stat`, the same on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// The process's time on a CPU, in ticks (`proc_pid_stat(5)`, utime and stime).
fn ticks(process_id: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{process_id}/stat"))?;
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |index: usize| anyhow::Ok(fields.get(index).context("too short")?.parse::<u64>()?);
    Ok(field(11)? + field(12)?)
}

#[tokio::test]
async fn a_shop_at_rest_uses_no_more_than_a_fiftieth_of_a_core() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    // One payment first, so that every part has worked and rests again.
    let session = shop.checkout("ada", "cart").await?;
    ok(&shop.act(&session, "pay").await?)?;
    eventually(Duration::from_secs(60), "the mail", async || {
        shop.mails().await.is_ok_and(|mails| mails.len() == 1)
    })
    .await;
    let process_id = shop.dev.process_id()?;
    let used = async || {
        let before = ticks(process_id)?;
        tokio::time::sleep(WINDOW).await;
        anyhow::Ok(ticks(process_id)? - before)
    };
    // What the start and the payment left to be done may end in the first window.
    let (first, second) = (used().await?, used().await?);
    let most = PERCENT_MAX * TICKS_PER_SECOND * WINDOW.as_secs() / 100;
    ensure!(first.min(second) <= most, "{first} and {second} ticks, at most {most} are allowed");
    Ok(())
}
