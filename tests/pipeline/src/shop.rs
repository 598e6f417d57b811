//! One running `storefront dev`, and what shoppers, the bank and the mail server's owner do with it.

use std::ops::{Deref, DerefMut};

use anyhow::{Context, Result};
use http::Request;
use serde_json::{Value, json};
use storefront_testkit::{Dev, DevOptions, Http, Ready, Reply};

/// The demo shop.
pub const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/demo.yaml");

/// A shop that runs until it is dropped.
pub struct Shop {
    pub dev: Dev,
    pub site: Site,
}

/// Where a shop is reached. It outlives the process: a shop that is started again answers at the
/// same site.
#[derive(Clone)]
pub struct Site {
    pub ready: Ready,
    pub http: Http,
}

impl Shop {
    /// The demo shop, with further arguments such as `--without order`.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_with(DevOptions::new(MANIFEST).with(arguments)).await
    }

    /// The demo shop, with variables, or another one.
    pub async fn start_with(options: DevOptions) -> Result<Self> {
        let dev = Dev::start(options).await?;
        let site = Site { ready: dev.ready().clone(), http: Http::default() };
        Ok(Self { dev, site })
    }

    /// Starts it again with its data, after it was killed or has ended.
    pub async fn restart(&mut self) -> Result<()> {
        // Services' own addresses are others each time, and the old connections are dead.
        self.site = Site { ready: self.dev.restart().await?.clone(), http: Http::default() };
        Ok(())
    }
}

impl Deref for Shop {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl DerefMut for Shop {
    fn deref_mut(&mut self) -> &mut Site {
        &mut self.site
    }
}

impl Site {
    pub fn brokers(&self) -> &str {
        &self.ready.kafka
    }

    pub fn gateway(&self, path: &str) -> String {
        format!("{}{path}", self.ready.gateway)
    }

    pub fn sandbox(&self, path: &str) -> String {
        format!("{}{path}", self.ready.sandbox)
    }

    /// Posts a cart of one phone and returns the session's id.
    pub async fn checkout(&self, user: &str, key: &str) -> Result<String> {
        self.checkout_of(user, key, 1).await
    }

    /// The same with so many phones.
    pub async fn checkout_of(&self, user: &str, key: &str, quantity: usize) -> Result<String> {
        let body = json!({
            "userId": user,
            "email": format!("{user}@example.com"),
            "cart": [{"id": "phone", "quantity": quantity}],
        });
        let request = Request::post(self.gateway("/payment"))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(body.to_string().into_bytes().into())?;
        let answer = ok(&self.http.send(request).await?)?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    /// Does at the sandbox what a shopper or a bank would: `pay`, `decline`, `expire`…
    pub async fn act(&self, session: &str, action: &str) -> Result<Reply> {
        self.http.post(self.sandbox(&format!("/control/sessions/{session}/{action}"))).await
    }

    /// What the success page is told.
    pub async fn verify(&self, session: &str) -> Result<Value> {
        let path = format!("/payment/verify?session_id={session}");
        ok(&self.http.get(self.gateway(&path)).await?)
    }

    /// Every session that was paid, by the sandbox's own ledger: (session, amount in minor units).
    pub async fn paid(&self) -> Result<Vec<(String, i64)>> {
        let url = self.sandbox("/control/sessions?state=paid&limit=10000");
        let body = ok(&self.http.get(url).await?)?;
        let sessions = body["sessions"].as_array().context("no sessions")?;
        let pair = |entry: &Value| {
            let id = entry["id"].as_str().context("no id")?.to_owned();
            Ok((id, entry["amountTotal"].as_i64().context("no amount")?))
        };
        sessions.iter().map(pair).collect()
    }

    /// The value of a service's metric, with its labels as they are written there.
    pub async fn metric(&self, service: &str, name: &str) -> Result<u64> {
        let admin = self.ready.services[service]["admin"].as_str().context("no address")?;
        let text = self.http.get(format!("{admin}/metrics")).await?.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("{service} has no {name}"))?.parse()?)
    }

    /// Every mail of the inbox: its `Message-ID`.
    pub async fn mails(&self) -> Result<Vec<String>> {
        let url = format!("{}/api/v1/messages?limit=10000", self.ready.inbox);
        let body = ok(&self.http.get(url).await?)?;
        let mails = body["messages"].as_array().context("no messages")?;
        Ok(mails.iter().filter_map(|mail| mail["MessageID"].as_str().map(Into::into)).collect())
    }
}

/// The JSON of a 2xx answer; anything else is an error that shows it.
pub fn ok(reply: &Reply) -> Result<Value> {
    anyhow::ensure!(
        (200..300).contains(&reply.status),
        "answered {}: {}",
        reply.status,
        reply.text()
    );
    reply.json()
}
