//! Shoppers, what they may be told while something is broken, and the reckoning at the end.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Request;
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, Site, ok};
use storefront_testkit::{eventually, eventually_some};

pub const LIMIT: Duration = Duration::from_secs(150);
const AT_ONCE: usize = 8;
/// The longest that the design lets a shopper wait for an answer to their cart is ten seconds; a busy machine adds some.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Of the whole shop in one process, in a build for tests; 110 MB is usual.
const MEMORY_MAX_KB: u64 = 300_000;

/// How a shopper pays, and whether they come back to the success page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shopper {
    Returns,
    /// Closes the browser: only webhooks and the sweeper bring the news.
    Leaves,
    /// By bank.
    Waits,
}

/// A shop with everything that was bought in it.
pub struct Crowd {
    pub shop: Shop,
    bought: BTreeSet<String>,
    carts: usize,
    /// Shoppers who have not got what they came for.
    shopping: Arc<AtomicUsize>,
    pub patience: Arc<Patience>,
}

/// What shoppers have been through since the last breakage began.
#[derive(Default)]
pub struct Patience {
    /// How often they were asked to come again.
    pub asked: AtomicUsize,
    /// The longest that one of them waited for a session, however often they were asked.
    longest_ms: AtomicU64,
}

impl Patience {
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::SeqCst))
    }

    fn begin(&self) {
        self.asked.store(0, Ordering::SeqCst);
        self.longest_ms.store(0, Ordering::SeqCst);
    }

    fn waited(&self, time: Duration) {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.longest_ms.fetch_max(time_ms, Ordering::SeqCst);
    }
}

impl Crowd {
    pub async fn open(arguments: &[&str]) -> Result<Self> {
        Shop::start(arguments).await.map(Self::of)
    }

    /// The customers of a shop that is open.
    pub fn of(shop: Shop) -> Self {
        Self {
            shop,
            bought: BTreeSet::new(),
            carts: 0,
            shopping: Arc::default(),
            patience: Arc::default(),
        }
    }

    /// So many carts come in while `mending` goes on: it waits until something has happened, and mends. Faults
    /// of the stand-ins end with the last cart in any case. Answers with how often somebody was asked to come again, and with the mending's own answer.
    pub async fn through<T>(
        &mut self,
        what: &str,
        carts: usize,
        shopper: Shopper,
        mending: impl Future<Output = Result<T>>,
    ) -> Result<(usize, T)> {
        let first = self.carts;
        self.carts += carts;
        let (site, patience) = (&self.shop.site, &*self.patience);
        patience.begin();
        self.shopping.store(carts, Ordering::SeqCst);
        let buyers = stream::iter(first..first + carts)
            .map(async |number| {
                let session = buy(site, number, shopper, patience).await?;
                self.shopping.fetch_sub(1, Ordering::SeqCst);
                anyhow::Ok(session)
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<String>>();
        let work = async { tokio::try_join!(buyers, mending) };
        let (bought, mended) = tokio::time::timeout(LIMIT, work)
            .await
            .context("not done in time")
            .and_then(|done| done)
            .with_context(|| what.to_owned())?;
        self.bought.extend(bought);
        ensure!(self.bought.len() == self.carts, "{what}: two carts got the same session");
        mend(&self.shop.site).await?;
        Ok((patience.asked.load(Ordering::SeqCst), mended))
    }

    /// Waits until the faults have struck so often, or all shoppers have what they came for; then mends. Answers with
    /// how often it was. Without a number the faults stay until the last cart is through.
    pub fn mend_after(&self, strikes: u64) -> impl Future<Output = Result<u64>> + use<> {
        let shopping = self.shopping.clone();
        self.mend_when(strikes, async move |_| shopping.load(Ordering::SeqCst) == 0)
    }

    /// As [`Crowd::mend_after`], for what strikes behind the shoppers' backs: until as many mails have come as there
    /// are carts, with those of the round that begins.
    pub fn mend_after_mails(
        &self,
        strikes: u64,
        carts: usize,
    ) -> impl Future<Output = Result<u64>> + use<> {
        let wanted = self.carts + carts;
        self.mend_when(strikes, async move |site: &Site| {
            let mails = site.mails().await.unwrap_or_default();
            mails.iter().collect::<BTreeSet<_>>().len() >= wanted
        })
    }

    fn mend_when<F: AsyncFn(&Site) -> bool>(
        &self,
        strikes: u64,
        too_late: F,
    ) -> impl Future<Output = Result<u64>> + use<F> {
        let site = self.shop.site.clone();
        async move {
            if strikes == 0 {
                return Ok(0);
            }
            let url = site.sandbox("/control/faults/strikes");
            let struck = eventually_some(LIMIT, "the faults strike", async || {
                let told = site.http.get(&url).await.ok()?.json().ok()?;
                let count = told["strikes"].as_u64()?;
                (count >= strikes || too_late(&site).await).then_some(count)
            })
            .await;
            mend(&site).await?;
            Ok(struck)
        }
    }

    /// Waits for all orders and mails, and compares them with what the ledger says was paid. Answers with how
    /// many mails came more than once.
    pub async fn settled(&self) -> Result<usize> {
        let url = self.shop.sandbox("/control/sessions?limit=1");
        eventually(LIMIT, "no bank is at work any more", async || {
            let counts = self.shop.http.get(&url).await.and_then(|reply| reply.json());
            counts.is_ok_and(|told| told["counts"]["processing"] == 0)
        })
        .await;
        let paid = self.shop.paid().await?;
        ensure!(
            paid.iter().all(|(session, _)| self.bought.contains(session)),
            "somebody paid for a session that they did not get"
        );
        let end = self.shop.reckon(LIMIT).await?;
        let kilobytes = self.memory_most_kb()?;
        ensure!(kilobytes < MEMORY_MAX_KB, "{kilobytes} kB of memory");
        Ok(end.mails)
    }

    /// The most memory that the shop ever had (`proc_pid_status(5)`).
    fn memory_most_kb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.shop.dev.process_id()?))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// Waits until so many payments are heard of and cannot be told: the broker's trouble is there.
pub async fn waiting(site: &Site, carts: usize) {
    eventually(LIMIT, "the events of so many carts wait", async || {
        let depth = site.metric("payment", "storefront_outbox_depth").await;
        depth.is_ok_and(|depth| depth == carts as u64)
    })
    .await;
}

/// Sets the stand-ins' faults.
pub async fn set_faults(site: &Site, faults: &Value) -> Result<()> {
    ok(&site.http.put_json(site.sandbox("/control/faults"), faults).await?).map(drop)
}

/// Nothing is broken any more; what waits for its time is delivered now.
async fn mend(site: &Site) -> Result<()> {
    set_faults(site, &json!({})).await?;
    ok(&site.http.post(site.sandbox("/control/webhooks/deliver")).await?).map(drop)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What may be said while something is broken: come again, and when.
fn is_patience(status: u16) -> bool {
    matches!(status, 409 | 503 | 504)
}

/// One cart from the shop's page to its end; each step is tried again while patience is asked for.
async fn buy(site: &Site, number: usize, shopper: Shopper, patience: &Patience) -> Result<String> {
    let session = order(site, number, patience).await?;
    let action = if shopper == Shopper::Waits { "delay" } else { "pay" };
    ok(&site.act(&session, action).await?)?;
    if shopper == Shopper::Returns {
        comes_back(site, &session, patience).await?;
    }
    Ok(session)
}

/// The success page, which asks until it is told that the payment was heard of.
async fn comes_back(site: &Site, session: &str, patience: &Patience) -> Result<()> {
    loop {
        let path = site.gateway(&format!("/payment/verify?session_id={session}"));
        let reply = site.http.get(path).await?;
        match reply.status {
            200 if reply.json()?["status"] == "paid" => return Ok(()),
            200 => pause().await,
            status if is_patience(status) => again(patience).await,
            _ => bail!("verify of {session} was answered {}: {}", reply.status, reply.text()),
        }
    }
}

async fn order(site: &Site, number: usize, patience: &Patience) -> Result<String> {
    let user = format!("user-{}", number % 20);
    let body = json!({
        "userId": user,
        "email": format!("{user}@example.com"),
        "cart": [{"id": "phone", "quantity": 1 + number % 3}],
    });
    let came = Instant::now();
    loop {
        let began = Instant::now();
        let request = Request::post(site.gateway("/payment"))
            .header("content-type", "application/json")
            .header("idempotency-key", format!("cart-{number}"))
            .body(body.to_string().into_bytes().into())?;
        let reply = site.http.send(request).await?;
        let took = began.elapsed();
        ensure!(took < ANSWER_LIMIT, "cart {number} waited {took:?} for {}", reply.status);
        match reply.status {
            200 => {
                patience.waited(came.elapsed());
                return Ok(text(&reply.json()?["id"]));
            }
            status if is_patience(status) => {
                ensure!(
                    reply.header("retry-after").is_some(),
                    "{status} does not say when to come again"
                );
                ensure!(
                    !reply.text().contains("127.0.0.1"),
                    "an address is told: {}",
                    reply.text()
                );
                again(patience).await;
            }
            _ => bail!("cart {number} was answered {}: {}", reply.status, reply.text()),
        }
    }
}

async fn again(patience: &Patience) {
    patience.asked.fetch_add(1, Ordering::SeqCst);
    pause().await;
}

/// As long as a page waits before it asks again.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}
