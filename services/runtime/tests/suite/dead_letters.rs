//! Events that are given up: kept as they were, and taken up again once when somebody asks.

use storefront_contract::{Topic, replay::replay};

use crate::{
    on_both,
    shop::{
        MIGRATIONS, Member, Orders, bare, count, eventually_handled, eventually_sent, handled,
        record,
    },
    world::{LIMIT, Seen, Sent, World},
};

on_both! { World;
    what_cannot_be_understood_is_dead_at_once_with_its_reason,
    a_replay_is_handled_once_and_a_second_one_changes_nothing,
    a_replay_for_another_group_is_skipped,
    a_dead_letter_without_an_id_can_be_replayed_once_too,
    what_died_again_is_replayed_by_its_newest_letter,
    what_was_handled_is_handled_anew_only_for_whom_it_is_said,
}

fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

async fn what_cannot_be_understood_is_dead_at_once_with_its_reason(
    world: World,
) -> anyhow::Result<()> {
    let good = record("u", "good");
    let with = |name: &str, value: &[u8]| {
        let mut sent = record("u", name);
        sent.headers.retain(|(known, _)| known != name);
        sent.headers.push((name.to_owned(), Some(value.to_vec())));
        sent
    };
    let mut wrong_sum = crate::shop::payment("u", "sum");
    wrong_sum.amount += 1;
    let cases: Vec<(&str, Sent)> = vec![
        ("undecodable", Sent { payload: Some(b"{\"userId\": ".to_vec()), ..record("u", "x") }),
        ("undecodable", Sent { payload: Some(vec![0, 255]), ..record("u", "y") }),
        ("undecodable", Sent { payload: Some(vec![]), ..record("u", "z") }),
        ("empty", Sent { payload: None, ..record("u", "tombstone") }),
        ("invalid", Sent { payload: Some(serde_json::to_vec(&wrong_sum)?), ..record("u", "sum") }),
        ("invalid-header", with("ce_id", &[0xff])),
        ("invalid-header", with("ce_id", "x".repeat(300).as_bytes())),
        ("invalid-header", with("ce_time", b"yesterday")),
        ("invalid-header", with("ce_specversion", b"2.0")),
        ("invalid-header", with("content-type", b"application/avro")),
        ("undecodable", Sent { key: None, payload: Some(b"[]".to_vec()), ..bare("", "") }),
        (
            "undecodable",
            Sent { key: Some(vec![0, 1, 0xfe]), payload: Some(b"1".to_vec()), ..bare("", "") },
        ),
    ];
    let mut records = vec![good];
    for (n, (_, sent)) in cases.iter().enumerate() {
        records.push(Sent { partition: Some(1), ..sent.clone() });
        records.push(record("u", &format!("good{n}")));
    }
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    world.send(&world.topic(Topic::PaymentSuccessful), &records).await?;
    eventually_handled(&database, cases.len() + 1).await;
    // The bad ones are on a partition of their own, which may be read last.
    let all = i64::try_from(cases.len())?;
    storefront_testkit::eventually(LIMIT, "each is given up", async || {
        count(&database, "SELECT COUNT(*) AS n FROM inbox WHERE state = 2").await == all
    })
    .await;
    eventually_sent(&database).await;
    member.stop().await?;
    let mut dead = world.read(&world.dead_letters())?;
    dead.sort_by_key(|dead| dead.header("dlq-offset").unwrap().parse::<i64>().unwrap());
    assert_eq!(dead.len(), cases.len());
    for ((reason, sent), dead) in cases.iter().zip(&dead) {
        assert_eq!(dead.header("dlq-reason"), Some(*reason), "{dead:?}");
        assert_eq!((&dead.key, &dead.payload), (&sent.key, &sent.payload));
        assert_eq!(dead.partition, 1, "a dead letter keeps its partition");
        assert_eq!(dead.headers[..sent.headers.len()], sent.headers, "and its headers");
        assert_eq!(dead.header("dlq-topic"), Some(&*world.topic(Topic::PaymentSuccessful)));
        assert_eq!(dead.header("dlq-partition"), Some("1"));
        assert_eq!(dead.header("dlq-attempts"), Some("1"));
        assert!(dead.header("dlq-time").is_some() && dead.header("dlq-error").is_some());
    }
    Ok(())
}

/// Sends a dead letter back, as the command line does.
async fn send_back(world: &World, dead: &Seen, group: &str) -> anyhow::Result<()> {
    let place = format!("{}/{}/{}", world.dead_letters(), dead.partition, dead.offset);
    let replay = replay(&dead.headers, group, &place)?;
    let Seen { key, payload, .. } = dead.clone();
    let (partition, headers) = (Some(replay.partition), replay.headers);
    world.send(&replay.topic, &[Sent { partition, key, payload, headers }]).await
}

async fn rejected(world: &World, sent: Sent) -> anyhow::Result<Seen> {
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    orders.script().rejected.insert("s".into());
    let member = Member::start(world, &database, &orders);
    world.send(&world.topic(Topic::PaymentSuccessful), &[sent, record("u", "next")]).await?;
    eventually_handled(&database, 1).await;
    eventually_sent(&database).await;
    member.stop().await?;
    let dead = world.read(&world.dead_letters())?;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].header("dlq-reason"), Some("rejected"));
    database.close().await;
    Ok(dead[0].clone())
}

async fn replayed(world: World, sent: Sent) -> anyhow::Result<()> {
    let dead = rejected(&world, sent).await?;
    let database = world.store.open(MIGRATIONS).await;
    let group = format!("{}order-service", world.prefix);
    let member = Member::start(&world, &database, &Orders::default());
    for marker in ["m1", "m2", "m3"] {
        send_back(&world, &dead, &group).await?;
        world.send(&world.topic(Topic::PaymentSuccessful), &[record("u", marker)]).await?;
    }
    eventually_handled(&database, 5).await;
    eventually_sent(&database).await;
    member.stop().await?;
    let sessions: Vec<String> = handled(&database).await.into_iter().map(|(s, _)| s).collect();
    assert_eq!(sessions, ["next", "s", "m1", "m2", "m3"]);
    assert_eq!(world.read(&world.topic(Topic::OrderSuccessful))?.len(), 5);
    assert_eq!(world.read(&world.dead_letters())?.len(), 1);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM inbox WHERE state = 2").await, 0);
    Ok(())
}

async fn a_replay_is_handled_once_and_a_second_one_changes_nothing(
    world: World,
) -> anyhow::Result<()> {
    replayed(world, record("u", "s")).await
}

async fn a_dead_letter_without_an_id_can_be_replayed_once_too(world: World) -> anyhow::Result<()> {
    replayed(world, bare("u", "s")).await
}

async fn what_died_again_is_replayed_by_its_newest_letter(world: World) -> anyhow::Result<()> {
    let first = rejected(&world, bare("u", "s")).await?;
    let group = format!("{}order-service", world.prefix);
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    orders.script().rejected.insert("s".into());
    let member = Member::start(&world, &database, &orders);
    send_back(&world, &first, &group).await?;
    world.send(&world.topic(Topic::PaymentSuccessful), &[record("u", "m1")]).await?;
    eventually_handled(&database, 2).await;
    eventually_sent(&database).await;
    member.stop().await?;
    let dead = world.read(&world.dead_letters())?;
    assert_eq!(dead.len(), 2);
    let newest = &dead[1];
    assert_eq!(newest.header("dlq-offset"), first.header("dlq-offset"), "where it stood first");
    assert_eq!(newest.header("dlq-letter"), None);
    let member = Member::start(&world, &database, &Orders::default());
    send_back(&world, newest, &group).await?;
    world.send(&world.topic(Topic::PaymentSuccessful), &[record("u", "m2")]).await?;
    eventually_handled(&database, 4).await;
    member.stop().await?;
    let sessions: Vec<String> = handled(&database).await.into_iter().map(|(s, _)| s).collect();
    assert_eq!(sessions, ["next", "m1", "s", "m2"]);
    Ok(())
}

/// As an audit sends what left no trace: with its id, for one group, and past that group's inbox.
async fn what_was_handled_is_handled_anew_only_for_whom_it_is_said(
    world: World,
) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    let topic = world.topic(Topic::PaymentSuccessful);
    let again = |service: &str, anew: bool| {
        let mut sent = record("u", "s");
        let group = format!("{}{service}", world.prefix);
        sent.headers.push(header("replay-group", &group));
        sent.headers.extend(anew.then(|| header("replay-anew", "true")));
        sent
    };
    world.send(&topic, &[record("u", "s")]).await?;
    let records = [
        record("u", "s"),
        again("order-service", false),
        again("email-service", true),
        record("u", "m1"),
        again("order-service", true),
        record("u", "m2"),
    ];
    world.send(&topic, &records).await?;
    eventually_handled(&database, 4).await;
    member.stop().await?;
    let sessions: Vec<String> = handled(&database).await.into_iter().map(|(s, _)| s).collect();
    assert_eq!(sessions, ["s", "m1", "s", "m2"]);
    Ok(())
}

async fn a_replay_for_another_group_is_skipped(world: World) -> anyhow::Result<()> {
    let dead = rejected(&world, record("u", "s")).await?;
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let member = Member::start(&world, &database, &orders);
    send_back(&world, &dead, &format!("{}email-service", world.prefix)).await?;
    // Also one that we have never seen: it is none of ours.
    let mut stranger = record("u", "stranger");
    stranger.headers.push(header("replay-group", "somebody"));
    world.send(&world.topic(Topic::PaymentSuccessful), &[stranger, record("u", "end")]).await?;
    eventually_handled(&database, 2).await;
    member.stop().await?;
    assert_eq!(orders.script().tried, ["end"]);
    // Were the original to come now, it would be news.
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM inbox").await, 3);
    Ok(())
}
