//! An operator that would run brokers or a database of another release than those who wrote the disks: it leaves
//! them as they are, says why, and what to write.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::{Value, json};
use storefront_operator::render::Options;

use crate::world::{Operator, Place, until};

/// The image and the version of a set.
async fn set(place: &Place, name: &str) -> (String, Option<String>) {
    let set = place.api::<StatefulSet>().get(name).await.unwrap();
    let template = set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    (template.containers[0].image.clone().unwrap(), set.resource_version())
}

/// The message of the condition with that reason.
async fn message(place: &Place, reason: &str) -> String {
    until(reason, async || place.says(reason).await).await;
    let conditions = place.shop().await.unwrap().status.unwrap().conditions;
    conditions.into_iter().find(|condition| condition.reason == reason).unwrap().message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_operator_does_not_make_brokers_and_databases_older() {
    let place = Place::new().await;
    let start = |kafka: &str, postgres: &str| {
        let options = Options {
            kafka_version: kafka.into(),
            postgres_image: format!("docker.io/library/postgres:{postgres}"),
            ..Options::default()
        };
        Operator::start_with(place.client.clone(), &place.namespace, options)
    };
    let spec = |kafka: Value, database: Value| {
        json!({
            "payment": {"sandbox": {}},
            "kafka": {"managed": kafka},
            "database": {"managed": database},
        })
    };
    let operator = start("4.1.0", "17.6");
    place.apply(&spec(json!({}), json!({}))).await;
    operator.settles(&place).await;
    operator.killed().await;

    // A newer one rolls both.
    let operator = start("4.2.0", "17.7");
    until("newer brokers", async || set(&place, "demo-kafka").await.0.ends_with(":4.2.0")).await;
    operator.settles(&place).await;
    operator.killed().await;
    let (kafka, database) = (set(&place, "demo-kafka").await, set(&place, "demo-database").await);
    assert!(database.0.ends_with(":17.7"), "{}", database.0);

    // And back again: within a release that is no harm, else it is refused.
    let operator = start("4.1.1", "17.7");
    insta::assert_snapshot!(message(&place, "OlderKafka").await, @"the brokers run Kafka 4.2.0, and 4.1.1 is older: it may not read what is on their disks: write kafka.managed.version: 4.2.0");
    assert_eq!(set(&place, "demo-kafka").await, kafka);
    place.apply(&spec(json!({"version": "4.2.0"}), json!({}))).await;
    operator.settles(&place).await;
    assert!(!place.says("OlderKafka").await);
    assert_eq!(set(&place, "demo-kafka").await, kafka);
    // Whoever names an image goes back on purpose.
    let image = "docker.io/apache/kafka:4.1.1";
    place.apply(&spec(json!({"version": "4.2.0", "image": image}), json!({}))).await;
    operator.settles(&place).await;
    assert_eq!(set(&place, "demo-kafka").await.0, image);
    operator.killed().await;

    // Files of one PostgreSQL are of no use to another one, older or newer.
    let operator = start("4.2.0", "18.1");
    insta::assert_snapshot!(message(&place, "OtherPostgres").await, @"the database is run by docker.io/library/postgres:17.7, and docker.io/library/postgres:18.1 cannot read its files: write database.managed.image: docker.io/library/postgres:17.7, and move to another PostgreSQL by pg_dump");
    assert_eq!(set(&place, "demo-database").await, database);
    let stays = json!({"image": "docker.io/library/postgres:17.7"});
    place.apply(&spec(json!({"version": "4.2.0", "image": image}), stays)).await;
    operator.settles(&place).await;
    assert_eq!(set(&place, "demo-database").await, database);
}
