//! `storefront-testkit up -- COMMAND...`: starts Apache Kafka and PostgreSQL once, runs the command with
//! their addresses in its environment, ends them, and ends with the command's status.

use std::{env, ffi::OsString, process::ExitCode};

use anyhow::Context;
use storefront_testkit::{KAFKA_VARIABLE, Kafka, POSTGRES_VARIABLE, Postgres, PostgresOptions};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let [up, dashes, program, rest @ ..] = &arguments[..] else { return usage() };
    if up != "up" || dashes != "--" {
        return usage();
    }
    let options = PostgresOptions::default();
    let (kafka, postgres) = tokio::try_join!(Kafka::private(), Postgres::private(&options))?;
    let child = Command::new(program)
        .args(rest)
        .env(KAFKA_VARIABLE, kafka.bootstrap())
        .env(POSTGRES_VARIABLE, postgres.url())
        .spawn()
        .with_context(|| format!("could not start {}", program.display()))?;
    wait(child).await
}

fn usage() -> anyhow::Result<ExitCode> {
    anyhow::bail!("usage: storefront-testkit up -- COMMAND [ARGUMENT...]")
}

/// Ctrl-C reaches the command by itself: it is the one that decides when to end. A SIGTERM is for us
/// alone, so it is passed on.
async fn wait(mut child: Child) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            status = child.wait() => {
                let code = status?.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
            }
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {
                if let Some(id) = child.id() {
                    Command::new("kill").arg(id.to_string()).status().await?;
                }
            }
        }
    }
}
