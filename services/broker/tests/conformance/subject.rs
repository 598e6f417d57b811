//! The broker under test, and the few calls that the checks are made of.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    pin::Pin,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord},
};
use storefront_broker::EmbeddedBroker;

/// For whatever should come in a moment.
pub const LIMIT: Duration = Duration::from_secs(40);

/// A broker that other checks use at the same time; what is one check's own has its prefix.
pub struct Subject {
    pub bootstrap: String,
    prefix: String,
}

/// Where the embedded broker of this process listens.
pub fn embedded() -> String {
    static BROKER: OnceLock<EmbeddedBroker> = OnceLock::new();
    let start = || EmbeddedBroker::start((Ipv4Addr::LOCALHOST, 0).into(), None).unwrap();
    BROKER.get_or_init(start).bootstrap().to_owned()
}

pub fn apache() -> String {
    runtime().block_on(storefront_testkit::kafka()).unwrap().bootstrap().to_owned()
}

/// A record as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub value: Vec<u8>,
}

impl Subject {
    fn at(bootstrap: &str) -> Self {
        Self { bootstrap: bootstrap.into(), prefix: storefront_testkit::prefix() }
    }

    /// The name of a topic, a group or a transactional id of this check alone.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn config(&self, more: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.propagation.max.ms", "500")
            .set("log_level", "0");
        for (name, value) in more {
            config.set(*name, *value);
        }
        config
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config(&[]).create().unwrap()
    }

    pub fn options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
    }

    pub async fn try_create(
        &self,
        topic: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), RDKafkaErrorCode> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
        let results = self.admin().create_topics([&new], &Self::options()).await.unwrap();
        results.into_iter().next().unwrap().map(|_| ()).map_err(|(_, code)| code)
    }

    /// A new topic, known to the broker with all its partitions.
    pub async fn topic(&self, name: &str, partitions: i32) -> String {
        let topic = self.name(name);
        // For ever: some checks send records of years ago, which would be deleted within a second.
        self.try_create(&topic, partitions, &[("retention.ms", "-1")]).await.unwrap();
        self.eventually("the topic's partitions", || self.partitions(&topic) == partitions);
        topic
    }

    /// How many partitions a topic has by the broker's word; 0 when there is none.
    pub fn partitions(&self, topic: &str) -> i32 {
        let metadata = self.admin().inner().fetch_metadata(None, LIMIT).unwrap();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap())
    }

    pub fn producer(&self, more: &[(&str, &str)]) -> FutureProducer {
        let common = [("message.timeout.ms", "30000"), ("enable.idempotence", "true")];
        self.config(&[&common, more].concat()).create().unwrap()
    }

    /// Sends one record, and where it stands then.
    pub async fn send(
        &self,
        producer: &FutureProducer,
        topic: &str,
        partition: i32,
        key: &str,
        value: &[u8],
    ) -> Result<(i32, i64), KafkaError> {
        let record = FutureRecord::to(topic).partition(partition).key(key).payload(value);
        let sent = producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
        Ok((sent.partition, sent.offset))
    }

    /// Sends so many records, to one of the partitions after the other.
    pub async fn spread(
        &self,
        producer: &FutureProducer,
        topic: &str,
        partitions: i32,
        count: i32,
    ) {
        for number in 0..count {
            self.send(producer, topic, number % partitions, "k", b"v").await.unwrap();
        }
    }

    pub fn consumer(&self, group: &str, more: &[(&str, &str)]) -> BaseConsumer {
        let common = [
            ("group.id", group),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "100"),
        ];
        self.config(&[&common, more].concat()).create().unwrap()
    }

    /// A consumer of one partition from its beginning, in no group.
    pub fn reader(&self, topic: &str, more: &[(&str, &str)]) -> BaseConsumer {
        let consumer = self.consumer(&self.name("reader"), more);
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&place).unwrap();
        consumer
    }

    /// Everything on a topic, each partition from its beginning to its end.
    pub fn read_all(&self, topic: &str, isolation: &str) -> Vec<Seen> {
        let more = [("isolation.level", isolation), ("enable.partition.eof", "true")];
        let consumer = self.consumer(&self.name("reader"), &more);
        let partitions = self.partitions(topic);
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();
        let (mut seen, mut ended) = (Vec::new(), BTreeSet::new());
        let deadline = Instant::now() + LIMIT;
        while ended.len() < all.count() {
            assert!(Instant::now() < deadline, "{topic}: the ends of {ended:?} only");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => seen.push(Seen::of(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(ended.insert(partition)),
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => {}
            }
        }
        seen
    }

    /// The next `count` records of a consumer; fewer when no more come in time.
    pub fn take(consumer: &BaseConsumer, count: usize) -> Vec<Seen> {
        let (mut seen, deadline) = (Vec::new(), Instant::now() + LIMIT);
        while seen.len() < count && Instant::now() < deadline {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => seen.push(Seen::of(&message)),
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        seen
    }

    /// That nothing more comes within a moment.
    pub fn is_dry(consumer: &BaseConsumer) -> bool {
        consumer.poll(Duration::from_millis(700)).is_none()
    }

    #[expect(clippy::unused_self, reason = "reads as what the subject does")]
    pub fn eventually(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !condition() {
            assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Seen {
    fn of(message: &impl Message) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            value: message.payload().unwrap_or_default().to_vec(),
        }
    }
}

/// A check by its name.
pub type Check = (&'static str, fn(Subject) -> Pin<Box<dyn Future<Output = ()>>>);

/// Runs all of them at the same time, each in a thread of its name: most of what they do is to wait.
pub fn at_once(bootstrap: &str, checks: &[Check]) {
    let started: Vec<_> = checks
        .iter()
        .map(|(name, check)| {
            let (subject, check) = (Subject::at(bootstrap), *check);
            let run = move || {
                let in_time = async { tokio::time::timeout(6 * LIMIT, check(subject)).await };
                runtime().block_on(in_time).expect("it hangs");
            };
            (*name, thread::Builder::new().name((*name).into()).spawn(run).unwrap())
        })
        .collect();
    let failed = started.into_iter().filter_map(|(name, run)| run.join().err().map(|_| name));
    let failed: Vec<&str> = failed.collect();
    assert!(failed.is_empty(), "these did not hold: {failed:?}");
}

/// Of a thread that also waits for Kafka's client without it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs each check on both brokers.
macro_rules! on_both {
    ($($name:ident)+) => {
        const CHECKS: &[crate::subject::Check] =
            &[$((stringify!($name), |subject| Box::pin(async move { $name(&subject).await }))),+];

        #[test]
        fn on_the_embedded_broker() {
            crate::subject::at_once(&crate::subject::embedded(), CHECKS);
        }

        #[test]
        fn on_apache_kafka() {
            crate::subject::at_once(&crate::subject::apache(), CHECKS);
        }
    };
}
pub(crate) use on_both;
