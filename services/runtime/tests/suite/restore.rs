//! The database goes back in time, and topics become others of the same name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use storefront_contract::Topic;
use storefront_runtime::{ConsumerOptions, Database};

use crate::{
    on_both,
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, bare, count, eventually_handled,
        eventually_sent, handled, options, record,
    },
    world::{LIMIT, Sent, Store, World},
};

on_both! { World;
    a_database_restored_from_a_backup_reads_again_what_it_lost,
    a_database_that_goes_back_under_a_running_consumer_is_caught_up,
    a_topic_made_again_while_nobody_looked_is_read_from_its_beginning,
    a_topic_made_again_under_a_running_consumer_is_read_from_its_beginning,
    expired_records_are_counted_and_the_rest_is_read,
}

/// A copy of the database as it is now; nobody may use it meanwhile.
async fn copy(store: &Store) -> anyhow::Result<Store> {
    match store {
        Store::Sqlite(folder) => {
            let backup = tempfile::tempdir()?;
            for entry in std::fs::read_dir(folder.path())? {
                let entry = entry?;
                std::fs::copy(entry.path(), backup.path().join(entry.file_name()))?;
            }
            Ok(Store::Sqlite(backup))
        }
        Store::Postgres { url } => {
            let (server, name) = url.rsplit_once('/').unwrap();
            let copy = format!("{name}_copy");
            let settings = storefront_contract::settings::DatabaseSettings {
                url: storefront_contract::settings::DatabaseUrl::Plain(format!(
                    "{server}/postgres"
                )),
                max_connections: 2,
            };
            let service = storefront_contract::ServiceId::Gateway;
            let admin = Database::open(&settings, &crate::world::shop(), service, &[]).await?;
            let sql = format!("CREATE DATABASE {copy} TEMPLATE {name}");
            let sql: &'static str = Box::leak(sql.into_boxed_str());
            // Connections that were just closed may not be gone yet.
            storefront_testkit::eventually(LIMIT, "a copy", async || {
                admin.query(sql, &[]).await.is_ok()
            })
            .await;
            admin.close().await;
            Ok(Store::Postgres { url: format!("{server}/{copy}") })
        }
    }
}

async fn send(world: &World, list: &[(String, String)]) -> anyhow::Result<()> {
    let records: Vec<_> = list.iter().map(|(session, user)| record(user, session)).collect();
    world.send(&world.topic(Topic::PaymentSuccessful), &records).await
}

fn some(round: &str, from: usize, to: usize) -> Vec<(String, String)> {
    (from..to).map(|n| (format!("{round}{n:03}"), format!("u{}", n % 5))).collect()
}

async fn a_database_restored_from_a_backup_reads_again_what_it_lost(
    world: World,
) -> anyhow::Result<()> {
    let all = some("s", 0, 90);
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[..30]).await?;
    eventually_handled(&database, 30).await;
    eventually_sent(&database).await;
    member.stop().await?;
    database.close().await;
    let backup = copy(&world.store).await?;

    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[30..60]).await?;
    eventually_handled(&database, 60).await;
    eventually_sent(&database).await;
    member.stop().await?;
    database.close().await;

    let database = backup.open(MIGRATIONS).await;
    assert_eq!(handled(&database).await.len(), 30, "the backup is older");
    let orders = Orders::default();
    let member = Member::start(&world, &database, &orders);
    send(&world, &all[60..]).await?;
    eventually_handled(&database, 90).await;
    eventually_sent(&database).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &all);
    let lost: BTreeSet<_> = all[30..].iter().map(|(session, _)| session.as_str()).collect();
    assert_eq!(orders.script().sessions_tried(), lost, "what the backup had was handled again");
    // On the wire some orders stand twice, under the same id.
    let mut sent: BTreeMap<String, usize> = BTreeMap::new();
    for order in world.read(&world.topic(Topic::OrderSuccessful))? {
        *sent.entry(order.header("ce_id").unwrap().to_owned()).or_default() += 1;
    }
    let twice = sent.values().filter(|times| **times > 1).count();
    // A relay may send one twice at any time, and does when it hears no answer for too long.
    assert!(sent.len() == 90 && twice >= 30, "{twice} of {}", sent.len());
    Ok(())
}

async fn a_database_that_goes_back_under_a_running_consumer_is_caught_up(
    world: World,
) -> anyhow::Result<()> {
    let all = some("s", 0, 40);
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[..30]).await?;
    eventually_handled(&database, 30).await;
    eventually_sent(&database).await;
    // As if it were restored from a backup made before anything was handled.
    let mut tx = database.begin().await?;
    for statement in [
        "DELETE FROM payments",
        "DELETE FROM inbox",
        "UPDATE offsets SET next_offset = 0, fingerprint = NULL",
    ] {
        tx.execute(statement, &[]).await?;
    }
    tx.commit().await?;
    send(&world, &all[30..]).await?;
    // Every partition gets something, so that each finds out.
    let markers: Vec<_> = (0..crate::world::PARTITIONS)
        .map(|n| Sent { partition: Some(n), ..record(&format!("m{n}"), &format!("m{n}")) })
        .collect();
    world.send(&world.topic(Topic::PaymentSuccessful), &markers).await?;
    eventually_handled(&database, 43).await;
    member.stop().await?;
    let handled: Vec<_> =
        handled(&database).await.into_iter().filter(|(s, _)| s.starts_with('s')).collect();
    assert_once_and_in_order(&handled, &all);
    Ok(())
}

async fn a_topic_made_again_while_nobody_looked_is_read_from_its_beginning(
    world: World,
) -> anyhow::Result<()> {
    let payments = world.topic(Topic::PaymentSuccessful);
    let database = world.store.open(MIGRATIONS).await;
    // More in the new log than in the old one, as many, and fewer: the offset alone cannot tell.
    let mut handled_before = 0;
    for (round, count) in [("a", 20), ("b", 30), ("c", 30), ("d", 10)] {
        if handled_before > 0 {
            world.replace_topic(&payments).await?;
        }
        send(&world, &some(round, 0, count)).await?;
        // Without an id it is known by its place, which is another one in another log.
        world.send(&payments, &[bare("u1", &format!("bare-{round}"))]).await?;
        handled_before += count + 1;
        let member = Member::start(&world, &database, &Orders::default());
        eventually_handled(&database, handled_before).await;
        member.stop().await?;
    }
    assert_eq!(handled(&database).await.len(), handled_before);
    assert_eq!(count(&database, "SELECT MAX(generation) AS n FROM offsets").await, 3);
    Ok(())
}

async fn a_topic_made_again_under_a_running_consumer_is_read_from_its_beginning(
    world: World,
) -> anyhow::Result<()> {
    let payments = world.topic(Topic::PaymentSuccessful);
    let database = world.store.open(MIGRATIONS).await;
    // A client that the change has stalled is made anew, and not only after a minute.
    let options = ConsumerOptions { watchdog_period: Duration::from_secs(10), ..options() };
    let member = Member::start_with(&world, &database, &Orders::default(), options);
    let (first, second) = (some("a", 0, 30), some("b", 0, 60));
    send(&world, &first).await?;
    eventually_handled(&database, 30).await;
    world.replace_topic(&payments).await?;
    // The last ten were in the old one too.
    send(&world, &[&second[..], &first[20..]].concat()).await?;
    eventually_handled(&database, 90).await;
    eventually_sent(&database).await;
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &[first, second].concat());
    Ok(())
}

async fn expired_records_are_counted_and_the_rest_is_read(world: World) -> anyhow::Result<()> {
    let payments = world.topic(Topic::PaymentSuccessful);
    let database = world.store.open(MIGRATIONS).await;
    let member = Member::start(&world, &database, &Orders::default());
    let all = some("s", 0, 30);
    send(&world, &all[..10]).await?;
    eventually_handled(&database, 10).await;
    member.stop().await?;
    send(&world, &all[10..20]).await?;
    // Retention at work: everything so far goes, read or not.
    let mut list = rdkafka::TopicPartitionList::new();
    for partition in 0..crate::world::PARTITIONS {
        list.add_partition_offset(&payments, partition, rdkafka::Offset::End)?;
    }
    let options = rdkafka::admin::AdminOptions::new();
    world.admin().delete_records(&list, &options).await?;
    let member = Member::start(&world, &database, &Orders::default());
    send(&world, &all[20..]).await?;
    eventually_handled(&database, 20).await;
    let metrics = member.service.metrics.encode();
    member.stop().await?;
    let lost: u64 = metrics
        .lines()
        .filter(|line| line.starts_with("storefront_records_expired_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    assert_eq!(lost, 10, "{metrics}");
    assert_eq!(handled(&database).await.len(), 20);
    Ok(())
}
