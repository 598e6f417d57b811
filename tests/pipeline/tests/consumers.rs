//! The consumer in JavaScript that docs/consumer-javascript.md shows, run against a shop as its reader would.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, ok};
use storefront_testkit::{Letter, eventually, postgres, read_topic};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(60);
const PAYMENTS: usize = 3;
/// A point for each 100 rupees of a phone.
const POINTS: i64 = 189;
const TOPIC: &str = "order-successful";
const DEAD_LETTERS: &str = "order-successful.loyalty-service.dlq";

fn node(script: &str, database: &str) -> Command {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/consumers/javascript");
    let mut command = Command::new("node");
    command.current_dir(Path::new(folder)).arg(script).env("DATABASE_URL", database);
    command.kill_on_drop(true);
    command
}

/// A running consumer, and what it says.
struct Consumer {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Consumer {
    fn start(brokers: &str, database: &str) -> Result<Self> {
        let mut command = node("loyalty.mjs", database);
        command.env("KAFKA_BROKERS", brokers).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let lines = BufReader::new(process.stdout.take().context("no output")?).lines();
        Ok(Self { process, lines })
    }

    /// The next thing that it has done.
    async fn did(&mut self) -> Result<Value> {
        let line = timeout(LIMIT, self.lines.next_line()).await.context("it does nothing")??;
        Ok(serde_json::from_str(&line.context("it has ended")?)?)
    }
}

/// Sends a value, as it came from a record or is made up.
async fn send(brokers: &str, value: &str, headers: &[(&str, &str)]) -> Result<()> {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let headers = headers.iter().fold(OwnedHeaders::new(), |list, (key, value)| {
        list.insert(Header { key, value: Some(*value) })
    });
    let record = FutureRecord::to(TOPIC).key("ada").payload(value).headers(headers);
    producer.send(record, LIMIT).await.map_err(|(error, _)| error)?;
    Ok(())
}

fn is_again(record: &Letter, done: &Value) -> bool {
    done == &json!({"order": record.value()["orderId"], "granted": false})
}

#[tokio::test]
async fn points_are_granted_once() -> Result<()> {
    let database = postgres().await?.database().await?;
    let shop = Shop::start(&[]).await?;
    let brokers = shop.brokers().to_owned();
    for n in 0..PAYMENTS {
        let session = shop.checkout("ada", &format!("cart-{n}")).await?;
        ok(&shop.act(&session, "pay").await?)?;
        shop.verify(&session).await?;
    }
    let mut first = Consumer::start(&brokers, &database)?;
    for _ in 0..PAYMENTS {
        ensure!(first.did().await?["granted"] == true, "not granted");
    }
    first.process.kill().await?;

    // While it is away an order comes again, then something that is none, and somebody else's replay.
    let orders = read_topic(&brokers, TOPIC)?;
    let again = orders.first().context("no order")?;
    let headers: Vec<(&str, &str)> =
        again.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let value = again.value().to_string();
    send(&brokers, &value, &headers).await?;
    send(&brokers, "garbage", &[("ce_id", "7")]).await?;
    send(&brokers, &value, &[("ce_id", "8"), ("replay-group", "analytic-service")]).await?;

    let mut second = Consumer::start(&brokers, &database)?;
    // What was not committed before the kill comes again, too; the garbage is the last that it tells of.
    let dead = loop {
        let done = second.did().await?;
        if !done["dead"].is_null() {
            break done;
        }
        ensure!(orders.iter().any(|order| is_again(order, &done)), "{done}");
    };
    ensure!(dead["dead"].is_string(), "{dead}");
    eventually(LIMIT, "the dead letter is there", async || {
        read_topic(&brokers, DEAD_LETTERS).is_ok_and(|letters| {
            letters.iter().any(|letter| {
                letter.header("dlq-reason") == "invalid" && letter.header("ce_id") == "7"
            })
        })
    })
    .await;

    let output = node("points.mjs", &database).output().await?;
    let points: Value = serde_json::from_slice(&output.stdout)?;
    let expected = POINTS * i64::try_from(PAYMENTS)?;
    ensure!(points == json!({"user_id": "ada", "points": expected}), "{points}");
    Ok(())
}
