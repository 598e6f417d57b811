//! Every connection to PostgreSQL dies at once and without a word, as where a firewall forgets them: whoever waits goes
//! on with another one, and what was done is done once.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use storefront_contract::Topic;
use storefront_runtime::{Database, DatabaseError};
use storefront_testkit::{Wire, eventually, seed};

use crate::{
    shop::{
        MIGRATIONS, Member, Orders, assert_once_and_in_order, count, eventually_handled,
        eventually_sent, handled, record,
    },
    world::{LIMIT, Store, World},
};

/// The longest that anything stands still: ten seconds, and what a busy machine adds.
const BACK: Duration = Duration::from_secs(15);
const ROUNDS: usize = 3;
/// More than there are connections.
const CALLERS: usize = 12;
/// The pool's connections: one of the eight is for listening.
const CONNECTIONS: usize = 7;

/// A database of the shared server by a cable, and directly.
async fn cabled() -> anyhow::Result<(Wire, Store, Store)> {
    let direct = storefront_testkit::postgres().await?.database().await?;
    let server = direct.split(['@', '/']).nth(3).unwrap_or_default();
    let wire = Wire::start(vec![server.to_owned()]).await?;
    let url = direct.replace(server, &wire.address().to_string());
    Ok((wire, Store::Postgres { url }, Store::Postgres { url: direct }))
}

/// One who writes rows, one after the other, each again until it is known to be there.
#[derive(Default)]
struct Caller {
    written: Mutex<Vec<String>>,
}

impl Caller {
    fn count(&self) -> usize {
        self.written.lock().unwrap().len()
    }

    async fn write(&self, number: usize, database: &Database, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let id = format!("{number}-{}", self.count());
            let result = database
                .transact(|tx| {
                    let params = [id.as_str().into()];
                    Box::pin(async move {
                        let insert = "INSERT INTO log (id) VALUES ($1) ON CONFLICT DO NOTHING";
                        tx.execute(insert, &params).await?;
                        Ok::<_, DatabaseError>(())
                    })
                })
                .await;
            match result {
                Ok(()) => self.written.lock().unwrap().push(id),
                Err(error) => assert!(error.is_temporary(), "{error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_goes_on_within_ten_seconds() -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(seed());
    let (wire, store, _) = cabled().await?;
    let database = store.open(LOG).await.prompt();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS).map(|_| Arc::new(Caller::default())).collect();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|number| {
            let (caller, database) = (Arc::clone(&callers[number]), database.clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move { caller.write(number, &database, &stop).await })
        })
        .collect();
    let further = async |by: usize| {
        let before: Vec<usize> = callers.iter().map(|caller| caller.count()).collect();
        eventually(LIMIT, "everybody writes", async || {
            callers.iter().zip(&before).all(|(caller, before)| caller.count() >= before + by)
        })
        .await;
    };
    for round in 0..ROUNDS {
        // Somewhere in a statement, or between two.
        further(random.usize(1..10)).await;
        wire.half_open();
        let cut = Instant::now();
        further(1).await;
        let took = cut.elapsed();
        println!("cut {round}: everybody goes on after {took:?}");
        assert!(took < BACK, "cut {round}: {took:?}");
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await?;
    }
    // No connection has kept its place.
    let open = AtomicUsize::new(0);
    let all = join_all((0..CONNECTIONS).map(async |_| {
        let tx = database.begin().await.unwrap();
        open.fetch_add(1, Ordering::SeqCst);
        eventually(BACK, "all are open", async || open.load(Ordering::SeqCst) == CONNECTIONS).await;
        tx.rollback().await;
    }));
    all.await;
    let rows = database.query("SELECT id FROM log", &[]).await?;
    let rows: BTreeSet<_> = rows.iter().map(|row| row.text("id").unwrap()).collect();
    let written: BTreeSet<_> =
        callers.iter().flat_map(|caller| caller.written.lock().unwrap().clone()).collect();
    assert_eq!(rows, written);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_and_handles_each_once() -> anyhow::Result<()> {
    let (wire, store, direct) = cabled().await?;
    let mut world = World::embedded().await?;
    world.store = direct;
    let member = Member::start(&world, &store.open(MIGRATIONS).await, &Orders::default());
    let database = world.store.open(MIGRATIONS).await;
    let mut sent = Vec::new();
    for round in 0..ROUNDS {
        let some: Vec<(String, String)> =
            (0..200).map(|n| (format!("s{round}-{n}"), format!("u{}", n % 20))).collect();
        let records: Vec<_> = some.iter().map(|(session, user)| record(user, session)).collect();
        let (before, after) = records.split_at(records.len() / 2);
        world.send(&world.topic(Topic::PaymentSuccessful), before).await?;
        eventually_handled(&database, sent.len() + 1).await;
        wire.half_open();
        let cut = Instant::now();
        world.send(&world.topic(Topic::PaymentSuccessful), after).await?;
        sent.extend(some);
        eventually_handled(&database, sent.len()).await;
        let took = cut.elapsed();
        println!("cut {round}: all is handled after {took:?}");
        assert!(took < 2 * BACK, "cut {round}: {took:?}");
        eventually_sent(&database).await;
        println!("cut {round}: all is sent after {:?}", cut.elapsed());
    }
    member.stop().await?;
    assert_once_and_in_order(&handled(&database).await, &sent);
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM parked").await, 0);
    assert_eq!(world.read(&world.dead_letters())?, []);
    Ok(())
}

const LOG: &[storefront_runtime::Migration] =
    &[storefront_runtime::Migration::same("log", "CREATE TABLE log (id TEXT PRIMARY KEY)")];
