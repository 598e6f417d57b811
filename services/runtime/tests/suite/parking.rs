//! Events that fail for a while: they wait, the events of their key wait behind them, and nobody else
//! does.

use std::{sync::Arc, time::Duration};

use storefront_contract::Topic;
use storefront_runtime::{ConsumerOptions, Database, ParkingPolicy};
use tokio::sync::Notify;

use crate::{
    on_both,
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, count, eventually_handled,
        eventually_sent, handled, options, record,
    },
    world::{LIMIT, World},
};

on_both! { World;
    a_parked_key_keeps_its_order_and_others_go_on,
    attempts_survive_a_change_of_owner,
    many_failures_at_random_keep_every_keys_order,
    a_handler_that_panics_or_hangs_is_a_failure_like_any_other,
    at_the_bound_the_partition_waits_and_nothing_is_lost,
}

const PARKED: &str = "SELECT COUNT(*) AS n FROM parked";

async fn eventually_parked(database: &Database, expected: i64) {
    storefront_testkit::eventually(LIMIT, &format!("{expected} to be parked"), async || {
        count(database, PARKED).await == expected
    })
    .await;
}

fn sessions(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(user, session)| ((*session).into(), (*user).into())).collect()
}

async fn send(world: &World, list: &[(&str, &str)]) -> anyhow::Result<()> {
    let records: Vec<_> = list.iter().map(|(user, session)| record(user, session)).collect();
    world.send(&world.topic(Topic::PaymentSuccessful), &records).await
}

async fn a_parked_key_keeps_its_order_and_others_go_on(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    orders.script().fails.insert("a1".into(), u32::MAX);
    let patient = ParkingPolicy { attempts_max: 1000, ..options().parking };
    let options = ConsumerOptions { parking: patient, ..options() };
    let member = Member::start_with(&world, &database, &orders, options);
    let first = [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")];
    send(&world, &first).await?;
    eventually_handled(&database, 2).await;
    // What comes later for the parked key waits too.
    send(&world, &[("a", "a3"), ("b", "b2")]).await?;
    eventually_handled(&database, 3).await;
    eventually_parked(&database, 3).await;
    let done: Vec<_> = handled(&database).await.into_iter().map(|(session, _)| session).collect();
    assert!(done.iter().all(|session| !session.starts_with('a')), "{done:?}");
    assert!(!orders.script().tried.contains(&"a2".to_owned()), "its head comes first");

    orders.script().fails.clear();
    eventually_handled(&database, 6).await;
    let all = sessions(&[first.as_slice(), &[("a", "a3"), ("b", "b2")]].concat());
    assert_once_and_in_order(&handled(&database).await, &all);
    // The key is free again.
    send(&world, &[("a", "a4")]).await?;
    eventually_handled(&database, 7).await;
    assert_eq!(count(&database, PARKED).await, 0);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM parked_keys").await, 0);
    eventually_sent(&database).await;
    assert_eq!(world.read(&world.topic(Topic::OrderSuccessful))?.len(), 7);
    assert_eq!(world.read(&world.dead_letters())?, []);
    member.stop().await
}

async fn attempts_survive_a_change_of_owner(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    orders.script().fails.insert("a1".into(), u32::MAX);
    let slow = ParkingPolicy { delay_first: Duration::from_secs(1), ..options().parking };
    let slow = ConsumerOptions { parking: slow, ..options() };
    let member = Member::start_with(&world, &database, &orders, slow);
    send(&world, &[("a", "a1"), ("a", "a2")]).await?;
    eventually_parked(&database, 2).await;
    member.stop().await?;
    // Another instance goes on counting: four attempts in all, then the dead letter, then the follower.
    let member = Member::start(&world, &database, &orders);
    eventually_handled(&database, 1).await;
    eventually_sent(&database).await;
    member.stop().await?;
    assert_eq!(orders.script().tried.iter().filter(|s| *s == "a1").count(), 5, "one in vain");
    let dead = world.read(&world.dead_letters())?;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].header("dlq-reason"), Some("attempts-exhausted"));
    assert_eq!(dead[0].header("dlq-attempts"), Some("4"));
    assert_eq!(handled(&database).await, sessions(&[("a", "a2")]));
    Ok(())
}

async fn many_failures_at_random_keep_every_keys_order(world: World) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(storefront_testkit::seed());
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let all: Vec<(String, String)> =
        (0..300).map(|n| (format!("s{n:03}"), format!("u{}", n % 40))).collect();
    for (session, _) in &all {
        if random.u8(0..10) == 0 {
            // At most so often that none runs out of its attempts.
            orders.script().fails.insert(session.clone(), random.u32(1..=3));
        }
    }
    let patient = ParkingPolicy { attempts_max: 1000, ..options().parking };
    let options = ConsumerOptions { parking: patient, batch_max_records: 50, ..options() };
    let members = [
        Member::start_with(&world, &database, &orders, options.clone()),
        Member::start_with(&world, &database, &orders, options),
    ];
    let records: Vec<_> = all.iter().map(|(session, user)| record(user, session)).collect();
    for part in records.chunks(30) {
        world.send(&world.topic(Topic::PaymentSuccessful), part).await?;
    }
    eventually_handled(&database, all.len()).await;
    for member in members {
        member.stop().await?;
    }
    assert_once_and_in_order(&handled(&database).await, &all);
    assert_eq!(count(&database, PARKED).await, 0);
    Ok(())
}

/// Where an event is put behind another one of its key, its transaction stops until nobody has the test's lock.
const STOP_BEHIND: [&str; 2] = [
    "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'",
    "CREATE TRIGGER stop BEFORE INSERT ON parked FOR EACH ROW WHEN (NEW.attempts = 0) \
     EXECUTE FUNCTION stop()",
];

/// While one instance tries a key's first event, another one must neither try it too, nor put an event behind it that
/// the first one does not know of. On SQLite there is one writer at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_in_one_hand_at_a_time() -> anyhow::Result<()> {
    const WAITING: &str = "SELECT COUNT(*) AS n FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let world = World::real().await?;
    let database = world.store.open(MIGRATIONS).await;
    for sql in STOP_BEHIND {
        database.query(sql, &[]).await?;
    }
    let orders = Orders::default();
    let tried = || orders.script().tried.iter().filter(|session| *session == "a1").count();
    let parking = ParkingPolicy { attempts_max: 1000, ..options().parking };
    let options = ConsumerOptions { parking, handler_limit: LIMIT, ..options() };
    let members = [(); 2].map(|()| Member::start_with(&world, &database, &orders, options.clone()));

    orders.script().fails.insert("a1".into(), u32::MAX);
    send(&world, &[("a", "a1")]).await?;
    eventually_parked(&database, 1).await;
    let go_on = Arc::new(Notify::new());
    let before = {
        let mut script = orders.script();
        script.waits.insert("a1".into(), go_on.clone());
        script.fails.clear();
        script.tried.iter().filter(|session| *session == "a1").count()
    };
    storefront_testkit::eventually(LIMIT, "a1 in one hand", async || tried() > before).await;

    // It has been due for longer than any other, and is passed by.
    orders.script().fails.insert("b1".into(), 2);
    send(&world, &[("b", "b1")]).await?;
    storefront_testkit::eventually(LIMIT, "the other hand to be used", async || {
        handled(&database).await.len() == 1 || tried() > before + 1
    })
    .await;
    assert_eq!(tried(), before + 1, "two instances try one event");

    let mut lock = database.begin().await?;
    lock.query("SELECT pg_advisory_xact_lock(1)", &[]).await?;
    send(&world, &[("a", "a2")]).await?;
    storefront_testkit::eventually(LIMIT, "a2 to wait for a1", async || {
        count(&database, WAITING).await > 0
    })
    .await;
    // Nothing is behind it, as far as the one knows that has it.
    go_on.notify_one();
    eventually_handled(&database, 2).await;
    lock.rollback().await;
    eventually_handled(&database, 3).await;
    for member in members {
        member.stop().await?;
    }
    let all = sessions(&[("a", "a1"), ("b", "b1"), ("a", "a2")]);
    assert_once_and_in_order(&handled(&database).await, &all);
    assert_eq!(count(&database, PARKED).await, 0);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM parked_keys").await, 0);
    Ok(())
}

async fn a_handler_that_panics_or_hangs_is_a_failure_like_any_other(
    world: World,
) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    orders.script().panics.insert("a1".into());
    orders.script().hangs.insert("b1".into());
    let once = ParkingPolicy { attempts_max: 1, ..options().parking };
    // Long enough for the others on a busy machine, short enough to wait for.
    let handler_limit = Duration::from_secs(2);
    let options = ConsumerOptions { parking: once, handler_limit, ..options() };
    let member = Member::start_with(&world, &database, &orders, options);
    send(&world, &[("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")]).await?;
    eventually_handled(&database, 2).await;
    eventually_sent(&database).await;
    member.stop().await?;
    let dead = world.read(&world.dead_letters())?;
    let mut errors: Vec<_> = dead.iter().map(|dead| dead.header("dlq-error").unwrap()).collect();
    errors.sort_unstable();
    assert!(errors[0].ends_with("the handler panicked"), "{errors:?}");
    assert!(errors[1].ends_with("the handler took too long"), "{errors:?}");
    Ok(())
}

async fn at_the_bound_the_partition_waits_and_nothing_is_lost(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let all: Vec<(String, String)> = (0..20).map(|n| (format!("a{n:02}"), "a".into())).collect();
    orders.script().fails.insert("a00".into(), u32::MAX);
    let parking = ParkingPolicy { attempts_max: 1000, parked_max: 5, ..options().parking };
    let member =
        Member::start_with(&world, &database, &orders, ConsumerOptions { parking, ..options() });
    let records: Vec<_> = all.iter().map(|(session, user)| record(user, session)).collect();
    world.send(&world.topic(Topic::PaymentSuccessful), &records).await?;
    eventually_parked(&database, 5).await;
    // Users whose keys are in other partitions are served.
    let others: Vec<_> = (0..12).map(|n| record(&format!("u{n}"), &format!("o{n}"))).collect();
    world.send(&world.topic(Topic::PaymentSuccessful), &others).await?;
    eventually_handled(&database, 4).await;
    assert_eq!(count(&database, PARKED).await, 5, "no more than the bound");
    orders.script().fails.clear();
    eventually_handled(&database, 32).await;
    member.stop().await?;
    let of_a: Vec<_> =
        handled(&database).await.into_iter().filter(|(_, user)| user == "a").collect();
    assert_eq!(of_a, all);
    Ok(())
}
