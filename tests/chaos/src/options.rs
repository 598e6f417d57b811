//! What a run is asked for.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

/// Load, and what is done to it.
#[derive(clap::Args, Debug, Clone)]
pub struct Options {
    /// What happens when, and who buys what; a new one if none is given.
    #[arg(long, default_value_t = fastrand::u64(..1_000_000_000))]
    pub seed: u64,
    /// Carts.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub orders: u32,
    /// Carts a second.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Takes a guard out of the shop: the comparison at the end has to fail.
    #[arg(long, value_enum)]
    pub without: Option<Guard>,
    /// Breaks nothing: what the load alone does.
    #[arg(long)]
    pub calm: bool,
    /// Keeps what every process said in this folder.
    #[arg(long)]
    pub logs: Option<PathBuf>,
}

/// What keeps events from being lost or doubled, one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Guard {
    /// Which events were handled.
    Inbox,
    /// A payment and its event in one transaction.
    Outbox,
    /// Towards Stripe.
    IdempotencyKey,
    /// What an event means and the offset behind it in one transaction.
    Offsets,
    /// A parked event holds back the later ones of its key.
    KeyLock,
}

impl Options {
    /// How long the load lasts if nothing holds it up.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.orders) / f64::from(self.rate))
    }

    /// How many different shoppers there are: each comes again and again, so that an order of events can be wrong.
    pub fn users(&self) -> usize {
        (self.rate as usize * 3).clamp(20, 1_000)
    }

    /// How many of them are regular customers, who buy one of five carts: each has several events on its way at once.
    pub fn regulars(&self) -> usize {
        (self.users() / 10).max(1)
    }
}
