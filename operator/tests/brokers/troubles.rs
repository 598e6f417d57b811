//! Each kind of trouble at a shop of its own, all of them at once: most of the time is waiting.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use storefront_testkit::{Kafka, eventually};

use crate::{
    broker::{Blackhole, Door, NOBODY, Others},
    world::{LIMIT, Shop, World, on_brokers},
};

/// How long a shop in trouble is watched.
const WATCHED: Duration = Duration::from_secs(15);
/// A look opens some connections: the check that somebody is there, a consumer, an admin client.
const CONNECTIONS_PER_LOOK: usize = 4;
/// At once, and after 10 s.
const LOOKS: usize = 2;

const TOPICS: [&str; 9] = [
    "email-successful",
    "email-successful.analytic-service.dlq",
    "order-successful",
    "order-successful.analytic-service.dlq",
    "order-successful.email-service.dlq",
    "payment-successful",
    "payment-successful.analytic-service.dlq",
    "payment-successful.email-service.dlq",
    "payment-successful.order-service.dlq",
];

/// A shop with brokers of others. `topics` is `spec.kafka.topics`.
fn external(bootstrap: &str, prefix: &str, mut topics: Value) -> Value {
    // One broker holds one copy.
    if topics["replicationFactor"].is_null() {
        topics["replicationFactor"] = json!(1);
    }
    let external = json!({"bootstrapServers": bootstrap});
    on_brokers(&json!({"external": external, "prefix": prefix, "topics": topics}))
}

/// What is said of the shop, without what differs from run to run.
async fn assert_told(shop: &Shop<'_>, prefix: &str, bootstrap: &str) {
    assert_text(shop, &shop.conditions().await.replace(bootstrap, "BROKERS").replace(prefix, ""));
}

fn assert_text(shop: &Shop<'_>, text: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("trouble_{}", shop.name), text);
    });
}

/// Brokers learn from one another what is there, after a moment.
async fn has_all(others: &Others) {
    eventually(LIMIT, "all topics", async || others.topics().keys().eq(TOPICS)).await;
}

/// Nobody knocks again and again while nothing changes.
async fn assert_quiet(door: &Door) {
    let before = door.opened();
    let storm = async || door.opened() - before > LOOKS * CONNECTIONS_PER_LOOK;
    let storm = tokio::time::timeout(WATCHED, eventually(WATCHED * 2, "a storm", storm));
    assert!(storm.await.is_err(), "{} connections in {WATCHED:?}", door.opened() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_is_told_with_what_to_do_makes_no_storm_and_mends() {
    let kafka = storefront_testkit::kafka().await.unwrap();
    let world = World::new("troubles").await;
    let bootstrap = kafka.bootstrap();
    tokio::join!(
        Box::pin(a_topic_of_somebody_else(&world, bootstrap)),
        Box::pin(topics_with_too_many_and_too_few_partitions(&world, bootstrap)),
        Box::pin(more_copies_than_brokers(&world, bootstrap)),
        Box::pin(nobody_listens(&world)),
        Box::pin(packets_are_dropped(&world)),
        Box::pin(a_broker_hangs_and_others_take_its_place(&world, bootstrap)),
        Box::pin(two_shops_with_one_prefix(&world, bootstrap)),
        Box::pin(silent_brokers_that_may_be_those_of_another_shop(&world, bootstrap)),
        Box::pin(two_shops_with_one_prefix_at_once(&world, bootstrap)),
        Box::pin(topics_are_changed_by_hand_and_go_with_the_shop(&world, bootstrap)),
        Box::pin(a_shop_is_deleted_and_keeps_its_topics(&world, bootstrap)),
        Box::pin(a_shop_is_deleted_while_its_brokers_are_gone(&world)),
        Box::pin(all_together_are_few_attempts(&world)),
    );
}

async fn a_topic_of_somebody_else(world: &World, bootstrap: &str) {
    let others = Others::new(bootstrap);
    others.make("order-successful", 3).await;
    let (door, shop) = (Door::to(bootstrap).await, world.shop("foreign"));
    let address = door.address.to_string();
    shop.apply(&external(&address, &others.prefix, json!({}))).await;
    shop.comes_to("TopicsReady", "False", "Conflict").await;
    assert_told(&shop, &others.prefix, &address).await;
    assert!(!shop.ledger().await.contains(&format!("{}order-successful", others.prefix)));
    assert_quiet(&door).await;
    shop.apply(&external(&address, &others.prefix, json!({"adopt": true}))).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
    assert!(shop.ledger().await.contains(&format!("{}order-successful", others.prefix)));
    has_all(&others).await;
}

async fn topics_with_too_many_and_too_few_partitions(world: &World, bootstrap: &str) {
    let others = Others::new(bootstrap);
    others.make("payment-successful", 5).await;
    others.make("order-successful", 2).await;
    let (door, shop) = (Door::to(bootstrap).await, world.shop("partitions"));
    let address = door.address.to_string();
    let spec = |topics| external(&address, &others.prefix, topics);
    shop.apply(&spec(json!({"adopt": true}))).await;
    shop.comes_to("TopicsReady", "False", "MorePartitions").await;
    assert_told(&shop, &others.prefix, &address).await;
    assert_quiet(&door).await;
    assert_eq!(others.topics()["order-successful"], 2);
    // As the message says: the larger number for all, which growth allows.
    shop.apply(&spec(json!({"adopt": true, "partitions": 5}))).await;
    shop.comes_to("TopicsReady", "False", "FewerPartitions").await;
    assert_eq!(others.topics()["order-successful"], 2);
    shop.apply(&spec(json!({"adopt": true, "partitions": 5, "allowPartitionGrowth": true}))).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
    let all_five = async || others.topics().values().all(|partitions| *partitions == 5);
    eventually(LIMIT, "five partitions of each", all_five).await;
    eventually(LIMIT, "the status tells of five", async || {
        let status = shop.get().await.unwrap().status.unwrap();
        status.topics.iter().all(|topic| topic.partitions == 5)
    })
    .await;
}

async fn more_copies_than_brokers(world: &World, bootstrap: &str) {
    let others = Others::new(bootstrap);
    let (door, shop) = (Door::to(bootstrap).await, world.shop("copies"));
    let address = door.address.to_string();
    let spec = |copies| external(&address, &others.prefix, json!({"replicationFactor": copies}));
    shop.apply(&spec(3)).await;
    shop.comes_to("TopicsReady", "False", "TooFewBrokers").await;
    assert_told(&shop, &others.prefix, &address).await;
    assert_quiet(&door).await;
    assert_eq!(others.topics().len(), 0, "half a shop's topics are of no use");
    shop.apply(&spec(1)).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
}

async fn nobody_listens(world: &World) {
    let (address, shop) = (NOBODY[0], world.shop("refused"));
    shop.apply(&external(address, "refused.", json!({}))).await;
    shop.comes_to("KafkaReady", "False", "Unreachable").await;
    assert_told(&shop, "refused.", address).await;
}

async fn packets_are_dropped(world: &World) {
    let (hole, shop) = (Blackhole::new(), world.shop("blackhole"));
    let address = hole.address.to_string();
    shop.apply(&external(&address, "blackhole.", json!({}))).await;
    shop.comes_to("KafkaReady", "False", "Unreachable").await;
    assert_told(&shop, "blackhole.", &address).await;
}

async fn a_broker_hangs_and_others_take_its_place(world: &World, bootstrap: &str) {
    let (kafka, others) = (Kafka::private().await.unwrap(), Others::new(bootstrap));
    let (door, shop) = (Door::to(kafka.bootstrap()).await, world.shop("frozen"));
    let address = door.address.to_string();
    let mut spec = external(&address, &others.prefix, json!({}));
    shop.apply(&spec).await;
    shop.comes_to("KafkaReady", "True", "Reachable").await;
    kafka.pause().unwrap();
    // An edit, so that nobody waits for the minute.
    spec["services"]["order"] = json!({"replicas": 2});
    shop.apply(&spec).await;
    shop.comes_to("KafkaReady", "False", "Unreachable").await;
    assert_told(&shop, "-", &address).await;
    assert_quiet(&door).await;
    kafka.resume().unwrap();
    shop.comes_to("KafkaReady", "True", "Reachable").await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
    // What was made at the old ones is ours, and what the new ones have under the same names is not.
    others.make("order-successful", 2).await;
    spec["kafka"]["external"]["bootstrapServers"] = json!(bootstrap);
    shop.apply(&spec).await;
    shop.comes_to("TopicsReady", "False", "Conflict").await;
    assert!(others.topics().keys().eq(TOPICS), "{:?}", others.topics());
    assert_eq!(others.topics()["order-successful"], 2);
    assert!(!shop.ledger().await.contains(&format!("{}order-successful", others.prefix)));
}

/// Whether any part of a shop has been made: one that runs takes events.
async fn runs(world: &World, shop: &str) -> bool {
    let all = world.names("apps/v1", "Deployment").await;
    all.iter().any(|name| name.starts_with(&format!("{shop}-")))
}

async fn two_shops_with_one_prefix(world: &World, bootstrap: &str) {
    let others = Others::new(bootstrap);
    let (elder, younger) = (world.shop("elder"), world.shop("younger"));
    let spec = external(bootstrap, &others.prefix, json!({}));
    elder.apply(&spec).await;
    elder.comes_to("TopicsReady", "True", "AsPlanned").await;
    // By another address, which says nothing of whose brokers they are.
    let door = Door::to(bootstrap).await;
    let address = door.address.to_string();
    younger.apply(&external(&address, &others.prefix, json!({"adopt": true}))).await;
    younger.comes_to("Ready", "False", "Conflict").await;
    assert_told(&younger, &others.prefix, &address).await;
    assert_eq!(younger.ledger().await, Vec::<String>::new());
    assert!(!runs(world, "younger").await, "it takes the other's events");
    // Nor is it made when its brokers are silent for a while: it is known whose they are.
    door.shut(true);
    let asked = door.opened();
    eventually(LIMIT, "its brokers are asked in vain", async || door.opened() > asked).await;
    younger.comes_to("KafkaReady", "False", "Unreachable").await;
    younger.comes_to("Ready", "False", "Conflict").await;
    assert!(!runs(world, "younger").await, "it takes the other's events");
    door.shut(false);
    elder.delete().await;
    elder.is_gone().await;
    younger.comes_to("TopicsReady", "True", "AsPlanned").await;
}

/// It is not known whether they are those of another shop with its prefix.
async fn silent_brokers_that_may_be_those_of_another_shop(world: &World, bootstrap: &str) {
    let others = Others::new(bootstrap);
    let (first, silent) = (world.shop("first"), world.shop("silent"));
    first.apply(&external(bootstrap, &others.prefix, json!({}))).await;
    first.comes_to("TopicsReady", "True", "AsPlanned").await;
    let door = Door::to(bootstrap).await;
    door.shut(true);
    let address = door.address.to_string();
    silent.apply(&external(&address, &others.prefix, json!({}))).await;
    silent.comes_to("Degraded", "True", "BrokersUnknown").await;
    assert_told(&silent, &others.prefix, &address).await;
    assert!(!runs(world, "silent").await);
    door.shut(false);
    silent.comes_to("Ready", "False", "Conflict").await;
    assert!(!runs(world, "silent").await);
}

/// Of two that come together, neither knows yet which brokers the other one has.
async fn two_shops_with_one_prefix_at_once(world: &World, bootstrap: &str) {
    let others = Others::new(bootstrap);
    let doors = [Door::to(bootstrap).await, Door::to(bootstrap).await];
    let shops = ["together-a", "together-b"].map(|name| world.shop(name));
    for (shop, door) in shops.iter().zip(&doors) {
        shop.apply(&external(&door.address.to_string(), &others.prefix, json!({}))).await;
    }
    let [mut made, mut refused] = [None, None];
    eventually(LIMIT, "one is made and the other one refused", async || {
        for shop in &shops {
            let conditions = shop.conditions().await;
            if conditions.contains("TopicsReady=True AsPlanned") {
                made = Some(&shop.name);
            }
            if conditions.contains("Ready=False Conflict") {
                refused = Some(&shop.name);
            }
        }
        made.is_some() && refused.is_some()
    })
    .await;
    assert_ne!(made, refused);
    assert!(!runs(world, refused.unwrap()).await, "it takes the other's events");
}

async fn topics_are_changed_by_hand_and_go_with_the_shop(world: &World, bootstrap: &str) {
    let (others, shop) = (Others::new(bootstrap), world.shop("hands"));
    let mut spec = external(
        bootstrap,
        &others.prefix,
        json!({"deletionPolicy": "Delete", "config": {"retention.ms": 86_400_000}}),
    );
    shop.apply(&spec).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
    let hours = "3600000";
    let theirs = [("retention.ms", hours), ("segment.ms", hours)];
    others.configure("order-successful", &theirs).await;
    eventually(LIMIT, "the change by hand", async || {
        others.config("order-successful", "segment.ms").await == hours
    })
    .await;
    others.delete("email-successful").await;
    spec["services"]["order"] = json!({"replicas": 2});
    shop.apply(&spec).await;
    has_all(&others).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
    eventually(LIMIT, "the setting is as written", async || {
        others.config("order-successful", "retention.ms").await == "86400000"
    })
    .await;
    assert_eq!(others.config("order-successful", "segment.ms").await, hours);
    let lost = format!(
        "{}email-successful was deleted by somebody else and is made anew, empty: what was in it and had not been read is lost",
        others.prefix
    );
    let told = ("Warning".to_owned(), "TopicRecreated".to_owned(), lost);
    eventually(LIMIT, "it is told", async || shop.events().await.contains(&told)).await;
    others.make("unrelated", 1).await;
    shop.delete().await;
    shop.is_gone().await;
    eventually(LIMIT, "its topics are gone", async || others.topics().keys().eq(["unrelated"]))
        .await;
    assert_eq!(shop.ledger().await, Vec::<String>::new());
}

async fn a_shop_is_deleted_and_keeps_its_topics(world: &World, bootstrap: &str) {
    let (others, shop) = (Others::new(bootstrap), world.shop("retains"));
    let spec = external(bootstrap, &others.prefix, json!({}));
    shop.apply(&spec).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
    shop.delete().await;
    shop.is_gone().await;
    has_all(&others).await;
    // The same name finds its own again.
    shop.apply(&spec).await;
    shop.comes_to("TopicsReady", "True", "AsPlanned").await;
}

async fn a_shop_is_deleted_while_its_brokers_are_gone(world: &World) {
    let (address, shop) = (NOBODY[1], world.shop("orphan"));
    // As a shop has it whose brokers were there once.
    let ledger = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "orphan-topics", "labels": {
            "app.kubernetes.io/instance": "orphan",
            "app.kubernetes.io/managed-by": "storefront-operator",
        }},
        "data": {"topics": "order-successful"},
    });
    world.apply(&ledger).await;
    shop.apply(&external(address, "", json!({"deletionPolicy": "Delete"}))).await;
    shop.comes_to("KafkaReady", "False", "Unreachable").await;
    let began = Instant::now();
    shop.delete().await;
    shop.is_gone().await;
    let took = began.elapsed().as_secs();
    assert!((50..80).contains(&took), "{took} s");
    let events = shop.events().await;
    let told = events.iter().find(|(_, reason, _)| reason == "TopicsLeft");
    let (type_, _, note) = told.unwrap_or_else(|| panic!("{events:#?}"));
    assert_eq!(type_, "Warning");
    assert_text(&shop, &note.replace(address, "BROKERS"));
    assert_eq!(shop.ledger().await, ["order-successful"], "it is known whose they are");
}

/// While the shops that nobody mends are in trouble, the operator does next to nothing.
async fn all_together_are_few_attempts(world: &World) {
    for name in ["refused", "blackhole"] {
        world.shop(name).comes_to("KafkaReady", "False", "Unreachable").await;
    }
    world.shop("orphan").is_gone().await;
    let shops = 13;
    let before = world.attempts();
    let storm = async || world.attempts() - before > shops * 3;
    let storm = tokio::time::timeout(WATCHED, eventually(WATCHED * 2, "a storm", storm));
    assert!(storm.await.is_err(), "{} attempts in {WATCHED:?}", world.attempts() - before);
}
