//! What a run is asked for.

use std::{path::PathBuf, time::Duration};

use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use storefront_runtime::failpoint::Guard;

/// Load, and what is done to it.
#[derive(clap::Args, Debug, Clone)]
pub struct Options {
    /// What happens when, and who buys what; a new one if none is given.
    #[arg(long, default_value_t = fastrand::u64(..1_000_000_000))]
    pub seed: u64,
    /// Carts; a scenario with an end of its own sells until then.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub orders: u32,
    /// Carts a second.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// What is done to the shop.
    #[arg(long, value_enum, default_value_t)]
    pub scenario: Scenario,
    /// Seconds of what a scenario does without a pause: how long brokers are away, how long the storm is, how old the backup is.
    #[arg(long, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    pub lasts: Option<u32>,
    /// How often a scenario does what it does one by one: kills of the database, rotations.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub times: Option<u32>,
    /// Whose shop it is.
    #[arg(long, value_enum, default_value_t)]
    pub shop: Stack,
    /// Takes a guard out of the shop: the comparison at the end has to fail.
    #[arg(long, value_parser = guards())]
    pub without: Option<Guard>,
    /// Keeps what every process said in this folder.
    #[arg(long)]
    pub logs: Option<PathBuf>,
}

/// What is done to a shop under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Scenario {
    /// Everything is killed, frozen and cut off at times of the seed's.
    #[default]
    Random,
    /// Nothing: what the load alone does.
    Calm,
    /// All brokers are away at once (600 s), and come back.
    BrokersAway,
    /// PostgreSQL is killed again and again (5 times).
    DatabaseKilled,
    /// A member of a consumer group leaves or joins every 2 s (300 s).
    RebalanceStorm,
    /// Keys and passwords are changed (20 times each): Stripe's, the mail server's, PostgreSQL's.
    Rotations,
    /// PostgreSQL is lost, and restored from a backup (600 s old).
    Restore,
}

/// A shop that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Stack {
    #[default]
    Storefront,
    /// The same flow as people write it in Node, with no database: only its services and the brokers are killed.
    Node,
}

/// By their names.
fn guards() -> impl clap::builder::TypedValueParser<Value = Guard> {
    let names = PossibleValuesParser::new(Guard::ALL.map(Guard::name));
    names.try_map(|name| Guard::from_name(&name).ok_or("there is no such guard"))
}

impl Scenario {
    /// Whether it sells so many carts, and not for as long as it takes.
    pub fn counts_carts(self) -> bool {
        matches!(self, Self::Random | Self::Calm)
    }
}

impl Options {
    /// Everything killed at random, and nothing else asked for.
    pub fn random(seed: u64, orders: u32, rate: u32) -> Self {
        Self {
            seed,
            orders,
            rate,
            scenario: Scenario::Random,
            lasts: None,
            times: None,
            shop: Stack::Storefront,
            without: None,
            logs: None,
        }
    }

    /// How many carts there can be.
    pub fn carts(&self) -> u32 {
        if self.scenario.counts_carts() { self.orders } else { u32::MAX }
    }

    /// How long the load lasts if nothing holds it up, where carts are counted.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.orders) / f64::from(self.rate))
    }

    /// Seconds that were asked for, or these.
    pub fn lasts_or(&self, seconds: u32) -> Duration {
        Duration::from_secs(self.lasts.unwrap_or(seconds).into())
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
