//! The command as a person or a program on call runs it, on a shop under test.

use std::{process::Output, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use storefront_testkit::built_program;
use tokio::process::Command;

use crate::Site;

/// For one command.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the command with the shop's addresses in its environment, as a person would set them.
pub async fn command(site: &Site, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(built_program()?)
        .args(arguments)
        .env("STOREFRONT_KAFKA", site.brokers())
        .env("STOREFRONT_GATEWAY", &site.ready.gateway)
        .env("STOREFRONT_INBOX", &site.ready.inbox)
        .env("STOREFRONT_CONSOLE", &site.ready.console)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(LIMIT, output).await.context(arguments.join(" "))?.map_err(Into::into)
}

/// Standard output of a command that ends with this code.
pub async fn said(site: &Site, arguments: &[&str], code: i32) -> Result<String> {
    let output = command(site, arguments).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.code() == Some(code), "{arguments:?}: {}\n{out}{err}", output.status);
    Ok(if code == 1 { err } else { out })
}

/// What a command says to programs.
pub async fn json_of(site: &Site, arguments: &[&str]) -> Result<Value> {
    json_with(site, arguments, 0).await
}

/// The same of a command that ends with this code, which is not that of a failure.
pub async fn json_with(site: &Site, arguments: &[&str], code: i32) -> Result<Value> {
    let text = said(site, &[arguments, &["--output", "json"]].concat(), code).await?;
    serde_json::from_str(&text).with_context(|| text)
}
