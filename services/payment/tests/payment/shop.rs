//! A payment service against the stand-in for Stripe, on a real database: what the tests of this crate
//! start and look at. Kafka is away, so that the outbox keeps what was written.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use storefront_contract::{
    ServiceId,
    settings::{
        Common, DatabaseSettings, DatabaseUrl, KafkaSecurity, KafkaSettings, PaymentSettings,
        StripeSettings,
    },
};
use storefront_runtime::{Database, Listeners, Shutdown, Value as Parameter};
use storefront_sandbox::{Sandbox, SandboxOptions, webhook_signature};
use storefront_testkit::{Authority, Http, Reply, eventually, eventually_some};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::validation::Validator;

/// For a condition that should hold in a moment, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Which database the shop is on.
#[derive(Debug, Clone, Copy)]
pub enum On {
    Sqlite,
    Postgres,
}

/// What a test wants otherwise than usual.
#[derive(Debug, Clone)]
pub struct Wish {
    /// For one call to Stripe.
    pub timeout_ms: u64,
    pub sweep_interval_ms: u64,
    /// Whether the stand-in knows our webhook.
    pub webhooks: bool,
    /// Another database than a new one.
    pub database_url: Option<String>,
    /// Stripe stands behind TLS: the name in its certificate, and whether we have its CA.
    pub stripe_tls: Option<(&'static str, bool)>,
    /// Each call to Stripe is held against Stripe's own description, too.
    pub validated: bool,
}

impl Default for Wish {
    fn default() -> Self {
        // An interval that no test lives to see: what is found, was not found by the sweeper.
        Self {
            timeout_ms: 8_000,
            sweep_interval_ms: 600_000,
            webhooks: true,
            database_url: None,
            stripe_tls: None,
            validated: false,
        }
    }
}

/// A running shop.
pub struct Shop {
    pub sandbox: Sandbox,
    pub database: Database,
    pub folder: TempDir,
    pub http: Http,
    pub url: String,
    /// Between payment and the stand-in, when that was wished for.
    pub validator: Option<Validator>,
    pub admin: String,
    settings: PaymentSettings,
    stop: Shutdown,
    service: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Shop {
    pub async fn open(on: On) -> anyhow::Result<Self> {
        Self::open_with(on, Wish::default()).await
    }

    pub async fn open_with(on: On, wish: Wish) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let listeners = Listeners::loopback().await?;
        let url = format!("http://{}", listeners.http_address()?);
        let admin = format!("http://{}", listeners.admin_address()?);
        let options = SandboxOptions {
            webhook_url: wish.webhooks.then(|| format!("{url}/payment/webhook")),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await?;
        let database_url = match (wish.database_url.clone(), on) {
            (Some(url), _) => url,
            (None, On::Sqlite) => format!("sqlite:{}", folder.path().join("p.db").display()),
            (None, On::Postgres) => storefront_testkit::postgres().await?.database().await?,
        };
        fs::write(folder.path().join("api-key"), Sandbox::API_KEY)?;
        fs::write(folder.path().join("webhook-secret"), Sandbox::WEBHOOK_SECRET)?;
        fs::write(folder.path().join("catalog.json"), CATALOG)?;
        let mut settings = settings(folder.path(), &database_url, &sandbox, &wish)?;
        if let Some((name, trusted)) = wish.stripe_tls {
            let (theirs, other) = (Authority::new()?, Authority::new()?);
            let front =
                theirs.front(name, sandbox.stripe_url().trim_start_matches("http://")).await?;
            let ca_file = folder.path().join("ca.crt");
            let known = if trusted { &theirs } else { &other };
            known.write(&ca_file)?;
            settings.stripe.api_base = format!("https://localhost:{}", front.port()).parse()?;
            settings.stripe.ca_file = Some(ca_file);
        }
        let mut validator = None;
        if wish.validated {
            let between = Validator::start(sandbox.stripe_url()).await?;
            settings.stripe.api_base = between.url().parse()?;
            validator = Some(between);
        }
        let stop = Shutdown::new();
        let run = storefront_payment::run_on(listeners, settings.clone(), stop.clone());
        let service = Some(tokio::spawn(run));
        let http = Http::default();
        eventually(SOON, "the service is ready", async || {
            http.get(format!("{admin}/livez")).await.is_ok_and(|reply| reply.status == 200)
                && http.get(format!("{url}/catalog")).await.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        let shop = &settings.common.shop;
        let database = Database::open(&settings.database, shop, ServiceId::Payment, &[]).await?;
        Ok(Self { sandbox, database, folder, http, url, validator, admin, settings, stop, service })
    }

    /// Starts another instance on the same database; its address. It stops with the first.
    pub async fn second(&self) -> anyhow::Result<String> {
        let listeners = Listeners::loopback().await?;
        let url = format!("http://{}", listeners.http_address()?);
        let run =
            storefront_payment::run_on(listeners, self.settings.clone(), self.stop.child_token());
        tokio::spawn(run);
        eventually(SOON, "the second instance answers", async || {
            self.http.get(format!("{url}/catalog")).await.is_ok_and(|reply| reply.status == 200)
        })
        .await;
        Ok(url)
    }

    /// What ends the start of an instance with these files; the whole chain of causes.
    pub async fn refusal(&self, file: &str, content: &str) -> anyhow::Result<String> {
        fs::write(self.path(file), content)?;
        let listeners = Listeners::loopback().await?;
        let run = storefront_payment::run_on(listeners, self.settings.clone(), self.stop.clone());
        match tokio::time::timeout(SOON, run).await? {
            Ok(()) => anyhow::bail!("it started"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `POST /payment`.
    pub async fn post(&self, body: &Value, key: Option<&str>) -> anyhow::Result<Reply> {
        let mut request = Request::post(format!("{}/payment", self.url))
            .header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.http.send(request.body(Full::from(body.to_string()))?).await
    }

    /// A session for a phone, as a shopper gets it.
    pub async fn checkout(&self, user: &str) -> anyhow::Result<String> {
        let reply = self.post(&phone(user), None).await?.expect_status(200)?;
        Ok(text(&reply.json()?["id"]).to_owned())
    }

    /// `GET /payment/verify`.
    pub async fn verify(&self, session: &str) -> anyhow::Result<Reply> {
        self.http.get(format!("{}/payment/verify?session_id={session}", self.url)).await
    }

    /// The word that verify has for a session.
    pub async fn status(&self, session: &str) -> anyhow::Result<String> {
        let answer = self.verify(session).await?.expect_status(200)?.json()?;
        Ok(text(&answer["status"]).to_owned())
    }

    /// Waits until the row of a session is in a state.
    pub async fn reaches(&self, session: &str, state: &str) {
        eventually(SOON, &format!("{session} is {state}"), async || {
            self.state(session).await.is_ok_and(|found| found.as_deref() == Some(state))
        })
        .await;
    }

    pub async fn state(&self, session: &str) -> anyhow::Result<Option<String>> {
        let rows = self.sql("SELECT state FROM payments WHERE session_id = $1", &[session]).await?;
        Ok(rows.first().map(|row| row.text("state")).transpose()?)
    }

    /// How many rows are in each state.
    pub async fn states(&self) -> anyhow::Result<BTreeMap<String, i64>> {
        let count = "SELECT state, COUNT(*) AS number FROM payments GROUP BY state";
        let rows = self.sql(count, &[]).await?;
        rows.iter().map(|row| Ok((row.text("state")?, row.int("number")?))).collect()
    }

    /// What the outbox holds.
    pub async fn outbox(&self) -> anyhow::Result<Vec<Value>> {
        let rows = self.sql("SELECT topic, payload FROM outbox ORDER BY id", &[]).await?;
        let read = |row: &storefront_runtime::Row| {
            anyhow::ensure!(row.text("topic")? == "payment-successful");
            Ok(serde_json::from_slice(&row.bytes("payload")?)?)
        };
        rows.iter().map(read).collect()
    }

    /// A statement on payment's database, past the service.
    pub async fn sql(
        &self,
        sql: &'static str,
        params: &[&str],
    ) -> anyhow::Result<Vec<storefront_runtime::Row>> {
        let params: Vec<Parameter> = params.iter().map(|text| (*text).into()).collect();
        Ok(self.database.query(sql, &params).await?)
    }

    /// A webhook with this signature header, or without one.
    pub async fn webhook(&self, body: &str, signature: Option<&str>) -> anyhow::Result<Reply> {
        let mut request = Request::post(format!("{}/payment/webhook", self.url))
            .header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("stripe-signature", signature);
        }
        self.http.send(request.body(Full::from(body.to_owned()))?).await
    }

    /// A webhook that is signed as Stripe's are.
    pub async fn signed(&self, event: &Value, secret: &str) -> anyhow::Result<Reply> {
        let body = event.to_string();
        let now = jiff::Timestamp::now().as_second();
        self.webhook(&body, Some(&webhook_signature(secret, &body, now))).await
    }

    /// The value of a metric; 0 while it has none.
    pub async fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let text = self.http.get(format!("{}/metrics", self.admin)).await?.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map(str::parse).transpose()?.unwrap_or(0))
    }

    /// Waits until the stand-in has no delivery under way.
    pub async fn all_delivered(&self) {
        eventually(SOON, "every event is delivered", async || {
            self.sandbox.deliveries().await.is_ok_and(|count| count.pending == 0)
        })
        .await;
    }

    /// Stops the service and waits for its end.
    pub async fn close(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        match self.service.take() {
            Some(service) => service.await?,
            None => Ok(()),
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A call past the service, straight to the stand-in.
pub async fn stripe(shop: &Shop, target: &str, form: &str) -> anyhow::Result<Value> {
    let request = Request::post(format!("{}{target}", shop.sandbox.stripe_url()))
        .header("authorization", format!("Bearer {}", Sandbox::API_KEY))
        .header("content-type", "application/x-www-form-urlencoded");
    let reply = shop.http.send(request.body(Full::from(form.to_owned()))?).await?;
    reply.expect_status(200)?.json()
}

/// Waits until a repeated request gets its session.
pub async fn insist(shop: &Shop, body: &Value, key: &str) -> String {
    eventually_some(SOON, "the session", async || {
        let reply = shop.post(body, Some(key)).await.ok()?;
        Some(reply.expect_status(200).ok()?.json().ok()?["id"].as_str()?.to_owned())
    })
    .await
}

/// A text in an answer; empty when there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The body of a request for one phone.
pub fn phone(user: &str) -> Value {
    json!({"userId": user, "email": format!("{user}@example.com"),
           "cart": [{"id": "phone", "quantity": 1, "price": 1_899_900}]})
}

pub const CATALOG: &str = r#"{"products": [
    {"id": "phone", "name": "Nova 5G", "price": 1899900, "image": "/img/phone.svg"},
    {"id": "case", "name": "Case", "price": 49900}
]}"#;

fn settings(
    folder: &std::path::Path,
    database_url: &str,
    sandbox: &Sandbox,
    wish: &Wish,
) -> anyhow::Result<PaymentSettings> {
    Ok(PaymentSettings {
        common: Common {
            shop: "default/demo".parse()?,
            http_listen: "127.0.0.1:0".parse()?,
            admin_listen: "127.0.0.1:0".parse()?,
            drain_ms: 0,
        },
        kafka: KafkaSettings {
            brokers: vec!["127.0.0.1:1".into()],
            prefix: String::new(),
            security: KafkaSecurity::default(),
        },
        database: DatabaseSettings {
            url: DatabaseUrl::Plain(database_url.into()),
            max_connections: 8,
        },
        currency: "INR".parse()?,
        catalog_file: folder.join("catalog.json"),
        public_url: "http://shop.example.com:8080".parse()?,
        stripe: StripeSettings {
            api_base: sandbox.stripe_url().parse()?,
            ca_file: None,
            api_key_file: folder.join("api-key"),
            webhook_secret_files: vec![
                folder.join("webhook-secret"),
                folder.join("webhook-secret-old"),
            ],
            timeout_ms: wish.timeout_ms,
            sandbox: true,
            webhook_tolerance_s: 300,
        },
        sweep_interval_ms: wish.sweep_interval_ms,
    })
}

/// Runs a test on each database.
macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident)+) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(crate::shop::On::Sqlite).await
            })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(crate::shop::On::Postgres).await
            })+
        }
    };
}
pub(crate) use on_both;
