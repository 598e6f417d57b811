//! The `storefront` command: a whole shop on a laptop, and tools for the one on call. The only crate
//! that sees every other; it wires them and holds no logic of the pipeline.

pub mod args;
pub mod dev;
pub mod groups;
mod kafka;
pub mod manifest;
mod output;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser;

/// Worker threads: development is no load, and each thread costs memory.
const WORKER_THREADS: usize = 2;

/// Runs the command line. Exit codes: 0 done, 1 failed, 2 wrong usage.
pub fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Dev(arguments) => {
            let _telemetry = storefront_runtime::telemetry::init("dev");
            runtime()?.block_on(dev::run(*arguments))?;
        }
        Command::Groups(arguments) => groups::run(&arguments)?,
        Command::Crds => output::print(&storefront_operator::crd::yaml()?)?,
        Command::Validate { file } => {
            let manifest = manifest::load(&file)?;
            output::print(&manifest::summary(&file, &manifest))?;
        }
    }
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("storefront")
        .enable_all()
        .build()
}
