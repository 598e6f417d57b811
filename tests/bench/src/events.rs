//! The consumers beside their twins: a topic full of payments, and how much of a core each takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use storefront_contract::{Names, Topic};
use storefront_testkit::{
    create_topics,
    measure::{Usage, machine},
    prefix,
};

use crate::{
    Options, node,
    process::{Core, Process, usage_of},
    programs,
    report::{median, table, thousands},
    servers::Servers,
};

pub const PARTITIONS: i32 = 3;
const LIMIT: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of librdkafka; sending is awaited in such batches.
const BATCH: u32 = 1000;

struct Round {
    /// Between a tenth of the events and the last: without start and warming up.
    handled: f64,
    seconds: f64,
    cpu_s: f64,
    end: Usage,
    broker_cpu_s: f64,
    database_cpu_s: f64,
}

impl Round {
    fn per_cpu_second(&self) -> f64 {
        self.handled / self.cpu_s
    }

    fn per_second(&self) -> f64 {
        self.handled / self.seconds
    }
}

/// Topics of one side.
pub struct Topics {
    pub prefix: String,
    pub names: Names,
}

impl Topics {
    pub async fn new(servers: &Servers, prefix: String) -> Result<Self> {
        let names = Names::new(&prefix);
        let all = Topic::ALL.map(|topic| names.topic(topic));
        create_topics(servers.kafka.bootstrap(), &all.each_ref().map(String::as_str), PARTITIONS)
            .await?;
        Ok(Self { prefix, names })
    }

    /// Puts so many payments there.
    pub async fn fill(&self, servers: &Servers, count: u32) -> Result<()> {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", servers.kafka.bootstrap())
            .set("linger.ms", "5")
            .create()?;
        let topic = self.names.topic(Topic::PaymentSuccessful);
        let mut sent = Vec::new();
        for number in 0..count {
            let (key, value) = (format!("user-{}", number % 1000), payment(number));
            let id = format!("payment-{number}");
            let headers = [
                ("ce_specversion", "1.0"),
                ("ce_id", &id),
                ("ce_source", "/shops/default/bench/payment"),
                ("ce_type", "dev.storefront.payment.successful"),
                ("ce_time", "2026-11-14T10:31:07Z"),
            ];
            let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header { key, value: Some(*value) })
            });
            let record = FutureRecord::to(&topic).key(&key).payload(&value).headers(headers);
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
            if number % BATCH == BATCH - 1 {
                for one in sent.drain(..) {
                    one.await?.map_err(|(error, _)| error)?;
                }
            }
        }
        producer.flush(LIMIT)?;
        Ok(())
    }
}

/// The value of a `payment-successful`.
pub fn payment(number: u32) -> String {
    format!(
        r#"{{"userId":"user-{}","cart":[{{"id":"phone","name":"Nova 5G","quantity":1,"price":1899900}},{{"id":"chai","name":"Masala chai","quantity":2,"price":24900}}],"amount":1949700,"currency":"INR","email":"user@example.com","sessionId":"cs_test_{number:016}","orderId":"00000000-0000-5000-8000-{number:012}","paidAt":"2026-11-14T10:31:07Z"}}"#,
        number % 1000
    )
}

/// Counts what stands on a topic.
pub struct Counter {
    consumer: BaseConsumer,
    topic: String,
}

impl Counter {
    pub fn new(servers: &Servers, topic: String) -> Result<Self> {
        let consumer =
            ClientConfig::new().set("bootstrap.servers", servers.kafka.bootstrap()).create()?;
        Ok(Self { consumer, topic })
    }

    pub fn count(&self) -> Result<i64> {
        let of = |partition| {
            self.consumer.fetch_watermarks(&self.topic, partition, Duration::from_secs(10))
        };
        (0..PARTITIONS)
            .map(|partition| of(partition).map(|(low, high)| high - low))
            .sum::<Result<_, _>>()
            .context("no watermarks")
    }
}

/// Follows a side that was just started until so many more events came out of it.
fn round(process: &mut Process, counter: &Counter, begin: i64, events: u32) -> Result<Round> {
    let events = i64::from(events);
    let reached = |process: &mut Process, wanted: i64| -> Result<(i64, Instant)> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let count = counter.count()? - begin;
            if count >= wanted {
                return Ok((count, Instant::now()));
            }
            process.running()?;
            anyhow::ensure!(
                Instant::now() < deadline,
                "{count} of {wanted} events within {LIMIT:?}"
            );
            std::thread::sleep(LOOK_EVERY);
        }
    };
    let (first, began) = reached(process, events / 10)?;
    let before = [process.usage()?, usage_of("java")?, usage_of("postgres")?];
    let (last, ended) = reached(process, events)?;
    let end = process.usage()?;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
    let handled = (last - first) as f64;
    Ok(Round {
        handled,
        seconds: (ended - began).as_secs_f64(),
        cpu_s: end.cpu_s - before[0].cpu_s,
        end,
        broker_cpu_s: usage_of("java")?.cpu_s - before[1].cpu_s,
        // Connections that ended meanwhile have taken theirs along.
        database_cpu_s: (usage_of("postgres")?.cpu_s - before[2].cpu_s).max(0.0),
    })
}

pub async fn order(servers: &Servers, options: &Options) -> Result<String> {
    let twin = Topics::new(servers, String::new()).await?;
    twin.fill(servers, options.events / 10).await?;
    let mut rounds: [Vec<Round>; 3] = Default::default();
    for number in 0..options.rounds {
        let topics = Topics::new(servers, prefix()).await?;
        topics.fill(servers, options.events).await?;
        let out = topics.names.topic(Topic::OrderSuccessful);
        let counter = Counter::new(servers, out.clone())?;
        let mut service = programs::start("order", &servers.places(&topics.prefix).await?)?;
        rounds[0].push(round(&mut service.process, &counter, 0, options.events)?);
        drop(service);
        let begin = counter.count()?;
        let here = std::env::current_exe()?.to_string_lossy().into_owned();
        let from = topics.names.topic(Topic::PaymentSuccessful);
        let words = [
            &here,
            "bare",
            servers.kafka.bootstrap(),
            &format!("{}bare", topics.prefix),
            &from,
            &out,
        ];
        let mut bare = Process::start(Core::Measured, &words, &[])?;
        rounds[1].push(round(&mut bare, &counter, begin, options.events)?);
        drop(bare);
        rounds[2].push(twin_round(
            servers,
            &twin,
            "order",
            Topic::OrderSuccessful,
            number,
            options,
        )?);
    }
    let words = "order takes each payment once, by its id, writes order, outbox and offset in one transaction of PostgreSQL, and sends by an \
                 idempotent producer; the bare loop is librdkafka's consumer and producer with nothing between them; `order.js` \
                 has no database and no guarantee.";
    Ok(section(
        "The order service",
        "order",
        words,
        &["order", "bare loop", "order.js"],
        &rounds,
        options,
    ))
}

pub async fn email(servers: &Servers, options: &Options) -> Result<String> {
    let events = options.events / 5;
    let twin = Topics::new(servers, String::new()).await;
    let twin = twin.unwrap_or_else(|_| Topics { prefix: String::new(), names: Names::new("") });
    let counter = Counter::new(servers, twin.names.topic(Topic::PaymentSuccessful))?;
    if counter.count()? == 0 {
        twin.fill(servers, options.events / 10).await?;
    }
    let mut rounds: [Vec<Round>; 2] = Default::default();
    for number in 0..options.rounds {
        let topics = Topics::new(servers, prefix()).await?;
        topics.fill(servers, events).await?;
        let counter = Counter::new(servers, topics.names.topic(Topic::EmailSuccessful))?;
        let mut environment = servers.places(&topics.prefix).await?;
        environment.extend(servers.mail());
        environment.push(("EMAIL_MAX_AGE_HOURS", "8760".into()));
        let mut service = programs::start("email", &environment)?;
        rounds[0].push(round(&mut service.process, &counter, 0, events)?);
        drop(service);
        rounds[1].push(twin_round(
            servers,
            &twin,
            "email",
            Topic::EmailSuccessful,
            number,
            options,
        )?);
    }
    let words = "email queues each mail once, by its event, claims it by a lease, and sends with a Message-ID that a second attempt \
                 would repeat; `email.js` sends when an event comes, and again when it comes again. Both keep their connections to \
                 the same mail server.";
    Ok(section("The email service", "email", words, &["email", "email.js"], &rounds, options))
}

fn twin_round(
    servers: &Servers,
    topics: &Topics,
    name: &str,
    out: Topic,
    number: u32,
    options: &Options,
) -> Result<Round> {
    let counter = Counter::new(servers, topics.names.topic(out))?;
    let begin = counter.count()?;
    let mut process = node::start(
        name,
        &[
            ("KAFKA_BROKERS", servers.kafka.bootstrap().to_owned()),
            ("GROUP", format!("{name}-{number}")),
            ("SMTP_PORT", servers.smtp_port.to_string()),
        ],
    )?;
    round(&mut process, &counter, begin, options.events / 10)
}

fn section(
    heading: &str,
    only: &str,
    words: &str,
    sides: &[&str],
    rounds: &[Vec<Round>],
    options: &Options,
) -> String {
    let of = |side: usize, value: fn(&Round) -> f64| median(rounds[side].iter().map(value));
    let each = |value: f64| format!("{:.0} µs", value * 1e6);
    let rows = sides.iter().enumerate().map(|(side, name)| {
        vec![
            (*name).to_owned(),
            thousands(of(side, Round::per_cpu_second)),
            format!("{:.1}", of(0, Round::per_cpu_second) / of(side, Round::per_cpu_second)),
            thousands(of(side, Round::per_second)),
            format!("{:.1} MB", of(side, |round| round.end.peak_mb)),
            each(of(side, |round| round.broker_cpu_s / round.handled)),
            each(of(side, |round| round.database_cpu_s / round.handled)),
        ]
    });
    let head = [
        "",
        "events per CPU-second",
        &format!("{only}'s ratio"),
        "events a second",
        "memory, peak",
        "broker's CPU, each",
        "database's CPU, each",
    ];
    format!(
        "## {heading}\n\n`make bench-pipeline ONLY={only}`: a topic of {PARTITIONS} partitions full of payments, Apache Kafka and PostgreSQL \
         (synchronous) on another core, {} rounds, medians, on {}. {words}\n\n{}",
        options.rounds,
        machine(),
        table(&head, &rows.collect::<Vec<_>>())
    )
}
