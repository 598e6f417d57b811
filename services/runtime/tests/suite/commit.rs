//! The line to PostgreSQL is cut at COMMIT: before the server hears it, or before its answer is heard. What
//! is not known is looked up, so that nothing is lost and nothing is done twice.

use std::collections::HashSet;

use storefront_contract::Topic;
use storefront_testkit::{Cutter, Moment, eventually};

use crate::{
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, count, eventually_handled,
        eventually_sent, handled, record,
    },
    world::{LIMIT, Store, World},
};

const CUTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_commit_was_not_heard_is_handled_again() -> anyhow::Result<()> {
    each_cut_loses_and_doubles_nothing(Moment::Before).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_commit_was_not_answered_is_not() -> anyhow::Result<()> {
    each_cut_loses_and_doubles_nothing(Moment::After).await
}

async fn each_cut_loses_and_doubles_nothing(moment: Moment) -> anyhow::Result<()> {
    let direct = storefront_testkit::postgres().await?.database().await?;
    let server = direct.split(['@', '/']).nth(3).unwrap_or_default();
    let cutter = Cutter::start(server, "COMMIT\0").await?;
    let mut world = World::embedded().await?;
    world.store = Store::Postgres { url: direct.replace(server, &cutter.address().to_string()) };
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let member = Member::start(&world, &database, &orders);
    let mut sent = Vec::new();
    for round in 0..CUTS {
        cutter.cut(moment, 1);
        let some: Vec<(String, String)> =
            (0..10).map(|n| (format!("s{round}-{n}"), format!("u{}", n % 3))).collect();
        let records: Vec<_> = some.iter().map(|(session, user)| record(user, session)).collect();
        world.send(&world.topic(Topic::PaymentSuccessful), &records).await?;
        sent.extend(some);
        eventually_handled(&database, sent.len()).await;
        eventually(LIMIT, "a cut", async || cutter.cuts() > round).await;
    }
    eventually_sent(&database).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &sent);
    let tried = orders.script().tried.len();
    match moment {
        Moment::Before => assert!(tried > sent.len(), "no batch was handled again"),
        Moment::After => assert!(tried >= sent.len()),
    }
    let next = "SELECT CAST(SUM(next_offset) AS BIGINT) AS n FROM offsets";
    assert_eq!(count(&database, next).await, i64::try_from(sent.len())?);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM parked").await, 0);
    let orders = world.read(&world.topic(Topic::OrderSuccessful))?;
    let ids: HashSet<_> = orders.iter().map(|order| order.header("ce_id")).collect();
    assert_eq!(ids.len(), sent.len());
    assert_eq!(world.read(&world.dead_letters())?, []);
    Ok(())
}
