//! Each event once, however often and in whatever shape it comes.

use std::collections::{BTreeSet, HashSet};

use storefront_contract::Topic;

use crate::{
    on_both,
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, bare, count, eventually_handled,
        eventually_sent, handled, record,
    },
    world::World,
};

on_both! { World;
    duplicates_are_handled_once_and_keep_their_keys_order,
    a_record_without_an_id_is_known_by_its_place,
    a_restart_goes_on_where_the_database_stands,
    what_kafka_forgot_of_the_offsets_does_not_matter,
}

async fn duplicates_are_handled_once_and_keep_their_keys_order(world: World) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(storefront_testkit::seed());
    let sessions: Vec<(String, String)> =
        (0..200).map(|n| (format!("s{n:03}"), format!("u{}", n % 7))).collect();
    // Each is repeated some time after its first occurrence, as a relay that was killed would.
    let mut records = Vec::new();
    for (n, (session, user)) in sessions.iter().enumerate() {
        records.push(record(user, session));
        for _ in 0..random.usize(0..3) {
            let (session, user) = &sessions[random.usize(0..=n)];
            records.push(record(user, session));
        }
    }
    let payments = world.topic(Topic::PaymentSuccessful);
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    for part in records.chunks(37) {
        world.send(&payments, part).await?;
    }
    eventually_handled(&database, sessions.len()).await;
    eventually_sent(&database).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &sessions);

    let orders = world.read(&world.topic(Topic::OrderSuccessful))?;
    let ids: HashSet<_> = orders.iter().map(|order| order.header("ce_id").unwrap()).collect();
    assert_eq!((orders.len(), ids.len()), (200, 200));
    let of_one: Vec<_> = orders.iter().filter(|order| order.key() == "u3").collect();
    let order: Vec<serde_json::Value> = of_one
        .iter()
        .map(|order| serde_json::from_slice(order.payload.as_deref().unwrap()).unwrap())
        .collect();
    let order: Vec<&str> = order.iter().map(|order| order["sessionId"].as_str().unwrap()).collect();
    let expected: Vec<&str> =
        sessions.iter().filter(|(_, user)| user == "u3").map(|(s, _)| s.as_str()).collect();
    assert_eq!(order, expected);
    assert_eq!(of_one[0].header("ce_source"), Some("/shops/default/demo/order"));
    assert!(of_one[0].header("traceparent").is_some());
    Ok(())
}

async fn a_record_without_an_id_is_known_by_its_place(world: World) -> anyhow::Result<()> {
    let payments = world.topic(Topic::PaymentSuccessful);
    world.send(&payments, &[bare("u", "s"), bare("u", "s")]).await?;
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    eventually_handled(&database, 2).await;
    member.stop().await?;
    // Read from the start once more: both places are known.
    database.query("UPDATE offsets SET next_offset = 0, fingerprint = NULL", &[]).await?;
    let member = Member::start(&world, &database, &Orders::default());
    world.send(&payments, &[record("u", "last")]).await?;
    eventually_handled(&database, 3).await;
    member.stop().await?;
    assert_eq!(handled(&database).await.len(), 3);
    Ok(())
}

async fn a_restart_goes_on_where_the_database_stands(world: World) -> anyhow::Result<()> {
    let payments = world.topic(Topic::PaymentSuccessful);
    let database = world.store.open(MIGRATIONS).await;
    let mut sent = Vec::new();
    for round in 0..4 {
        let some: Vec<(String, String)> =
            (0..25).map(|n| (format!("s{round}-{n}"), format!("u{}", n % 4))).collect();
        let records: Vec<_> = some.iter().map(|(session, user)| record(user, session)).collect();
        world.send(&payments, &records).await?;
        sent.extend_from_slice(&some);
        let orders = Orders::default();
        let member = Member::start(&world, &database, &orders);
        eventually_handled(&database, sent.len()).await;
        member.stop().await?;
        let script = orders.script();
        let ours: BTreeSet<_> = some.iter().map(|(session, _)| session.as_str()).collect();
        assert_eq!(script.sessions_tried(), ours, "what is done was tried again");
    }
    assert_once_and_in_order(&handled(&database).await, &sent);
    let stored =
        count(&database, "SELECT CAST(SUM(next_offset) AS BIGINT) AS n FROM offsets").await;
    assert_eq!(stored, 100);
    Ok(())
}

async fn what_kafka_forgot_of_the_offsets_does_not_matter(world: World) -> anyhow::Result<()> {
    let payments = world.topic(Topic::PaymentSuccessful);
    let database = world.store.open(MIGRATIONS).await;
    world.send(&payments, &[record("u", "a"), record("u", "b")]).await?;
    let member = Member::start(&world, &database, &Orders::default());
    eventually_handled(&database, 2).await;
    member.stop().await?;
    let group = format!("{}order-service", world.prefix);
    world.admin().delete_groups(&[&group], &rdkafka::admin::AdminOptions::new()).await?;
    world.send(&payments, &[record("u", "c")]).await?;
    let orders = Orders::default();
    let member = Member::start(&world, &database, &orders);
    eventually_handled(&database, 3).await;
    member.stop().await?;
    assert_eq!(orders.script().tried, ["c"]);
    Ok(())
}
