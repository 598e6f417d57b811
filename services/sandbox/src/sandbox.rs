//! Starts the parts of a sandbox and stops them together. [`Sandbox`] is one in this process, on free
//! ports, for the tests of those who talk with Stripe or send mail.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use storefront_runtime::{
    Metrics, Secret, Shutdown,
    http::{Limits, Routed, Server, not_found},
};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tracing::Instrument;

use crate::{
    about, checkout, control, expiry,
    faults::FaultSettings,
    ledger::{Cause, Ledger, LedgerError},
    mail::{self, message::Message},
    session::{Action, Session},
    settings::SandboxSettings,
    smtp,
    store::{DeliveryCounts, SessionQuery, Store, StoreError, Window},
    stripe, webhook,
};

/// Requests in flight at the end get this long.
const STOP_LIMIT: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: usize = 2_048;

/// Serves until `shutdown`. Refuses to start beside a live key.
pub async fn run(settings: SandboxSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let (ledger, parts) = start(settings, &shutdown).await?;
    finish(&ledger, parts, &shutdown).await
}

type Parts = JoinSet<anyhow::Result<()>>;

async fn start(
    settings: SandboxSettings,
    shutdown: &Shutdown,
) -> anyhow::Result<(Arc<Ledger>, Parts)> {
    let endpoint = settings.check()?;
    let store = Store::open(settings.data.as_deref()).await?;
    let listens_to = endpoint.is_some().then_some(settings.webhook_events);
    let ledger = Arc::new(Ledger::new(store, &settings.public_url, listens_to));
    let span = tracing::info_span!("service", service = "sandbox");
    let mut parts = Parts::new();
    parts.spawn(
        serve(settings.stripe_listener, stripe_port(&ledger), shutdown.clone())
            .instrument(span.clone()),
    );
    let inbox = mail::api::router(Arc::clone(&ledger));
    parts.spawn(serve(settings.inbox_listener, inbox, shutdown.clone()).instrument(span.clone()));
    let limits = settings.smtp_limits;
    let smtp = smtp::serve(
        settings.smtp_listener,
        settings.smtp_tls,
        Arc::clone(&ledger),
        limits,
        shutdown.clone(),
    );
    parts.spawn(done(smtp).instrument(span.clone()));
    let expiry = expiry::run(Arc::clone(&ledger), shutdown.clone());
    parts.spawn(done(expiry).instrument(span.clone()));
    if let Some(endpoint) = endpoint {
        let webhooks = webhook::run(Arc::clone(&ledger), endpoint, shutdown.clone());
        parts.spawn(done(webhooks).instrument(span));
    }
    Ok((ledger, parts))
}

async fn done(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> anyhow::Result<()> {
    let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
    let server = Server::new(limits, Metrics::new("sandbox").http().clone());
    server.serve(listener, Arc::new(Routed(router)), &shutdown, STOP_LIMIT).await?;
    Ok(())
}

/// Waits for all parts. One that fails ends the others: half a sandbox only puzzles.
async fn finish(ledger: &Ledger, mut parts: Parts, shutdown: &Shutdown) -> anyhow::Result<()> {
    let mut result = Ok(());
    while let Some(ended) = parts.join_next().await {
        let ended = ended.context("a part of the sandbox panicked").and_then(|ended| ended);
        if result.is_ok() {
            result = ended;
        }
        shutdown.cancel();
    }
    ledger.store.close().await;
    result
}

fn stripe_port(ledger: &Arc<Ledger>) -> Router {
    Router::new()
        .fallback(not_found)
        .merge(about::router(Arc::clone(ledger)))
        .merge(stripe::router(Arc::clone(ledger)))
        .merge(control::router(Arc::clone(ledger)))
        .merge(checkout::router(Arc::clone(ledger)))
}

/// How a sandbox in this process differs from the plainest one.
#[derive(Debug, Clone, Default)]
pub struct SandboxOptions {
    /// Directory of the ledger; memory without.
    pub data: Option<PathBuf>,
    /// Where events are sent, `http://…`. Nowhere without.
    pub webhook_url: Option<String>,
    /// Event types that are sent; all when empty.
    pub webhook_events: Vec<String>,
    /// Pause after a first failed delivery; 50 ms without.
    pub webhook_first_retry: Option<Duration>,
    /// Where shoppers reach the checkout page; the sandbox itself without.
    pub public_url: Option<String>,
    pub smtp_limits: Option<smtp::Limits>,
    /// File with a certificate and its key (PEM): mail comes over TLS, from the first byte.
    pub smtp_tls_file: Option<PathBuf>,
}

/// A sandbox in this process, on free ports. Stops when dropped.
pub struct Sandbox {
    stripe: SocketAddr,
    inbox: SocketAddr,
    smtp: SocketAddr,
    ledger: Arc<Ledger>,
    shutdown: Shutdown,
    finished: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Sandbox {
    /// A key that the sandbox takes.
    pub const API_KEY: &'static str = "sk_test_sandbox4eC39HqLyjWDarjtT1";
    /// What it signs deliveries with.
    pub const WEBHOOK_SECRET: &'static str = "whsec_sandbox8f3a51c7e29b4d06";

    /// In memory, without a webhook.
    pub async fn start_for_test() -> anyhow::Result<Self> {
        Self::start(SandboxOptions::default()).await
    }

    pub async fn start(options: SandboxOptions) -> anyhow::Result<Self> {
        let free = || TcpListener::bind(("127.0.0.1", 0));
        let (stripe, inbox, smtp) = (free().await?, free().await?, free().await?);
        let addresses = (stripe.local_addr()?, inbox.local_addr()?, smtp.local_addr()?);
        let public_url = options.public_url.unwrap_or_else(|| format!("http://{}", addresses.0));
        let mut settings = SandboxSettings::new(stripe, inbox, smtp, public_url);
        settings.data = options.data;
        settings.webhook_url = options.webhook_url;
        settings.webhook_secret = Some(Secret::from(Self::WEBHOOK_SECRET));
        settings.webhook_events = options.webhook_events;
        settings.webhook_first_retry =
            options.webhook_first_retry.unwrap_or(Duration::from_millis(50));
        settings.smtp_tls = options.smtp_tls_file.as_deref().map(smtp::tls::read).transpose()?;
        settings.smtp_limits = options.smtp_limits.unwrap_or_default();
        let shutdown = Shutdown::new();
        let (ledger, parts) = start(settings, &shutdown).await?;
        let (kept, stop) = (Arc::clone(&ledger), shutdown.clone());
        let finished = tokio::spawn(async move { finish(&kept, parts, &stop).await });
        let (stripe, inbox, smtp) = addresses;
        Ok(Self { stripe, inbox, smtp, ledger, shutdown, finished: Some(finished) })
    }

    /// `STRIPE_API_BASE` for whoever talks with it, without a slash at its end.
    pub fn stripe_url(&self) -> String {
        format!("http://{}", self.stripe)
    }

    /// Where Mailpit's API is, without a slash at its end.
    pub fn inbox_url(&self) -> String {
        format!("http://{}", self.inbox)
    }

    pub fn smtp_address(&self) -> SocketAddr {
        self.smtp
    }

    /// What a shopper, or a bank, does to a session.
    pub async fn act(&self, session: &str, action: Action) -> Result<Session, LedgerError> {
        self.ledger.apply(session, action, Cause::default(), |_| None).await
    }

    pub async fn pay(&self, session: &str) -> Result<Session, LedgerError> {
        self.act(session, Action::Pay).await
    }

    /// Every session of the ledger, oldest first.
    pub async fn sessions(&self) -> Result<Vec<Session>, StoreError> {
        let window = Window { limit: i64::MAX - 1, ..Window::default() };
        let query = SessionQuery { window, ..SessionQuery::default() };
        let (mut sessions, _) = self.ledger.store.sessions(&query).await?;
        sessions.reverse();
        Ok(sessions)
    }

    /// Every mail of the inbox, oldest first.
    pub async fn mails(&self) -> Result<Vec<Message>, StoreError> {
        let mut mails = Vec::new();
        for row in self.ledger.store.mails(&[], None, 0, -1).await? {
            if let Some(mail) = self.ledger.store.mail(&row.id).await? {
                mails.push(Message::read(&mail.raw, &mail.envelope));
            }
        }
        mails.reverse();
        Ok(mails)
    }

    pub fn set_faults(&self, faults: FaultSettings) {
        self.ledger.faults.set(faults);
    }

    /// How far the deliveries to the webhook are.
    pub async fn deliveries(&self) -> Result<DeliveryCounts, StoreError> {
        self.ledger.store.delivery_counts().await
    }

    /// Stops it and waits until the ledger is closed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        match self.finished.take() {
            Some(finished) => finished.await?,
            None => Ok(()),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
