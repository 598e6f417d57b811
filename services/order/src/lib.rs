//! One order for each paid session, for ever. Stores it, says so on `order-successful`, and shows it
//! together with what email knows of its mail.

mod api;
mod mail;
mod place;
mod schema;

use std::sync::Arc;

use storefront_contract::{ServiceId, settings::OrderSettings};
use storefront_runtime::{Listeners, Service, Shutdown, consume};

pub use self::{
    api::{operations, router},
    mail::{MailAnswer, MailClient},
    place::PlaceOrders,
    schema::MIGRATIONS,
};

/// Runs the service on the addresses of its settings, until `shutdown`.
pub async fn run(settings: OrderSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&settings.common).await?;
    Box::pin(run_on(listeners, settings, shutdown)).await
}

/// Runs the service on sockets that are bound already.
pub async fn run_on(
    listeners: Listeners,
    settings: OrderSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let OrderSettings { common, kafka, database, email_url, email_timeout_ms } = settings;
    let service = Service::new(ServiceId::Order, &common, shutdown);
    let mails = MailClient::new(email_url, email_timeout_ms)?;
    let Some(database) = service.open_database(&listeners, &database, MIGRATIONS).await? else {
        return Ok(());
    };
    let router = api::router(database.prompt(), Arc::new(mails));
    let handler = PlaceOrders::default();
    let consumed = async { Ok(Box::pin(consume(&service, &kafka, &database, handler)).await?) };
    let served = async { Ok(service.serve(listeners, router).await?) };
    let result = tokio::try_join!(consumed, served).map(|_| ());
    database.close().await;
    result
}
