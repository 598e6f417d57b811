//! Where a scenario takes place: a broker, a place for a database, topics of its own.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, Headers as _, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use storefront_broker::EmbeddedBroker;
use storefront_contract::{
    ServiceId, Shop, Topic,
    settings::{Common, DatabaseSettings, DatabaseUrl, KafkaSecurity, KafkaSettings},
};
use storefront_runtime::{Database, DatabaseError, Migration, Service, Shutdown};
use storefront_testkit::Mute;
use tokio::net::TcpListener;

/// Long enough for two very busy cores, short enough to see a hang.
pub const LIMIT: Duration = Duration::from_secs(120);
pub const PARTITIONS: i32 = 3;

/// Whose database and events these are.
pub fn shop() -> Shop {
    "default/demo".parse().unwrap()
}

/// An empty place for one service's database.
pub enum Store {
    Sqlite(tempfile::TempDir),
    Postgres { url: String },
}

impl Store {
    pub fn sqlite() -> anyhow::Result<Self> {
        Ok(Self::Sqlite(tempfile::tempdir()?))
    }

    pub async fn embedded() -> anyhow::Result<Self> {
        std::future::ready(Self::sqlite()).await
    }

    pub async fn real() -> anyhow::Result<Self> {
        let url = storefront_testkit::postgres().await?.database().await?;
        Ok(Self::Postgres { url })
    }

    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(folder) => Some(folder.path().join("test.db")),
            Self::Postgres { .. } => None,
        }
    }

    pub fn settings(&self) -> DatabaseSettings {
        let url = match (self.file(), self) {
            (Some(file), _) => format!("sqlite:{}", file.display()),
            (None, Self::Postgres { url }) => url.clone(),
            (None, Self::Sqlite(_)) => unreachable!("SQLite has a file"),
        };
        DatabaseSettings { url: DatabaseUrl::Plain(url), max_connections: 8 }
    }

    pub async fn try_open(
        &self,
        migrations: &'static [Migration],
    ) -> Result<Database, DatabaseError> {
        Database::open(&self.settings(), &shop(), ServiceId::Order, migrations).await
    }

    pub async fn open(&self, migrations: &'static [Migration]) -> Database {
        self.try_open(migrations).await.unwrap()
    }
}

/// A broker and a place for a database.
pub struct World {
    bootstrap: String,
    /// How services reach the broker, when it is another way than the test's own.
    pub secured: Option<(String, KafkaSecurity)>,
    /// Ends with the test.
    _broker: Option<EmbeddedBroker>,
    pub store: Store,
    pub prefix: String,
}

/// A record as it stands in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn key(&self) -> &str {
        std::str::from_utf8(self.key.as_deref().unwrap_or_default()).unwrap()
    }
}

/// A record to be sent.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl World {
    pub async fn embedded() -> anyhow::Result<Self> {
        let broker = EmbeddedBroker::start(([127, 0, 0, 1], 0).into(), None)?;
        let bootstrap = broker.bootstrap().to_owned();
        Self::new(bootstrap, Some(broker), Store::sqlite()?).await
    }

    /// Behind something that can keep the broker from hearing what clients ask.
    pub async fn behind(mute: (Mute, TcpListener)) -> anyhow::Result<Self> {
        let (mute, listener) = mute;
        let (listen, advertised) = (([127, 0, 0, 1], 0).into(), Some(mute.address()));
        let broker = EmbeddedBroker::start_behind(listen, advertised, None)?;
        mute.carry(listener, broker.address().to_string());
        let bootstrap = broker.bootstrap().to_owned();
        Self::new(bootstrap, Some(broker), Store::sqlite()?).await
    }

    pub async fn real() -> anyhow::Result<Self> {
        let bootstrap = storefront_testkit::kafka().await?.bootstrap().to_owned();
        Self::new(bootstrap, None, Store::real().await?).await
    }

    /// At a broker that the test may kill.
    pub async fn at(bootstrap: &str, store: Store) -> anyhow::Result<Self> {
        Self::new(bootstrap.to_owned(), None, store).await
    }

    async fn new(
        bootstrap: String,
        broker: Option<EmbeddedBroker>,
        store: Store,
    ) -> anyhow::Result<Self> {
        let prefix = storefront_testkit::prefix();
        let world = Self { bootstrap, secured: None, _broker: broker, store, prefix };
        let names = world.kafka().names();
        let dead_letters = names.dead_letters().into_iter().map(|(.., name)| name);
        let topics: Vec<String> =
            Topic::ALL.into_iter().map(|topic| names.topic(topic)).chain(dead_letters).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        storefront_testkit::create_topics(&world.bootstrap, &topics, PARTITIONS).await?;
        Ok(world)
    }

    pub fn kafka(&self) -> KafkaSettings {
        let plain = || (self.bootstrap.clone(), KafkaSecurity::default());
        let (bootstrap, security) = self.secured.clone().unwrap_or_else(plain);
        KafkaSettings { brokers: vec![bootstrap], prefix: self.prefix.clone(), security }
    }

    pub fn topic(&self, topic: Topic) -> String {
        self.kafka().names().topic(topic)
    }

    /// Where the order service's dead letters go.
    pub fn dead_letters(&self) -> String {
        self.kafka().names().dead_letter(Topic::PaymentSuccessful, ServiceId::Order).unwrap()
    }

    pub fn service(shutdown: Shutdown) -> Service {
        let common = Common {
            shop: shop(),
            http_listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            drain_ms: 0,
        };
        Service::new(ServiceId::Order, &common, shutdown)
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("enable.metrics.push", "false");
        config
    }

    pub async fn create_topic(&self, name: &str, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        // A topic that was just deleted may not be gone yet.
        storefront_testkit::eventually(LIMIT, "a topic", async || {
            let result = self.admin().create_topics([&topic], &options).await;
            matches!(result.as_deref(), Ok([Ok(_)]))
        })
        .await;
        Ok(())
    }

    /// Deletes a topic and makes another one of its name.
    pub async fn replace_topic(&self, name: &str) -> anyhow::Result<()> {
        self.delete_topic(name).await?;
        self.create_topic(name, &[]).await?;
        // The controller knows it before the broker does, which may still take records for the one that
        // was deleted, and acknowledge them, and drop them.
        let consumer: BaseConsumer = self.config().create()?;
        storefront_testkit::eventually(LIMIT, "an empty topic", async || {
            (0..PARTITIONS).all(|n| matches!(watermarks(&consumer, name, n), Ok((0, 0))))
        })
        .await;
        Ok(())
    }

    async fn delete_topic(&self, name: &str) -> anyhow::Result<()> {
        let results = self.admin().delete_topics(&[name], &AdminOptions::new()).await?;
        for result in results {
            result.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        Ok(())
    }

    /// Sends records one after the other, in their order.
    pub async fn send(&self, topic: &str, records: &[Sent]) -> anyhow::Result<()> {
        let producer: FutureProducer = self
            .config()
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1")
            .create()?;
        let mut reports = Vec::with_capacity(records.len());
        for sent in records {
            let headers = sent.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_ref() })
            });
            let mut record: FutureRecord<'_, Vec<u8>, Vec<u8>> =
                FutureRecord::to(topic).headers(headers);
            record.partition = sent.partition;
            record.key = sent.key.as_ref();
            record.payload = sent.payload.as_ref();
            reports.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for report in reports {
            report.await?.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    /// Everything that stands in a topic now, each partition in its order.
    pub fn read(&self, topic: &str) -> anyhow::Result<Vec<Seen>> {
        let consumer: BaseConsumer =
            self.config().set("group.id", "nobody").set("enable.auto.commit", "false").create()?;
        let mut list = TopicPartitionList::new();
        let mut left = 0;
        for partition in 0..PARTITIONS {
            let (low, high) = watermarks(&consumer, topic, partition)?;
            left += high - low;
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&list)?;
        let mut seen = Vec::new();
        while left > 0 {
            let message =
                consumer.poll(LIMIT).ok_or_else(|| anyhow::anyhow!("nothing comes"))??;
            left -= 1;
            let headers = message.headers().map(|headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect()
            });
            seen.push(Seen {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                headers: headers.unwrap_or_default(),
            });
        }
        seen.sort_by_key(|seen| (seen.partition, seen.offset));
        Ok(seen)
    }
}

/// A topic that was just made may not have its leaders yet.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> anyhow::Result<(i64, i64)> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match consumer.fetch_watermarks(topic, partition, LIMIT) {
            Ok(marks) => return Ok(marks),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => {}
        }
    }
}
