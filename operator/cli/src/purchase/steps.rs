//! The way of one purchase, step by step. Every wait is bounded by the purchase's own limit.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use storefront_contract::Money;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Purchase, Step, millis};
use crate::{
    args::{Item, PurchaseArguments},
    http::{Client, HttpError, below},
};

/// Between two questions whether something is there.
const ASK_FIRST: Duration = Duration::from_millis(20);
const ASK_MOST: Duration = Duration::from_millis(500);

/// The test card that Stripe and the stand-in always take.
const CARD: [(&str, &str); 4] = [
    ("number", "4242 4242 4242 4242"),
    ("expiry", "12 / 34"),
    ("cvc", "123"),
    ("name", "Terminal Shopper"),
];

/// Why a purchase stopped.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("{step}: {source}")]
    Http { step: &'static str, source: HttpError },
    #[error("{step}: {problem}")]
    Problem { step: &'static str, problem: String },
    #[error("{step}: not within {limit_s} s (--limit): {last}")]
    Late { step: &'static str, limit_s: u64, last: String },
}

/// Waits until the shop shows its catalog, as long as was asked for.
pub async fn await_shop(client: &Client, arguments: &PurchaseArguments) -> anyhow::Result<()> {
    let limit = arguments.wait;
    if limit.is_zero() {
        return Ok(());
    }
    let url = below(&arguments.gateway, "catalog");
    let (started, mut pause) = (Instant::now(), ASK_FIRST);
    while let Err(last) = client.get(&url).await.and_then(|answer| answer.json()) {
        if started.elapsed() + pause > limit {
            anyhow::bail!("no shop within {limit:?} (--wait): {last}");
        }
        sleep(pause).await;
        pause = (pause * 3 / 2).min(ASK_MOST);
    }
    Ok(())
}

const AT_STRIPE: &str = "the shop takes payments at Stripe itself: this works only in sandbox mode";

/// Whether the shop has a stand-in for Stripe. Asked before anything is bought: at Stripe itself every
/// session would stay, for days.
pub async fn check_stand_in(client: &Client, arguments: &PurchaseArguments) -> anyhow::Result<()> {
    if arguments.sandbox.is_some() {
        return Ok(());
    }
    // The stand-in's own page says that it does not know this one; a gateway without a stand-in answers
    // with a problem.
    let url = below(&arguments.gateway, "sandbox/checkout/none");
    // Whoever cannot be reached is told of by the purchase itself.
    let Ok(answer) = client.get(&url).await else { return Ok(()) };
    if answer.status == StatusCode::NOT_FOUND && answer.is_problem() {
        anyhow::bail!(AT_STRIPE);
    }
    Ok(())
}

/// Somebody who buys.
pub struct Shopper<'a> {
    client: Client,
    arguments: &'a PurchaseArguments,
    number: u32,
    purchase: Purchase,
    started: Instant,
    last: Instant,
}

/// What was offered, as far as it is bought.
struct Cart {
    items: Vec<Item>,
    said: String,
}

impl<'a> Shopper<'a> {
    pub fn new(
        client: Client,
        arguments: &'a PurchaseArguments,
        user: String,
        number: u32,
    ) -> Self {
        let started = Instant::now();
        let purchase = Purchase { user, ..Purchase::default() };
        Self { client, arguments, number, purchase, started, last: started }
    }

    /// Buys; `told` hears of each step when it is done.
    pub async fn buy(mut self, told: impl Fn(&Step)) -> Purchase {
        let outcome = self.all(&told).await;
        self.purchase.took_ms = millis(self.started.elapsed());
        self.purchase.error = outcome.err().map(|stop| stop.to_string());
        self.purchase
    }

    async fn all(&mut self, told: &impl Fn(&Step)) -> Result<(), Stop> {
        let cart = self.catalog().await?;
        self.done("catalog", cart.said.clone(), told);
        let (session, url) = self.checkout(&cart).await?;
        self.done("checkout", session.clone(), told);
        self.pay(&session, &url).await?;
        self.done("pay", "paid at the stand-in".into(), told);
        let order = self.verify(&session).await?;
        self.done("verify", format!("the shop knows it, order {order}"), told);
        let placed = self.order(&order).await?;
        self.done("order", placed, told);
        if !self.arguments.no_mail {
            let message = self.mail(&order).await?;
            self.done("mail", format!("sent, {message}"), told);
        }
        Ok(())
    }

    fn done(&mut self, name: &'static str, said: String, told: &impl Fn(&Step)) {
        let now = Instant::now();
        let step = Step { name, took_ms: millis(now - self.last), said };
        self.last = now;
        told(&step);
        self.purchase.steps.push(step);
    }

    async fn catalog(&self) -> Result<Cart, Stop> {
        let step = "catalog";
        let url = below(&self.arguments.gateway, "catalog");
        let answer = self.client.get(&url).await.and_then(|answer| answer.json());
        let catalog = answer.map_err(|source| Stop::Http { step, source })?;
        let known = |id: &str| {
            let products = catalog["products"].as_array().into_iter().flatten();
            products.into_iter().find(|product| product["id"] == *id)
        };
        let mut items = self.arguments.item.clone();
        if items.is_empty() {
            let first = catalog["products"][0]["id"].as_str().ok_or_else(|| Stop::Problem {
                step,
                problem: format!("{url} has no products: is it the shop's gateway?"),
            })?;
            items.push(Item { id: first.to_owned(), quantity: 1 });
        }
        let mut lines = Vec::new();
        for item in &items {
            let Some(product) = known(&item.id) else {
                let products = catalog["products"].as_array().into_iter().flatten();
                let ids: Vec<_> = products.filter_map(|it| it["id"].as_str()).take(10).collect();
                let problem =
                    format!("there is no product {:?}; there are {}", item.id, ids.join(", "));
                return Err(Stop::Problem { step, problem });
            };
            let name = product["name"].as_str().unwrap_or(&item.id);
            let currency = catalog["currency"].as_str().and_then(|code| code.parse().ok());
            let price = match (product["price"].as_i64(), currency) {
                (Some(amount), Some(currency)) => Money { amount, currency }.to_string(),
                _ => product["price"].to_string(),
            };
            lines.push(format!("{} × {name} at {price}", item.quantity));
        }
        Ok(Cart { items, said: lines.join(", ") })
    }

    /// Session and address of the checkout page.
    async fn checkout(&mut self, cart: &Cart) -> Result<(String, url::Url), Stop> {
        let step = "checkout";
        let user = &self.purchase.user;
        let email = match &self.arguments.email {
            Some(email) => email.clone(),
            None => format!("{user}@example.com"),
        };
        let lines: Vec<Value> =
            cart.items.iter().map(|it| json!({"id": it.id, "quantity": it.quantity})).collect();
        let body = json!({"userId": user, "email": email, "cart": lines});
        let url = below(&self.arguments.gateway, "payment");
        let key = format!("terminal-{}-{}", self.number, Uuid::new_v4());
        let answer =
            self.client.post_json(&url, &key, &body).await.and_then(|answer| answer.json());
        let answer = answer.map_err(|source| Stop::Http { step, source })?;
        let session = answer["id"].as_str().map(str::to_owned);
        let page = answer["url"].as_str().and_then(|url| url.parse().ok());
        let (Some(session), Some(page)) = (session, page) else {
            let problem = format!("{url} did not answer with a session and its address");
            return Err(Stop::Problem { step, problem });
        };
        self.purchase.session = Some(session.clone());
        Ok((session, page))
    }

    async fn pay(&self, session: &str, page: &url::Url) -> Result<(), Stop> {
        let step = "pay";
        let at_stripe = page
            .host_str()
            .is_some_and(|host| host == "stripe.com" || host.ends_with(".stripe.com"));
        // Stripe's pages may have the shop's own name.
        if at_stripe || session.starts_with("cs_live_") {
            return Err(Stop::Problem { step, problem: AT_STRIPE.into() });
        }
        let failed = |source| Stop::Http { step, source };
        if let Some(sandbox) = &self.arguments.sandbox {
            let url = below(sandbox, &format!("control/sessions/{session}/pay"));
            return self.client.post(&url).await.and_then(|answer| answer.ok()).map_err(failed);
        }
        // The stand-in's page is behind the gateway, and the way that was taken to it is as good as the one
        // that a browser is told: a pod cannot use an address that is forwarded to a laptop.
        let page = match page.path().strip_prefix('/') {
            Some(path) if path.starts_with("sandbox/") => below(&self.arguments.gateway, path),
            _ => page.clone(),
        };
        let answer = self.client.post_form(&page, &CARD).await.map_err(failed)?;
        answer.ok().map_err(failed)?;
        if answer.status.is_redirection() {
            return Ok(());
        }
        let problem = "the checkout page did not take the test card: give the stand-in's address with --sandbox";
        Err(Stop::Problem { step, problem: problem.into() })
    }

    /// What the success page asks, until the shop says that it is paid; the order's id.
    async fn verify(&mut self, session: &str) -> Result<String, Stop> {
        let mut url = below(&self.arguments.gateway, "payment/verify");
        url.query_pairs_mut().append_pair("session_id", session);
        let found = self
            .until("verify", &url, |answer| match answer["status"].as_str() {
                Some("paid") => Ok(answer["orderId"].as_str().map(str::to_owned)),
                Some(status @ ("failed" | "expired")) => Err(format!("the payment is {status}")),
                _ => Ok(None),
            })
            .await?;
        self.purchase.order = Some(found.clone());
        Ok(found)
    }

    async fn order(&self, order: &str) -> Result<String, Stop> {
        let url = below(&self.arguments.gateway, &format!("orders/{order}"));
        let placed = |answer: &Value| {
            let at = answer["createdAt"].as_str().map(|at| format!("placed at {at}"));
            Ok(at)
        };
        self.until("order", &url, placed).await
    }

    async fn mail(&mut self, order: &str) -> Result<String, Stop> {
        let url = below(&self.arguments.gateway, &format!("orders/{order}"));
        let sent = |answer: &Value| {
            let mail = &answer["mail"];
            match mail["state"].as_str() {
                Some("sent") => Ok(Some(mail["messageId"].as_str().unwrap_or("?").to_owned())),
                Some("failed") => Err("the mail server refused it for good".to_owned()),
                _ => Ok(None),
            }
        };
        let message = self.until("mail", &url, sent).await?;
        self.purchase.message = Some(message.clone());
        Ok(message)
    }

    /// Asks until `found` gives something, an error, or the time is over. What is not there yet, or
    /// not for a moment, is asked for again.
    async fn until(
        &self,
        step: &'static str,
        url: &url::Url,
        found: impl Fn(&Value) -> Result<Option<String>, String>,
    ) -> Result<String, Stop> {
        let limit = self.arguments.limit;
        let mut pause = ASK_FIRST;
        loop {
            let answer = self.client.get(url).await;
            let passing = |status: StatusCode| {
                status == StatusCode::NOT_FOUND
                    || status.is_server_error()
                    || status == StatusCode::TOO_MANY_REQUESTS
            };
            let last = match answer.and_then(|answer| answer.json()) {
                Ok(answer) => {
                    if let Some(found) =
                        found(&answer).map_err(|problem| Stop::Problem { step, problem })?
                    {
                        return Ok(found);
                    }
                    let state = answer["mail"]["state"].as_str().or(answer["status"].as_str());
                    match state {
                        // Not planned yet, or never.
                        Some("none") => "no mail is planned; --no-mail is content with that".into(),
                        state => format!("it is {}", state.unwrap_or("not there")),
                    }
                }
                Err(HttpError::Refused { status, said, .. }) if passing(status) => said,
                Err(source) => return Err(Stop::Http { step, source }),
            };
            if self.started.elapsed() + pause > limit {
                return Err(Stop::Late { step, limit_s: limit.as_secs(), last });
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(ASK_MOST);
        }
    }
}
