//! The few client calls that the tests need, each with its limit.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, Headers, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

const LIMIT: Duration = Duration::from_secs(20);

pub struct Client {
    config: ClientConfig,
}

impl Client {
    pub fn new(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("allow.auto.create.topics", "false")
            .set("message.timeout.ms", "15000")
            .set("enable.idempotence", "true")
            // The client itself must not refuse what these tests ask of the broker.
            .set("message.max.bytes", "5000000")
            // An unknown topic is an error at once instead of after 30 s of hope.
            .set("topic.metadata.propagation.max.ms", "500")
            .set("log_level", "0");
        Self { config }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config.create().unwrap()
    }

    pub async fn create(
        &self,
        topic: &str,
        settings: &[(&str, &str)],
    ) -> Result<(), RDKafkaErrorCode> {
        let new = settings
            .iter()
            .fold(NewTopic::new(topic, 1, TopicReplication::Fixed(1)), |new, (k, v)| new.set(k, v));
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let results = self.admin().create_topics([&new], &options).await.unwrap();
        results.into_iter().next().unwrap().map(|_| ()).map_err(|(_, code)| code)
    }

    pub async fn setting(&self, topic: &str, name: &str) -> Option<String> {
        let resources = [ResourceSpecifier::Topic(topic)];
        let found = self.admin().describe_configs(&resources, &AdminOptions::new()).await.unwrap();
        found.into_iter().next().unwrap().unwrap().get(name).unwrap().value.clone()
    }

    pub async fn send(&self, topic: &str, values: &[&[u8]]) -> Result<(), KafkaError> {
        let producer: FutureProducer = self.config.create().unwrap();
        for value in values {
            let header = Header { key: "ce_id", value: Some("7") };
            let record = FutureRecord::to(topic)
                .key("user")
                .payload(*value)
                .headers(OwnedHeaders::new().insert(header));
            producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
        }
        Ok(())
    }

    fn consumer(&self, group: &str, tells_end: &str) -> BaseConsumer {
        let mut config = self.config.clone();
        config
            .set("group.id", group)
            .set("enable.partition.eof", tells_end)
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "20")
            .set("enable.auto.commit", "false");
        config.create().unwrap()
    }

    /// All values of a topic of one partition, from its start to its end.
    pub fn read(&self, topic: &str) -> Vec<Vec<u8>> {
        let consumer = self.consumer("reader", "true");
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&all).unwrap();
        let mut values = Vec::new();
        loop {
            match consumer.poll(LIMIT).expect("the end of the topic in time") {
                Ok(message) => {
                    assert_eq!(message.key(), Some(&b"user"[..]));
                    assert_eq!(message.headers().unwrap().get(0).value, Some(&b"7"[..]));
                    values.push(message.payload().unwrap().to_vec());
                }
                Err(KafkaError::PartitionEOF(_)) => return values,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Joins the group, reads `count` records, commits behind them and leaves.
    pub fn consume(&self, group: &str, topic: &str, count: usize) -> Vec<Vec<u8>> {
        let consumer = self.consumer(group, "false");
        consumer.subscribe(&[topic]).unwrap();
        let mut values = Vec::new();
        let deadline = Instant::now() + LIMIT;
        while values.len() < count {
            // A poll also ends early, with nothing, when the group re-balances.
            let left = deadline.checked_duration_since(Instant::now()).expect("records in time");
            if let Some(message) = consumer.poll(left) {
                let message = message.unwrap();
                values.push(message.payload().unwrap().to_vec());
                consumer.commit_message(&message, CommitMode::Sync).unwrap();
            }
        }
        values
    }

    pub fn topics(&self) -> Vec<String> {
        let metadata = self.consumer("reader", "false").fetch_metadata(None, LIMIT).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }
}
