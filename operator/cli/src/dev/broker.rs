//! The brokers of a shop on a laptop: the embedded one, or those of `--kafka`.

use std::sync::Arc;

use rdkafka::{
    admin::AdminClient, client::DefaultClientContext, config::FromClientConfig, metadata::Metadata,
};
use storefront_broker::{BrokerError, EmbeddedBroker};
use storefront_inspect::Connection;

use super::{DevError, TIMEOUT, data::Data};
use crate::args::DevArguments;

/// Brokers that answer.
pub struct Broker {
    brokers: Vec<String>,
    count: i32,
    /// Topics that are there: name and partitions.
    topics: Vec<(String, i32)>,
    embedded: Option<EmbeddedBroker>,
}

/// A client that changes topics.
pub struct Admin(Arc<AdminClient<DefaultClientContext>>);

impl Admin {
    pub fn client(&self) -> &AdminClient<DefaultClientContext> {
        &self.0
    }

    /// Ends the client, which waits for its threads, while others go on.
    pub fn close(self) {
        tokio::task::spawn_blocking(move || drop(self.0));
    }
}

impl Broker {
    /// Starts the embedded broker, or connects to the given ones. The client is for preparing the
    /// topics: kept longer it would only cost threads.
    pub async fn start(arguments: &DevArguments, data: &Data) -> Result<(Self, Admin), DevError> {
        let embedded = if arguments.kafka.is_empty() {
            Some(start_embedded(arguments, data).await?)
        } else {
            None
        };
        let brokers = match &embedded {
            Some(broker) => vec![broker.bootstrap().to_owned()],
            None => arguments.kafka.iter().map(|broker| broker.trim().to_owned()).collect(),
        };
        let list = brokers.join(",");
        let connection = Connection::new(&list);
        let config = connection.config();
        let reachable = tokio::task::spawn_blocking(move || connection.check_reachable());
        if let Ok(Err(source)) = reachable.await {
            return Err(DevError::Unreachable { brokers: list, source });
        }
        let no_broker = |source| DevError::NoBroker { brokers: list.clone(), source };
        let admin = AdminClient::from_config(&config).map_err(no_broker)?;
        let admin = Arc::new(admin);
        let metadata = metadata(Arc::clone(&admin)).await.map_err(no_broker)?;
        let count = i32::try_from(metadata.brokers().len()).unwrap_or(i32::MAX).max(1);
        let partitions = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let topics = metadata.topics().iter();
        let topics =
            topics.map(|topic| (topic.name().to_owned(), partitions(topic.partitions().len())));
        let topics = topics.collect();
        Ok((Self { brokers, count, topics, embedded }, Admin(admin)))
    }

    pub fn brokers(&self) -> &[String] {
        &self.brokers
    }

    pub fn count(&self) -> i32 {
        self.count
    }

    pub fn topics(&self) -> &[(String, i32)] {
        &self.topics
    }

    /// Whether the brokers are this shop's alone.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Stops the embedded broker, which writes out what it holds.
    pub async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(error) = stopped {
            tracing::error!(%error, "the embedded Kafka broker did not stop cleanly");
        }
    }
}

async fn start_embedded(arguments: &DevArguments, data: &Data) -> Result<EmbeddedBroker, DevError> {
    let listen = arguments.kafka_listen.0;
    let folder = data.broker_folder();
    let start = move || EmbeddedBroker::start(listen, folder.as_deref());
    match tokio::task::spawn_blocking(start).await {
        Ok(Ok(broker)) => Ok(broker),
        Ok(Err(BrokerError::Listen { listen, source })) => {
            Err(DevError::Listen { address: listen, flag: "--kafka-listen", source })
        }
        Ok(Err(error)) => Err(error.into()),
        Err(panic) => Err(BrokerError::Start { message: panic.to_string() }.into()),
    }
}

/// Asks for brokers and topics; blocks in librdkafka, so on a thread of its own.
async fn metadata(
    admin: Arc<AdminClient<DefaultClientContext>>,
) -> Result<Metadata, rdkafka::error::KafkaError> {
    let ask = move || admin.inner().fetch_metadata(None, TIMEOUT);
    tokio::task::spawn_blocking(ask)
        .await
        .unwrap_or_else(|_| Err(rdkafka::error::KafkaError::Canceled))
}
