//! The brokers' side of an attempt that is cut off: between its calls that make, grow, set and delete topics.
//! What comes after ends in the state of a shop that nothing has happened to, and nothing that was on a
//! topic is lost.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, ConfigSource, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use storefront_testkit::{Kafka, Moment, Severer, eventually_some};

use crate::world::{LIMIT, Operator, Place, SHOP, until};

/// A life of a shop asks brokers for some changes, and for no more than this.
const CHANGES_MIN: usize = 5;
const CHANGES_MAX: usize = 20;
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// Deleted by hand, so that an edit makes one, grows the others and sets something of them.
const LOST: &str = "email-successful";
const KEPT: &str = "payment-successful";

/// Partitions, settings and records of each topic with the shop's prefix.
type Topics = BTreeMap<String, (usize, BTreeMap<String, String>, i64)>;

/// A shop with topics of its own on brokers that it reaches by a way that can be severed.
struct Life {
    place: Place,
    severer: Severer,
    prefix: String,
    admin: AdminClient<DefaultClientContext>,
    direct: ClientConfig,
}

impl Life {
    async fn begin(kafka: &Kafka, severer: &Severer) -> Self {
        let place = Place::new().await;
        let mut direct = ClientConfig::new();
        direct.set("bootstrap.servers", kafka.bootstrap());
        let prefix = format!("{}.", place.namespace);
        let admin = direct.create().unwrap();
        Self { place, severer: severer.clone(), prefix, admin, direct }
    }

    fn spec(&self, topics: &Value) -> Value {
        let external = json!({"bootstrapServers": self.severer.bootstrap()});
        json!({
            "payment": {"sandbox": {}},
            "kafka": {"external": external, "prefix": self.prefix, "topics": topics},
        })
    }

    fn operator(&self) -> Operator {
        Operator::start(self.place.client.clone(), &self.place.namespace)
    }

    fn options() -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(CALL_LIMIT))
    }

    async fn topics(&self) -> Topics {
        // A topic may go while it is looked at.
        eventually_some(CALL_LIMIT, "all topics", async || self.try_topics().await.ok()).await
    }

    async fn try_topics(&self) -> KafkaResult<Topics> {
        let client: BaseConsumer = self.direct.create()?;
        let metadata = client.fetch_metadata(None, CALL_LIMIT)?;
        let mut topics = Topics::new();
        for topic in metadata.topics() {
            let Some(name) = topic.name().strip_prefix(&self.prefix) else { continue };
            let resource = ResourceSpecifier::Topic(topic.name());
            let found = self.admin.describe_configs([&resource], &Self::options()).await?;
            let found = found[0].as_ref().map_err(|code| KafkaError::AdminOp(*code))?;
            let entries = &found.entries;
            let set = entries.iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
            let set = set.map(|entry| (entry.name.clone(), entry.value.clone().unwrap()));
            let mut records = 0;
            for partition in topic.partitions() {
                records += client.fetch_watermarks(topic.name(), partition.id(), CALL_LIMIT)?.1;
            }
            let facts = (topic.partitions().len(), set.collect(), records);
            topics.insert(name.to_owned(), facts);
        }
        Ok(topics)
    }

    /// The topics that are written down as the shop's.
    async fn ledger(&self) -> Vec<String> {
        let map = self.place.api::<ConfigMap>().get_opt(&format!("{SHOP}-topics")).await.unwrap();
        let text = map.and_then(|map| map.data?.get("topics").cloned()).unwrap_or_default();
        let names = text.lines().map(|name| name.trim_start_matches(&self.prefix).to_owned());
        names.collect()
    }

    /// Whether the operator says so of the manifest as it is. A look that got no answer comes again.
    async fn is_as_planned(&self) -> bool {
        let Some(shop) = self.place.shop().await else { return false };
        let conditions = shop.status.map(|status| status.conditions).unwrap_or_default();
        ["KafkaReady", "TopicsReady"].iter().all(|type_| {
            let mut found = conditions.iter().filter(|condition| condition.type_ == *type_);
            found.any(|found| {
                found.status == "True" && found.observed_generation == shop.metadata.generation
            })
        })
    }

    /// Something happens, and the operator is killed where its way to the brokers is severed, if it is; another
    /// one takes up what it has left.
    async fn step(&self, begin: impl AsyncFnOnce(), end: impl AsyncFn(&Operator)) -> bool {
        let operator = self.operator();
        begin().await;
        let was_severed = tokio::select! {
            () = self.severer.severed() => true,
            () = end(&operator) => false,
        };
        operator.killed().await;
        if was_severed {
            self.severer.mend();
            end(&self.operator()).await;
        }
        was_severed
    }

    /// From the first manifest to the end; what was there after each step, and how often it was severed.
    async fn lived(&self) -> (Vec<(Topics, Vec<String>)>, usize) {
        let (mut seen, mut severed) = (Vec::new(), 0);
        let settles = async |operator: &Operator| {
            operator.settles(&self.place).await;
            until("the topics are as planned", async || self.is_as_planned().await).await;
        };
        let one = json!({"replicationFactor": 1, "partitions": 1});
        let install = async || self.place.apply(&self.spec(&one)).await;
        severed += usize::from(self.step(install, settles).await);
        seen.push((self.topics().await, self.ledger().await));

        let producer: FutureProducer = self.direct.create().unwrap();
        let kept = format!("{}{KEPT}", self.prefix);
        let record = FutureRecord::to(&kept).key("ada").payload("paid");
        producer.send(record, CALL_LIMIT).await.unwrap();
        let lost = format!("{}{LOST}", self.prefix);
        self.admin.delete_topics(&[&lost], &Self::options()).await.unwrap()[0].as_ref().unwrap();
        until("the topic is gone", async || !self.topics().await.contains_key(LOST)).await;
        let three = json!({
            "replicationFactor": 1, "partitions": 3, "allowPartitionGrowth": true,
            "config": {"retention.ms": 86_400_000}, "deletionPolicy": "Delete",
        });
        let edit = async || self.place.apply(&self.spec(&three)).await;
        severed += usize::from(self.step(edit, settles).await);
        // A broker knows what the controller has taken a moment later.
        until("the broker tells of the edit", async || {
            let topics = self.topics().await;
            let day = |config: &BTreeMap<String, String>| {
                config.get("retention.ms").is_some_and(|time| time == "86400000")
            };
            topics.values().filter(|topic| day(&topic.1)).count() == 3
        })
        .await;
        seen.push((self.topics().await, self.ledger().await));

        let is_gone = async |_: &Operator| {
            until("the shop is gone", async || self.place.shop().await.is_none()).await;
        };
        severed += usize::from(self.step(async || self.place.delete().await, is_gone).await);
        until("its topics are gone", async || self.topics().await.is_empty()).await;
        seen.push((self.topics().await, self.ledger().await));
        (seen, severed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_cut_off_between_calls_to_the_brokers_is_finished_by_the_next_start() {
    let (kafka, severers) = Kafka::private_with_severers::<4>().await.unwrap();
    let whole = Life::begin(&kafka, &severers[0]).await;
    let (fresh, _) = whole.lived().await;
    let changes = severers[0].changes();
    println!("a life has {changes} changes at the brokers");
    assert!((CHANGES_MIN..CHANGES_MAX).contains(&changes), "{changes}");
    assert_eq!(fresh[1].0[KEPT].2, 1, "the record is there");

    let lanes = severers.iter().enumerate().map(async |(lane, severer)| {
        let moment = [Moment::Before, Moment::After][lane % 2];
        for n in (1..CHANGES_MAX).skip(lane / 2).step_by(2) {
            let life = Life::begin(&kafka, severer).await;
            let before = severer.changes();
            severer.sever(moment, before + n);
            let lived = tokio::time::timeout(LIMIT * 2, life.lived()).await;
            let (seen, severed) = lived.unwrap_or_else(|_| panic!("{moment:?} change {n}: no end"));
            assert!(seen == fresh, "{moment:?} change {n}: {seen:#?}, and not {fresh:#?}");
            // Lives differ by a change or two: a call that a busy broker has not done at once is made again.
            if severed == 0 {
                let asked = severer.changes() - before;
                assert!(asked < n && n > CHANGES_MIN, "{moment:?} change {n} of {asked}: no end");
                break;
            }
        }
    });
    join_all(lanes).await;
}
