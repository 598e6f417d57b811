//! PostgreSQL is lost under load, and all databases come back as they were some time ago. The rest comes back from Kafka and Stripe.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use storefront_contract::ServiceId;

use super::{Excuses, Outcome, Stage, goes_on};
use crate::world::World;

const LASTS_S: u32 = 600;
const WARM_UP_S: u64 = 20;
/// The load goes on for so long with what was restored.
const AFTER_S: u64 = 30;
/// Mails that were on their way when the database went have come by then (half of a mail's limit).
const LAST_MAILS_S: u64 = 5;
/// Consumers have to find out first.
const LIMIT: Duration = Duration::from_secs(180);

pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let Stage { world, .. } = stage;
    goes_on(WARM_UP_S).await;
    let backup = stage.act("a backup", false, world.postgres.back_up()).await?;
    let before = Rows::count(world).await?;
    tokio::time::sleep(stage.options.lasts_or(LASTS_S)).await;
    let lost = Rows::count(world).await?;
    let mut excuses = Excuses::default();
    let restore = async {
        world.postgres.kill()?;
        goes_on(LAST_MAILS_S).await;
        excuses.mails = world.mails().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        excuses.sessions_until = i64::try_from(now.as_secs())?;
        world.postgres.restore(backup).await
    };
    stage.act("postgres killed, and restored from the backup", true, restore).await?;
    let sold_again = stage.sold_again(LIMIT).await?;
    goes_on(AFTER_S).await;

    let mut outcome = Outcome { excuses, ..Outcome::default() };
    outcome.count("payments that the backup has not", lost.payments - before.payments);
    outcome.count("orders that the backup has not", lost.orders - before.orders);
    outcome.figure("seconds until a checkout afterwards", sold_again.as_secs_f64());
    Ok(outcome)
}

/// How much there is of what can be lost.
struct Rows {
    payments: u64,
    orders: u64,
}

impl Rows {
    async fn count(world: &World) -> Result<Self> {
        let paid = "SELECT count(*) FROM payments WHERE state = 'paid'";
        Ok(Self {
            payments: world.number(ServiceId::Payment, paid).await?,
            orders: world.number(ServiceId::Order, "SELECT count(*) FROM orders").await?,
        })
    }
}
