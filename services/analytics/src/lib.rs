//! What the shop did: payments, orders and mails, each logged once and added to aggregates in the
//! transaction that takes the event, so that the sums are exact.

mod api;
mod latency;
mod prune;
mod record;
mod report;
mod schema;
mod sessions;
mod tally;

use storefront_contract::{ServiceId, settings::AnalyticsSettings};
use storefront_runtime::{Listeners, Service, Shutdown, consume};
use tracing::Instrument as _;

pub use self::{
    api::{operations, router},
    prune::prune,
    record::Record,
    report::{Report, report},
    schema::MIGRATIONS,
};

/// Runs the service on the addresses of its settings, until `shutdown`.
pub async fn run(settings: AnalyticsSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&settings.common).await?;
    Box::pin(run_on(listeners, settings, shutdown)).await
}

/// Runs the service on sockets that are bound already.
pub async fn run_on(
    listeners: Listeners,
    settings: AnalyticsSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let AnalyticsSettings { common, kafka, database } = settings;
    let service = Service::new(ServiceId::Analytics, &common, shutdown);
    let Some(database) = service.open_database(&listeners, &database, MIGRATIONS).await? else {
        return Ok(());
    };
    let router = api::router(database.clone());
    let consumed =
        async { Ok(Box::pin(consume(&service, &kafka, &database, Record::default())).await?) };
    let served = async { Ok(service.serve(listeners, router).await?) };
    let pruned = async {
        prune::run(&database, &service.shutdown).instrument(service.span()).await;
        Ok::<_, anyhow::Error>(())
    };
    let result = tokio::try_join!(consumed, served, pruned).map(|_| ());
    database.close().await;
    result
}
