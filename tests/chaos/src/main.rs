//! `make chaos`: any number of payments while everything is killed at random. Ends with one line that says what was lost and
//! doubled, and fails when that is anything.

#![expect(clippy::print_stdout, reason = "a run says what it found")]

use std::{fmt::Display, process::ExitCode};

use clap::{Parser, ValueEnum};
use serde::Serialize;
use storefront_chaos::{Options, Stack, run, run_node};

/// Kills, freezes and cuts off a shop under load, and compares what was paid with what came of it.
#[derive(Parser)]
#[command(name = "storefront-chaos")]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    /// One object; what goes on meanwhile is on stderr.
    Json,
}

#[tokio::main(worker_threads = 4)]
async fn main() -> anyhow::Result<ExitCode> {
    let Arguments { options, output } = Arguments::parse();
    let holds = match options.shop {
        Stack::Storefront => {
            let report = run(&options).await?;
            tell(&report, output)?;
            report.holds()
        }
        Stack::Node => {
            let report = run_node(&options).await?;
            tell(&report, output)?;
            report.holds()
        }
    };
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell<R: Display + Serialize>(report: &R, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Text => println!("{report}"),
        Output::Json => println!("{}", serde_json::to_string(report)?),
    }
    Ok(())
}
