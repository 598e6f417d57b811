//! Members come and go under load, and an owner is late to learn that it is none any more.

use std::time::Duration;

use storefront_contract::Topic;

use crate::{
    on_both,
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, count, eventually_handled,
        eventually_sent, handled, record,
    },
    world::{LIMIT, World},
};

on_both! { World;
    members_join_and_leave_under_load,
    an_owner_that_was_replaced_changes_nothing,
}

async fn members_join_and_leave_under_load(world: World) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(storefront_testkit::seed());
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let all: Vec<(String, String)> =
        (0..2000).map(|n| (format!("s{n:04}"), format!("u{}", n % 50))).collect();
    let mut members = vec![Member::start(&world, &database, &orders)];
    for part in all.chunks(100) {
        let records: Vec<_> = part.iter().map(|(session, user)| record(user, session)).collect();
        world.send(&world.topic(Topic::PaymentSuccessful), &records).await?;
        if members.len() < 2 || (members.len() < 4 && random.bool()) {
            members.push(Member::start(&world, &database, &orders));
        } else {
            members.swap_remove(random.usize(..members.len())).stop().await?;
        }
    }
    eventually_handled(&database, all.len()).await;
    eventually_sent(&database).await;
    for member in members {
        member.stop().await?;
    }
    assert_once_and_in_order(&handled(&database).await, &all);
    let ended: i64 =
        count(&database, "SELECT CAST(SUM(next_offset) AS BIGINT) AS n FROM offsets").await;
    assert_eq!(ended, 2000, "offsets never go back");
    let epochs = count(&database, "SELECT MAX(epoch) AS n FROM offsets").await;
    assert!(epochs > 1, "partitions changed hands");
    Ok(())
}

/// The database gives the partitions to somebody else behind the owner's back, as happens when that one
/// was frozen, declared dead, and wakes up in the middle of a batch.
async fn an_owner_that_was_replaced_changes_nothing(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let orders = Orders::default();
    let member = Member::start(&world, &database, &orders);
    let payments = world.topic(Topic::PaymentSuccessful);
    world.send(&payments, &[record("u", "before")]).await?;
    eventually_handled(&database, 1).await;
    database.query("UPDATE offsets SET epoch = epoch + 1", &[]).await?;
    world.send(&payments, &[record("u", "after")]).await?;
    // For a while it leaves the partition alone; as Kafka says that it is the owner all the same, it
    // takes it again.
    let started = std::time::Instant::now();
    storefront_testkit::eventually(LIMIT, "the partition to be taken again", async || {
        handled(&database).await.len() == 2
    })
    .await;
    assert!(started.elapsed() > Duration::from_secs(1));
    assert_eq!(orders.script().tried, ["before", "after"], "nothing was handled without the fence");
    member.stop().await
}
