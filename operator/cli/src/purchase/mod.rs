//! `storefront purchase`: buys as a shopper does, and sees it through to the mail. Works against any
//! gateway in sandbox mode; no money moves.

mod report;
mod steps;

use std::time::{Duration, Instant};

use anyhow::bail;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use crate::{
    Exit,
    args::PurchaseArguments,
    http::Client,
    output::{self, Output},
    terminal::Terminal,
};
use report::Summary;
use steps::Shopper;

/// One purchase, as far as it came.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Purchase {
    pub user: String,
    pub session: Option<String>,
    pub order: Option<String>,
    pub message: Option<String>,
    pub steps: Vec<Step>,
    /// Why it did not come to its end.
    pub error: Option<String>,
    pub took_ms: u64,
}

/// One step that was done.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    #[serde(rename = "step")]
    pub name: &'static str,
    /// From the step before.
    pub took_ms: u64,
    /// What came of it, in words.
    pub said: String,
}

/// Everything that was bought.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bought {
    purchases: Vec<Purchase>,
    failed: usize,
    took_ms: u64,
    summary: Vec<Summary>,
}

/// Buys, and prints what came of it.
pub async fn run(arguments: &PurchaseArguments) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let client = Client::default();
    steps::await_shop(&client, arguments).await?;
    steps::check_stand_in(&client, arguments).await?;
    let single = arguments.count == 1;
    let told = arguments.output.output == Output::Text;
    let purchases = stream::iter(0..arguments.count).map(|number| {
        let client = client.clone();
        async move {
            let user = if single {
                arguments.user.clone()
            } else {
                format!("{}-{}", arguments.user, number + 1)
            };
            let steps_told = told && single;
            let shopper = Shopper::new(client, arguments, user, number);
            let purchase = shopper.buy(|step| {
                if steps_told {
                    let _ = output::print(&report::step(step, Terminal::stdout()));
                }
            });
            let purchase = purchase.await;
            if told && !single {
                let _ = output::print(&report::line(&purchase, Terminal::stdout()));
            }
            purchase
        }
    });
    let at_once = usize::try_from(arguments.concurrency)?;
    let purchases: Vec<Purchase> = purchases.buffer_unordered(at_once).collect().await;
    let failed = purchases.iter().filter(|purchase| purchase.error.is_some()).count();
    let summary = report::summary(&purchases);
    let took_ms = millis(started.elapsed());
    let all = Bought { purchases, failed, took_ms, summary };
    match arguments.output.output {
        Output::Json => output::print_json(&all)?,
        Output::Text if !single => {
            output::print(&report::text(&all.summary, all.purchases.len(), failed, took_ms))?;
        }
        Output::Text => {}
    }
    match all.purchases.iter().find_map(|purchase| purchase.error.as_ref()) {
        Some(error) if single => bail!("{error}"),
        Some(error) => {
            bail!("{failed} of {} purchases failed; the first: {error}", arguments.count)
        }
        None => Ok(Exit::Done),
    }
}

pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
