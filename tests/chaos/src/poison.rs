//! Garbage among the payments, as a broken program might put it there: each group is to set each piece aside, and to go on.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use storefront_contract::{Names, Topic};

use crate::{
    load::{self, Crowd},
    options::Options,
    world::World,
};

/// For one record, whatever becomes of brokers meanwhile: they may be away for as long as a day.
const LIMIT: Duration = Duration::from_secs(2 * 86_400);
/// So many carts come between two pieces.
const CARTS: u32 = 100;
const PIECES_MIN: u32 = 3;
const PIECES_MAX: u32 = 1_000;

/// Where a piece of it lies: partition and offset.
pub type Place = (i32, i64);

/// Puts it among the load, at times of the seed's, and answers where it lies.
pub async fn spread(world: &World, options: &Options, crowd: &Crowd) -> Result<BTreeSet<Place>> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", world.kafka.bootstrap())
        .set("enable.idempotence", "true")
        .set("delivery.timeout.ms", LIMIT.as_millis().to_string())
        .create()?;
    let topic = Names::new("").topic(Topic::PaymentSuccessful);
    let mut random = fastrand::Rng::with_seed(options.seed.wrapping_mul(31));
    let pieces = (options.carts() / CARTS).clamp(PIECES_MIN, PIECES_MAX);
    let pause = if options.scenario.counts_carts() {
        options.length() / pieces
    } else {
        Duration::from_secs(CARTS.into()) / options.rate
    };
    let mut places = BTreeSet::new();
    for number in 0..pieces {
        tokio::time::sleep(pause.mul_f64(0.5 + random.f64() / 2.0)).await;
        if crowd.is_over() {
            break;
        }
        // Under a key that others use: what comes after it goes on all the same.
        let key = load::user(random.usize(..options.users()));
        let garbage = match random.u8(..3) {
            0 => format!("no JSON, {number}"),
            1 => format!("{{\"sessionId\": \"cs_test_{number}\"}}"),
            _ => format!("[{number}, null, {{}}]"),
        };
        let record = FutureRecord::to(&topic).key(&key).payload(&garbage);
        let sent = producer.send(record, LIMIT).await.map_err(|(error, _)| error);
        let sent = sent.context("no garbage could be put among the payments")?;
        places.insert((sent.partition, sent.offset));
    }
    Ok(places)
}
