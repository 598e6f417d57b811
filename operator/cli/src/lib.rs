//! The `storefront` command: a whole shop on a laptop, and tools for the one on call. The only crate
//! that sees every other; it wires them and holds no logic of the pipeline.

pub mod args;
mod audit;
mod brokers;
mod cluster;
pub mod dev;
mod dlq;
pub mod docs;
mod groups;
mod http;
pub mod manifest;
mod orders;
mod output;
mod plan;
mod purchase;
mod render;
mod services;
mod status;
mod table;
mod tail;
mod terminal;
mod text;
mod topics;
mod trace;
mod watch;
mod words;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::{CommandFactory as _, FromArgMatches as _};

/// Worker threads: development is no load, and each thread costs memory.
const WORKER_THREADS: usize = 2;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Done,
    /// What a check looked for was found.
    Found,
    /// What was asked about would be refused; it has been said why.
    Refused,
}

/// Runs the command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 found what was looked for.
pub fn main() -> ExitCode {
    let started_as = std::env::args_os().next();
    let matches = args::command(started_as.as_deref()).get_matches();
    let command = match Arguments::from_arg_matches(&matches) {
        Ok(Arguments { command }) => command,
        Err(error) => error.exit(),
    };
    match run(command) {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Found) => ExitCode::from(3),
        Ok(Exit::Refused) => ExitCode::FAILURE,
        Err(error) if output::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Dev(arguments) => {
            let _telemetry = storefront_runtime::telemetry::init("dev");
            runtime()?.block_on(dev::run(*arguments))?;
        }
        Command::Topics(arguments) => return topics::run(&arguments),
        Command::Groups(arguments) => return groups::run(&arguments),
        Command::Tail(arguments) => return tail::run(&arguments),
        Command::Dlq(command) => return runtime()?.block_on(dlq::run(&command)),
        Command::Orders(arguments) => return runtime()?.block_on(orders::run(&arguments)),
        Command::Trace(arguments) => return runtime()?.block_on(trace::run(&arguments)),
        Command::Audit(arguments) => return runtime()?.block_on(audit::run(&arguments)),
        Command::Purchase(arguments) => return runtime()?.block_on(purchase::run(&arguments)),
        Command::Plan(arguments) => return runtime()?.block_on(plan::run(&arguments)),
        Command::Status(arguments) => return status::run(&arguments),
        Command::Services(arguments) => return services::run(&arguments),
        Command::Docs(arguments) => docs::run(&arguments)?,
        Command::Render(arguments) => render::run(&arguments)?,
        Command::Crds => output::print(&storefront_operator::crd::yaml()?)?,
        Command::Validate { file } => {
            let manifest = manifest::load(&file)?;
            output::print(&manifest::summary(&file, &manifest))?;
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "storefront", &mut script);
            output::print(&String::from_utf8(script)?)?;
        }
    }
    Ok(Exit::Done)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("storefront")
        .enable_all()
        .build()
}
