//! Checkout sessions, webhooks, and the one place that turns a payment into an event.
//!
//! A payment is a row. It is stored, priced from the catalog, before Stripe is asked for a session;
//! three messengers (the success page, the webhook, the sweeper) bring news of the session in any order
//! and number; one function asks Stripe what is true and moves the row, and the one UPDATE that makes it
//! `paid` writes `payment-successful` into the outbox in the same transaction. Kafka may be down all the
//! while. This crate knows nothing of orders and mails.

mod app;
mod audit;
mod catalog;
mod create;
mod events;
mod fulfil;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod key;
mod metrics;
mod pace;
mod pricing;
mod request;
mod schedule;
mod see_through;
mod session_id;
mod signature;
mod state;
mod store;
mod stripe;
mod sweeper;

use std::time::Duration;

use storefront_contract::{ServiceId, settings::PaymentSettings};
use storefront_runtime::{Listeners, Outbox, Service, Shutdown};

pub use crate::{
    app::FileError,
    http::{audit_operations, operations},
    metrics::Metrics,
};
use crate::{
    app::{App, Files},
    store::MIGRATIONS,
    sweeper::Sweeper,
};

/// How long work that nobody waits for may take at the end: a question to Stripe that is under way.
const FINISH_LIMIT: Duration = Duration::from_secs(5);

/// Runs payment until shutdown, on the addresses of its settings.
pub async fn run(settings: PaymentSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&settings.common).await?;
    run_on(listeners, settings, shutdown).await
}

/// Runs payment until shutdown, on sockets that are bound already.
pub async fn run_on(
    listeners: Listeners,
    settings: PaymentSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let service = Service::new(ServiceId::Payment, &settings.common, shutdown);
    let files = Files::open(&service, &settings)?;
    let opened = service.open_database(&listeners, &settings.database, MIGRATIONS).await?;
    let Some(database) = opened else { return Ok(()) };
    let outbox = Outbox::new(&service, &settings.kafka, &database);
    let app = App::new(files, &service, &settings, &database, outbox.clone());
    let sweeper = Sweeper::new(app.clone());
    // Boxed, as each is large and there is one of each.
    let served = Box::pin(async {
        let own = http::audit_router(app.clone());
        let result = service.serve_both(listeners, http::router(app.clone()), own).await;
        app.finish(FINISH_LIMIT).await;
        anyhow::Ok(result?)
    });
    let relayed = Box::pin(async { anyhow::Ok(outbox.relay().await?) });
    let swept = Box::pin(async {
        sweeper.run(&service.shutdown).await;
        anyhow::Ok(())
    });
    tokio::try_join!(served, relayed, swept)?;
    database.close().await;
    Ok(())
}
