//! `make bench`: each service beside what people would use instead, in one run: several rounds, the sides in
//! turn, each pinned to the last core alone, and all else (clients, brokers, database, stand-ins) to the
//! others. What it finds are ratios: machines differ, and no test asserts them.

#![expect(clippy::print_stdout, reason = "a bench says what it finds")]

mod backlog;
mod bare;
mod checkout;
mod events;
mod floor;
mod gateway;
mod load;
mod node;
mod process;
mod programs;
mod report;
mod servers;
mod start;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::report::Report;

/// As the services have it, beside which the floors stand.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(clap::Args)]
struct Options {
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Rounds; the sides take turns in each.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Seconds of load in each round, for what is asked by HTTP.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Events for a service; a Node twin gets a tenth.
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    events: u32,
    /// Messages that wait when a service starts, where its memory under a backlog is looked at.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..=100_000_000))]
    backlog: u32,
    /// Writes the tables into this file, in place of the sections that it has.
    #[arg(long)]
    into: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Gateway,
    Checkout,
    Order,
    Email,
    Start,
    Backlog,
}

#[derive(Subcommand)]
enum Command {
    /// Reads a topic and sends each record to another, with nothing around it: the floor for `order`.
    #[command(hide = true)]
    Bare { brokers: String, group: String, from: String, to: String },
    /// Asks Stripe once for each request, with nothing around it: the floor for `checkout`.
    #[command(hide = true)]
    Floor { port: u16, stripe: String, database: Option<String> },
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { command, options } = Arguments::parse();
    match command {
        None => {}
        Some(Command::Bare { brokers, group, from, to }) => {
            return bare::run(&brokers, &group, &from, &to);
        }
        Some(Command::Floor { port, stripe, database }) => {
            return floor::run(port, &stripe, database).await;
        }
    }
    process::keep_off_the_last_core()?;
    node::install()?;
    let mut report = Report::new(options.into.clone());
    if options.wants(Part::Gateway) {
        report.section(&gateway::measure(&options)?)?;
    }
    if [Part::Checkout, Part::Order, Part::Email, Part::Start, Part::Backlog]
        .iter()
        .any(|part| options.wants(*part))
    {
        let servers = servers::Servers::start().await?;
        if options.wants(Part::Checkout) {
            report.section(&checkout::measure(&servers, &options).await?)?;
        }
        if options.wants(Part::Order) {
            report.section(&events::order(&servers, &options).await?)?;
        }
        if options.wants(Part::Email) {
            report.section(&events::email(&servers, &options).await?)?;
        }
        if options.wants(Part::Start) {
            report.section(&start::measure(&servers, &options).await?)?;
        }
        if options.wants(Part::Backlog) {
            report.section(&backlog::measure(&servers, &options).await?)?;
        }
    }
    Ok(())
}
