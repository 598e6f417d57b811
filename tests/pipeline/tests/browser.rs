//! The shop's pages in Chromium: `tests/browser` does what shoppers do, against shops that are started
//! here. Pictures of all pages are left in the build folder.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use storefront_contract::{Currency, Money};
use storefront_pipeline_tests::{Shop, Site};
use storefront_testkit::{Dev, DevOptions, Http};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdout, Command},
};

/// For all flows of a group, on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);
/// Flows that must have run, at each of their widths.
const SHOP_FLOWS: usize = 29;
const OTHER_FLOWS: usize = 4;
const CLOSED_FLOWS: usize = 3;
const STAND_IN_FLOWS: usize = 9;

fn node(script: &str) -> Command {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../browser"));
    let mut command = Command::new("node");
    command.current_dir(folder).arg(script).kill_on_drop(true);
    command
}

/// A browser at work on a group of flows.
struct Browser {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    flows: usize,
}

impl Browser {
    fn start(shop: &Shop, group: &str) -> Result<Self> {
        let wanted = json!({
            "gateway": shop.ready.gateway,
            "sandbox": shop.ready.sandbox,
            "inbox": shop.ready.inbox,
            "console": shop.ready.console,
            "catalog": shop.dev.data().join("catalog.json"),
            "pictures": Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser"),
            "chromium": storefront_testkit::chromium()?,
            "group": group,
        });
        let mut child = node("run.mjs").arg(wanted.to_string()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self { child, lines: BufReader::new(output).lines(), flows: 0 })
    }

    /// Until a flow waits for something outside of the browser; `false` at the end of all flows.
    async fn work(&mut self) -> Result<bool> {
        while let Some(line) = self.lines.next_line().await? {
            let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            if said["waiting"] == true {
                return Ok(true);
            }
            ensure!(said["error"].is_null(), "{}: {}", said["flow"], said["error"]);
            self.flows += 1;
        }
        Ok(false)
    }

    /// All flows that are left; how many there were.
    async fn finish(mut self) -> Result<usize> {
        ensure!(!self.work().await?, "a flow waits for something that does not come");
        let status = self.child.wait().await?;
        ensure!(status.success(), "the browser's program ended with {status}");
        Ok(self.flows)
    }
}

#[tokio::test]
async fn shoppers_pay_and_read_what_happened() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let flows = tokio::time::timeout(LIMIT, Browser::start(&shop, "shop")?.finish()).await??;
    ensure!(flows == SHOP_FLOWS, "{flows} flows have run");
    Ok(())
}

#[tokio::test]
async fn a_shop_can_look_otherwise() -> Result<()> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../browser/other-shop.yaml");
    let dev = Dev::start(DevOptions::new(manifest)).await?;
    let site = Site { ready: dev.ready().clone(), http: Http::default() };
    let shop = Shop { dev, site };
    let flows = tokio::time::timeout(LIMIT, Browser::start(&shop, "other")?.finish()).await??;
    ensure!(flows == OTHER_FLOWS, "{flows} flows have run");
    Ok(())
}

#[tokio::test]
async fn the_stand_ins_are_pages_for_people_too() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let flows = tokio::time::timeout(LIMIT, Browser::start(&shop, "stand-ins")?.finish()).await??;
    ensure!(flows == STAND_IN_FLOWS, "{flows} flows have run");
    Ok(())
}

#[tokio::test]
async fn without_payment_the_shop_says_so_and_opens_again_by_itself() -> Result<()> {
    let mut shop = Shop::start(&["--without", "payment"]).await?;
    let mut browser = Browser::start(&shop, "closed")?;
    ensure!(tokio::time::timeout(LIMIT, browser.work()).await??, "no flow waits for payment");
    shop.dev.stop().await?;
    shop.dev.options.arguments.clear();
    shop.dev.restart().await?;
    let flows = tokio::time::timeout(LIMIT, browser.finish()).await??;
    ensure!(flows == CLOSED_FLOWS, "{flows} flows have run");
    Ok(())
}

#[tokio::test]
async fn scripts_write_amounts_as_the_services_do() -> Result<()> {
    let codes = ["INR", "USD", "JPY", "KWD", "ISK", "UGX", "MGA", "CHF", "NPR", "EUR"];
    let amounts =
        [0, 1, 9, 10, 99, 100, 999, 1_000, 99_999, 100_000, 1_899_900, 123_456_789, 9_999_999_999];
    let mut cases = Vec::new();
    let mut expected = Vec::new();
    for code in codes {
        let currency: Currency = code.parse()?;
        for amount in amounts.into_iter().flat_map(|amount| [amount, -amount]) {
            cases.push(json!({"amount": amount, "form": {
                "prefix": currency.prefix(), "exponent": currency.exponent(), "group": currency.group(),
            }}));
            expected.push(Money { amount, currency }.to_string());
        }
    }
    let mut child = node("money.mjs").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(json!(cases).to_string().as_bytes()).await?;
    drop(input);
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await??;
    let written: Vec<String> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(written, expected);
    Ok(())
}
