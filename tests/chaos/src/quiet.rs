//! The end: all is mended, and nothing is on its way any more. Waited for by what can be seen, for as long as anything moves.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;
use storefront_contract::ServiceId;

use crate::{tell::Teller, world::World};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// When nothing has moved for so long, nothing will: whatever is missing is lost. Longer than a lease and a pause of any retry.
const STILL: Duration = Duration::from_secs(75);
/// Whatever moves then moves in circles.
const LIMIT: Duration = Duration::from_secs(3_600);

/// Everything that moves while something is on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tide {
    /// By the ledger.
    pub paid: u64,
    pub mails: u64,
    /// As analytics has counted them: payments, orders, mails.
    pub told: [u64; 3],
    /// Messages that wait, and parked events, in all databases.
    pub waiting: u64,
    /// Dead letters that were stored, of each group once.
    pub dead: u64,
    /// Records that consumers have before them.
    pub lag: u64,
}

impl World {
    /// Waits until all that was paid is told of, and every piece of garbage is set aside; gives up when nothing moves any more.
    pub async fn quiet(&self, poison: u64, tell: &Teller) -> Result<()> {
        for member in &self.members {
            member.instance.ready(&self.http).await?;
        }
        let (began, mut moved, mut last) = (Instant::now(), Instant::now(), Tide::default());
        loop {
            let tide = self.tide().await?;
            tell.progress(&format!(
                "{} paid, {} orders, {} mails told of; {} wait, {} to be read",
                tide.paid, tide.told[1], tide.told[2], tide.waiting, tide.lag
            ));
            if tide.is_low(poison) {
                return Ok(());
            }
            if tide != last {
                (moved, last) = (Instant::now(), tide);
            }
            if moved.elapsed() > STILL || began.elapsed() > LIMIT {
                tell.say(&format!("nothing moves any more, and it is not all there: {last:?}"));
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn tide(&self) -> Result<Tide> {
        let (paid, mails) = self.counts().await?;
        let analytics = self.member(ServiceId::Analytics, 1)?.instance.address();
        let report = self.http.get(format!("http://{analytics}/analytics")).await?.json()?;
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        let told = [&report["payments"], &report["orders"], &report["mails"]["sent"]].map(count);
        let mut waiting = 0;
        for service in self.databases.keys() {
            waiting += self.number(*service, WAITING).await?;
        }
        let mut dead = 0;
        for service in [ServiceId::Order, ServiceId::Email, ServiceId::Analytics] {
            dead += self.number(service, DEAD).await?;
        }
        let mut lag = 0;
        for member in &self.members {
            let metrics = self.http.get(member.instance.admin("/metrics")).await?.text();
            lag += lag_of(&metrics);
        }
        Ok(Tide { paid, mails, told, waiting, dead, lag })
    }

    /// A number that a service's database answers with.
    pub async fn number(&self, service: ServiceId, query: &str) -> Result<u64> {
        let answer = self.ask(service, query).await?;
        answer.parse().with_context(|| format!("{service}: {query}: {answer}"))
    }
}

/// What is still to be sent or done.
pub const WAITING: &str = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM parked) + (SELECT count(*) FROM parked_keys)";
/// Events that were given up (`inbox::State::Dead`).
const DEAD: &str = "SELECT count(*) FROM inbox WHERE state = 2";

impl Tide {
    fn is_low(&self, poison: u64) -> bool {
        let all_told = self.told.iter().chain([&self.mails]).all(|count| *count >= self.paid);
        all_told && self.waiting == 0 && self.lag == 0 && self.dead >= 3 * poison
    }
}

fn lag_of(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with("storefront_consumer_lag{"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_when_all_is_told_and_nothing_waits() {
        let low = Tide { paid: 5, mails: 5, told: [5; 3], dead: 6, ..Tide::default() };
        assert!(low.is_low(2));
        assert!(!low.is_low(3));
        assert!(!Tide { mails: 4, ..low.clone() }.is_low(2));
        assert!(!Tide { told: [5, 4, 5], ..low.clone() }.is_low(2));
        assert!(!Tide { waiting: 1, ..low.clone() }.is_low(2));
        assert!(!Tide { lag: 1, ..low }.is_low(2));
    }
}
