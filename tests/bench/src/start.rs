//! How long each service takes from nothing to its first work, and what it holds at rest, beside its twin.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use storefront_contract::{Names, ServiceId, Topic};
use storefront_testkit::{create_topics, free_ports, measure::machine, prefix, produce};

use crate::{
    Options, checkout,
    events::{self, PARTITIONS},
    node,
    process::Process,
    programs,
    report::{median, table},
    servers::Servers,
};

const LIMIT: Duration = Duration::from_secs(60);
/// After the first work, until the memory at rest is read.
const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct Round {
    seconds: f64,
    memory_mb: f64,
}

pub async fn measure(servers: &Servers, options: &Options) -> Result<String> {
    let mut rows = Vec::new();
    for id in ServiceId::ALL {
        let (mut ours, mut twins) = (Vec::new(), Vec::new());
        for number in 0..options.rounds {
            ours.push(service(servers, id).await?);
            twins.push(twin(servers, id, number).await?);
        }
        let of = |rounds: &[Round], value: fn(&Round) -> f64| median(rounds.iter().map(value));
        let (seconds, memory) = (|round: &Round| round.seconds, |round: &Round| round.memory_mb);
        rows.push(vec![
            id.name().to_owned(),
            format!("{:.2} s", of(&ours, seconds)),
            format!("{:.2} s", of(&twins, seconds)),
            format!("{:.1} MB", of(&ours, memory)),
            format!("{:.1} MB", of(&twins, memory)),
        ]);
    }
    let head = [
        "service",
        "until its first work",
        "its twin in Node",
        "memory at rest",
        "its twin in Node",
    ];
    Ok(format!(
        "## Start and memory\n\n`make bench-pipeline ONLY=start`: from the start of the process until it answers (gateway, payment) or has committed \
         the first event of its group (the others), and what is resident {} s later; {} rounds, medians, on {}. Ours make their \
         tables in a new database first; their twins have none.\n\n{}",
        REST.as_secs(),
        options.rounds,
        machine(),
        table(&head, &rows)
    ))
}

async fn service(servers: &Servers, id: ServiceId) -> Result<Round> {
    let prefix = prefix();
    let names = Names::new(&prefix);
    let dead = Topic::ALL.into_iter().filter_map(|topic| names.dead_letter(topic, id));
    let topics: Vec<_> =
        Topic::ALL.into_iter().map(|topic| names.topic(topic)).chain(dead).collect();
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    create_topics(servers.kafka.bootstrap(), &topics, PARTITIONS).await?;
    produce(servers.kafka.bootstrap(), topics[0], "user-0", events::payment(0).as_bytes()).await?;
    let mut environment = servers.places(&prefix).await?;
    match id {
        ServiceId::Gateway => {
            environment = vec![("ROUTES", "/payment=payment@http://127.0.0.1:9".into())];
        }
        ServiceId::Payment => environment.extend(servers.payment()?),
        ServiceId::Email => environment.extend(servers.mail()),
        ServiceId::Order | ServiceId::Analytics => {}
    }
    let began = Instant::now();
    let mut service = programs::start(id.name(), &environment)?;
    match names.group(id) {
        Some(group) => committed(servers, &group, topics[0], &mut service.process)?,
        None => checkout::ready(&mut service).await?,
    }
    at_rest(&service.process, began).await
}

async fn twin(servers: &Servers, id: ServiceId, number: u32) -> Result<Round> {
    let topics = Topic::ALL.map(|topic| Names::new("").topic(topic));
    // They are there from the second round on.
    let _ = create_topics(
        servers.kafka.bootstrap(),
        &topics.each_ref().map(String::as_str),
        PARTITIONS,
    )
    .await;
    produce(servers.kafka.bootstrap(), &topics[0], "user-0", events::payment(0).as_bytes()).await?;
    let [port] = free_ports()?;
    let group = format!("start-{id}-{number}");
    let environment = [
        ("GATEWAY_PORT", port.to_string()),
        ("PAYMENT_PORT", port.to_string()),
        ("STRIPE_API_BASE", servers.stripe()),
        ("KAFKA_BROKERS", servers.kafka.bootstrap().to_owned()),
        ("SMTP_PORT", servers.smtp_port.to_string()),
        ("GROUP", group.clone()),
    ];
    let began = Instant::now();
    let mut process = node::start(id.name(), &environment)?;
    match id {
        ServiceId::Gateway | ServiceId::Payment => process.listening(port)?,
        _ => committed(servers, &group, &topics[0], &mut process)?,
    }
    at_rest(&process, began).await
}

async fn at_rest(process: &Process, began: Instant) -> Result<Round> {
    let seconds = began.elapsed().as_secs_f64();
    tokio::time::sleep(REST).await;
    Ok(Round { seconds, memory_mb: process.usage()?.memory_mb })
}

/// How much of a topic a group has committed.
pub struct Committed {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Committed {
    pub fn new(servers: &Servers, group: &str, topic: &str) -> Result<Self> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", servers.kafka.bootstrap())
            .set("group.id", group)
            .create()?;
        let mut partitions = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            partitions.add_partition(topic, partition);
        }
        Ok(Self { consumer, partitions })
    }

    /// Messages; none while nobody knows the group.
    pub fn count(&self) -> i64 {
        let limit = Duration::from_secs(10);
        let Ok(offsets) = self.consumer.committed_offsets(self.partitions.clone(), limit) else {
            return 0;
        };
        let of = |offset: Offset| offset.to_raw().unwrap_or(0).max(0);
        offsets.elements().iter().map(|element| of(element.offset())).sum()
    }
}

/// Waits until the group has gone past something of the topic.
fn committed(servers: &Servers, group: &str, topic: &str, process: &mut Process) -> Result<()> {
    let committed = Committed::new(servers, group, topic)?;
    let deadline = Instant::now() + LIMIT;
    loop {
        if committed.count() > 0 {
            return Ok(());
        }
        process.running().with_context(|| format!("group {group}"))?;
        anyhow::ensure!(
            Instant::now() < deadline,
            "group {group} commits nothing within {LIMIT:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
