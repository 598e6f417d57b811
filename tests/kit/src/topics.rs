//! Topics for tests, on whichever broker they use.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

const LIMIT: Duration = Duration::from_secs(15);

/// A new prefix for the topics and groups of one test; brokers are shared between tests.
pub fn prefix() -> String {
    format!("t{:08x}-", fastrand::u32(..))
}

pub(crate) fn admin(bootstrap: &str) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.metrics.push", "false")
        // The broker may just be starting: ask again soon.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "250");
    Ok(config.create()?)
}

/// Makes topics with so many partitions each, one replica, and answers when the broker knows them.
pub async fn create_topics(bootstrap: &str, names: &[&str], partitions: i32) -> anyhow::Result<()> {
    let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    create(bootstrap, names.iter().copied().map(topic).collect()).await
}

/// The same on three brokers, and two of them must have a message before it counts.
pub async fn create_replicated_topics(
    bootstrap: &str,
    names: &[&str],
    partitions: i32,
) -> anyhow::Result<()> {
    let topic = |name| {
        NewTopic::new(name, partitions, TopicReplication::Fixed(3)).set("min.insync.replicas", "2")
    };
    create(bootstrap, names.iter().copied().map(topic).collect()).await
}

async fn create(bootstrap: &str, topics: Vec<NewTopic<'_>>) -> anyhow::Result<()> {
    let options = AdminOptions::new().operation_timeout(Some(LIMIT));
    for result in admin(bootstrap)?.create_topics(&topics, &options).await? {
        result.map_err(|(topic, code)| anyhow::anyhow!("could not create {topic}: {code}"))?;
    }
    Ok(())
}

/// Whether the broker would take a new topic: it is up, has a controller and is not fenced.
pub(crate) async fn would_create(admin: &AdminClient<DefaultClientContext>) -> bool {
    let options =
        AdminOptions::new().validate_only(true).request_timeout(Some(Duration::from_secs(1)));
    let probe = prefix();
    let topic = NewTopic::new(&probe, 1, TopicReplication::Fixed(1));
    matches!(admin.create_topics([&topic], &options).await.as_deref(), Ok([Ok(_)]))
}
