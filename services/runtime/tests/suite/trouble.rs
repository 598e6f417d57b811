//! The database or the broker goes away and comes back: everything waits, nothing is parked for it.

use std::time::Duration;

use storefront_contract::Topic;
use storefront_runtime::ConsumerOptions;
use storefront_testkit::{Kafka, Mute, Postgres, PostgresOptions, eventually};

use crate::{
    on_both,
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, count, eventually_handled,
        eventually_sent, handled, options, record,
    },
    world::{LIMIT, Store, World},
};

on_both! { World;
    a_locked_database_is_waited_for,
}

fn some(from: usize, to: usize) -> Vec<(String, String)> {
    (from..to).map(|n| (format!("s{n:03}"), format!("u{}", n % 5))).collect()
}

async fn send(world: &World, list: &[(String, String)]) -> anyhow::Result<()> {
    let records: Vec<_> = list.iter().map(|(session, user)| record(user, session)).collect();
    world.send(&world.topic(Topic::PaymentSuccessful), &records).await
}

async fn is_ready(member: &Member, ready: bool) {
    let what = if ready { "readiness" } else { "unreadiness" };
    eventually(LIMIT, what, async || member.service.health.is_ready() == ready).await;
}

/// Somebody else holds the offsets (or the whole file) for a while.
async fn a_locked_database_is_waited_for(world: World) -> anyhow::Result<()> {
    let all = some(0, 20);
    let database = world.store.open(MIGRATIONS).await;
    let other = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[..10]).await?;
    eventually_handled(&database, 10).await;
    is_ready(&member, true).await;
    let mut lock = other.begin().await?;
    lock.execute("UPDATE offsets SET epoch = epoch", &[]).await?;
    send(&world, &all[10..]).await?;
    is_ready(&member, false).await;
    lock.rollback().await;
    eventually_handled(&database, 20).await;
    is_ready(&member, true).await;
    eventually_sent(&database).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM parked").await, 0);
    assert_eq!(world.read(&world.dead_letters())?, []);
    Ok(())
}

/// Killed, away for some seconds, and back: a real server only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_parks_nothing() -> anyhow::Result<()> {
    let server = Postgres::private(&PostgresOptions::default()).await?;
    let mut world = World::embedded().await?;
    world.store = Store::Postgres { url: server.database().await? };
    let all = some(0, 60);
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let member = Member::start(&world, &database, &orders);
    send(&world, &all[..20]).await?;
    eventually_handled(&database, 20).await;
    server.kill()?;
    send(&world, &all[20..40]).await?;
    is_ready(&member, false).await;
    server.start().await?;
    eventually_handled(&database, 40).await;
    // Once more, in the middle of the load.
    send(&world, &all[40..50]).await?;
    server.kill()?;
    send(&world, &all[50..]).await?;
    server.start().await?;
    eventually_handled(&database, 60).await;
    eventually_sent(&database).await;
    is_ready(&member, true).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM parked").await, 0);
    assert_eq!(world.read(&world.dead_letters())?, []);
    Ok(())
}

/// Killed under load, away, and back: a real broker only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_killed_is_waited_for() -> anyhow::Result<()> {
    let kafka = Kafka::private().await?;
    let world = World::at(kafka.bootstrap(), Store::sqlite()?).await?;
    let all = some(0, 60);
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[..20]).await?;
    eventually_handled(&database, 20).await;
    kafka.kill()?;
    is_ready(&member, false).await;
    kafka.start().await?;
    let started = std::time::Instant::now();
    send(&world, &all[20..]).await?;
    eventually_handled(&database, 60).await;
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    eventually_sent(&database).await;
    is_ready(&member, true).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    let orders = world.read(&world.topic(Topic::OrderSuccessful))?;
    let ids: std::collections::HashSet<_> =
        orders.iter().map(|order| order.header("ce_id").unwrap()).collect();
    assert_eq!(ids.len(), 60);
    Ok(())
}

/// The broker tells that there is more, and gives nothing of it (rust-rdkafka#638). Only a new client helps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_has_stalled_is_made_anew() -> anyhow::Result<()> {
    let mute = Mute::listen().await?;
    let silent = mute.0.clone();
    let world = World::behind(mute).await?;
    let all = some(0, 20);
    let database = world.store.open(MIGRATIONS).await;
    let stall = async |from: usize, watchdog_period| {
        let options = ConsumerOptions { watchdog_period, ..options() };
        let member = Member::start_with(&world, &database, &Orders::default(), options);
        send(&world, &all[from..from + 5]).await?;
        eventually_handled(&database, from + 5).await;
        silent.silence(1);
        // It asks again within a second; from then on it hears nothing.
        eventually(LIMIT, "silence", async || silent.left() == 0).await;
        send(&world, &all[from + 5..from + 10]).await?;
        anyhow::Ok(member)
    };
    // Nobody looks: the stall lasts.
    let member = stall(0, Duration::from_secs(3600)).await?;
    let patience = Duration::from_secs(4);
    let handled_all = tokio::time::timeout(patience, eventually_handled(&database, 10)).await;
    assert!(handled_all.is_err(), "this is no stall");
    member.stop().await?;

    let member = stall(10, Duration::from_secs(1)).await?;
    eventually_handled(&database, 20).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    Ok(())
}

/// A wish to join that nobody hears is waited for by librdkafka for minutes. Only a new client helps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_its_group_has_lost_is_made_anew() -> anyhow::Result<()> {
    let mute = Mute::listen().await?;
    let silent = mute.0.clone();
    let world = World::behind(mute).await?;
    let all = some(0, 5);
    let database = world.store.open(MIGRATIONS).await;
    silent.silence(1);
    let options = ConsumerOptions { absence_period: Duration::from_secs(3), ..options() };
    let member = Member::start_with(&world, &database, &Orders::default(), options);
    send(&world, &all).await?;
    eventually_handled(&database, 5).await;
    assert_eq!(silent.left(), 0, "the first wish was not heard");
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    Ok(())
}

/// Kafka gives a partition while the database cannot, and the broker is slow to say where logs begin and end. Whatever
/// librdkafka was told before it is sent to where the database stands must not lead it away from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_is_claimed_late_is_read_from_where_it_stood() -> anyhow::Result<()> {
    let mute = Mute::listen().await?;
    let slow = mute.0.clone();
    let mut world = World::behind(mute).await?;
    world.store = Store::real().await?;
    let all = some(0, 90);
    let database = world.store.open(MIGRATIONS).await;
    let other = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[..10]).await?;
    eventually_handled(&database, 10).await;
    member.stop().await?;

    slow.delay_offsets(Duration::from_secs(1));
    let mut lock = other.begin().await?;
    lock.execute("UPDATE offsets SET epoch = epoch", &[]).await?;
    let waits_since = async || {
        let sql = "SELECT COALESCE(MAX((EXTRACT(EPOCH FROM query_start) * 1000)::BIGINT), 0) AS n \
            FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        count(&database, sql).await
    };
    let member = Member::start(&world, &database, &Orders::default());
    eventually(LIMIT, "a claim", async || waits_since().await > 0).await;
    let first = waits_since().await;
    // The first one was in vain, so that the partitions were assigned without an offset.
    eventually(LIMIT, "another claim", async || waits_since().await > first).await;
    lock.rollback().await;
    // Until every late answer has come.
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    for one in 10..all.len() {
        pace.tick().await;
        send(&world, &all[one..=one]).await?;
    }
    eventually_handled(&database, all.len()).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    Ok(())
}
