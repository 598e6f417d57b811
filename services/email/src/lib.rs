//! Confirmation mails, each sent once as far as SMTP allows. The handler turns events into rows, a
//! sender of its own turns rows into mails; the mail server's troubles never reach the consumer.

pub mod address;
mod api;
mod attempt;
mod clock;
mod happening;
pub mod letter;
mod mails;
mod marks;
pub mod message;
mod metrics;
mod policy;
mod queue;
mod schema;
mod sender;
pub mod smtp;
mod words;

#[cfg(test)]
#[path = "../tests/email/server.rs"]
mod server;

use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use storefront_contract::{ServiceId, settings::EmailSettings};
use storefront_runtime::{Listeners, Outbox, Service, Shutdown, consume};
use tokio::sync::Notify;
use tracing::Instrument as _;

pub use self::{api::operations, metrics::MailMetrics, policy::Policy, schema::MIGRATIONS};
use self::{
    attempt::Desk, clock::Clock, marks::Marks, queue::QueueMails, sender::Sender, smtp::Smtp,
};

/// Runs the service on the addresses of its settings, until `shutdown`.
pub async fn run(settings: EmailSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&settings.common).await?;
    Box::pin(run_on(listeners, settings, shutdown)).await
}

/// Runs the service on sockets that are bound already.
pub async fn run_on(
    listeners: Listeners,
    settings: EmailSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    Box::pin(run_with(Policy::default(), listeners, settings, shutdown)).await
}

/// Runs the service with times and limits of the caller's own, as tests need them.
pub async fn run_with(
    policy: Policy,
    listeners: Listeners,
    settings: EmailSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let EmailSettings { common, branding, kafka, database, smtp, .. } = settings;
    let EmailSettings { from, send_on, public_url, max_age_hours, .. } = settings;
    let from = address::sender(&from).context("EMAIL_FROM is wrong")?;
    let connections = smtp.connections as usize;
    let smtp = Smtp::new(&smtp)?;
    let service = Service::new(ServiceId::Email, &common, shutdown);
    let Some(database) = service.open_database(&listeners, &database, MIGRATIONS).await? else {
        return Ok(());
    };
    let metrics = MailMetrics::register(&service.metrics);
    let wake = Arc::new(Notify::new());
    let handler = QueueMails {
        shop: service.shop.clone(),
        from: from.clone(),
        send_on,
        max_age_ms: i64::try_from(max_age_hours)?.saturating_mul(3_600_000),
        metrics: metrics.clone(),
        wake: Arc::clone(&wake),
        clock: Timestamp::now,
    };
    let outbox = Outbox::new(&service, &kafka, &database);
    let clock = Arc::new(Clock::new(&database).await?);
    let holder = uuid::Uuid::new_v4().to_string();
    let desk = Desk {
        marks: Marks::new(&database, &outbox, &clock, &holder),
        outbox,
        smtp,
        branding,
        from,
        public_url,
        policy,
        metrics,
        clock,
        holder,
        database: database.clone(),
    };
    let router = api::router(database.prompt());
    let sender = Sender::new(Arc::new(desk), wake, connections);
    let consumed = async { Ok(Box::pin(consume(&service, &kafka, &database, handler)).await?) };
    let served = async { Ok(service.serve(listeners, router).await?) };
    let sent = async {
        sender.run(&service.shutdown).instrument(service.span()).await;
        Ok::<_, anyhow::Error>(())
    };
    let result = tokio::try_join!(consumed, served, sent).map(|_| ());
    database.close().await;
    result
}
