//! What is stored is sent, in order, by one relay at a time, and a message that Kafka refuses holds
//! nobody but its key.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::admin::{AdminOptions, AlterConfig, ResourceSpecifier};
use storefront_contract::{OrderSuccessful, Topic};
use storefront_runtime::{Database, Outbox, RelayError, Shutdown, Sql};
use storefront_testkit::{Mute, eventually};
use tokio::task::JoinHandle;

use crate::{
    on_both,
    shop::{MIGRATIONS, count, eventually_sent, payment},
    world::{LIMIT, World},
};

on_both! { World;
    relays_come_and_go_and_every_keys_order_stays,
    a_refused_message_holds_only_its_key_until_it_is_taken,
    a_missing_topic_holds_only_its_own_messages,
    what_could_not_be_deleted_is_deleted_later_and_sent_once,
    a_message_is_sent_within_moments_of_its_commit,
    nothing_is_sent_of_a_transaction_that_was_rolled_back,
}

/// A relay that runs.
struct Relay {
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RelayError>>,
}

impl Relay {
    fn start(world: &World, database: &Database) -> Self {
        Self::start_as(world, database, |outbox| outbox)
    }

    fn start_as(world: &World, database: &Database, with: impl FnOnce(Outbox) -> Outbox) -> Self {
        let shutdown = Shutdown::new();
        let outbox = Outbox::new(&World::service(shutdown.clone()), &world.kafka(), database);
        let outbox = with(outbox);
        Self { shutdown, task: tokio::spawn(async move { outbox.relay().await }) }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.task).await???;
        Ok(())
    }

    /// As a crash would: nothing is flushed, the lease is not released.
    fn kill(self) {
        self.task.abort();
    }
}

fn order(user: &str, session: &str, note: &str) -> OrderSuccessful {
    let payment = payment(user, session);
    OrderSuccessful {
        order_id: payment.order_id,
        user_id: payment.user_id,
        cart: vec![storefront_contract::CartLine { name: note.into(), ..payment.cart[0].clone() }],
        amount: payment.amount,
        currency: payment.currency,
        session_id: payment.session_id,
        created_at: payment.paid_at,
    }
}

async fn store(world: &World, database: &Database, events: Vec<OrderSuccessful>) {
    let outbox = Outbox::new(&World::service(Shutdown::new()), &world.kafka(), database);
    let events: Vec<_> = events.into_iter().map(|event| (event, None)).collect();
    let mut tx = database.begin().await.unwrap();
    outbox.insert(&mut tx, &events).await.unwrap();
    tx.commit().await.unwrap();
}

/// The sessions of each user in the order of their first occurrence on the wire.
fn on_the_wire(world: &World) -> anyhow::Result<HashMap<String, Vec<String>>> {
    let mut by_user: HashMap<String, Vec<String>> = HashMap::new();
    for seen in world.read(&world.topic(Topic::OrderSuccessful))? {
        let event: OrderSuccessful = serde_json::from_slice(seen.payload.as_deref().unwrap())?;
        let sessions = by_user.entry(event.user_id).or_default();
        if !sessions.contains(&event.session_id) {
            sessions.push(event.session_id);
        }
    }
    Ok(by_user)
}

async fn relays_come_and_go_and_every_keys_order_stays(world: World) -> anyhow::Result<()> {
    let mut random = fastrand::Rng::with_seed(storefront_testkit::seed());
    let database = world.store.open(MIGRATIONS).await;
    let (mut expected, mut stored) = (HashMap::<String, Vec<String>>::new(), 0);
    let mut relays = vec![Relay::start(&world, &database), Relay::start(&world, &database)];
    for round in 0..30 {
        let mut events = Vec::new();
        for _ in 0..random.usize(1..200) {
            let user = format!("u{}", random.u8(0..9));
            let session = format!("s{stored:05}");
            stored += 1;
            events.push(order(&user, &session, "phone"));
            expected.entry(user).or_default().push(session);
        }
        store(&world, &database, events).await;
        match random.u8(0..4) {
            0 if round % 2 == 0 => {
                relays.swap_remove(random.usize(..relays.len())).kill();
                // A killed relay's lease ends by itself; the test need not wait for that.
                database.query("UPDATE leases SET expires_at = 0", &[]).await?;
                relays.push(Relay::start(&world, &database));
            }
            1 => {
                relays.swap_remove(random.usize(..relays.len())).stop().await?;
                relays.push(Relay::start(&world, &database));
            }
            // Two relays believe that they hold it.
            2 => {
                database.query("UPDATE leases SET expires_at = 0", &[]).await?;
            }
            _ => {}
        }
    }
    eventually_sent(&database).await;
    for relay in relays {
        relay.stop().await?;
    }
    assert_eq!(on_the_wire(&world)?, expected);
    Ok(())
}

async fn set_limit(world: &World, topic: &str, bytes: &str) -> anyhow::Result<()> {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes);
    for result in world.admin().alter_configs([&change], &AdminOptions::new()).await? {
        result.map_err(|(_, code)| anyhow::anyhow!("{code}"))?;
    }
    Ok(())
}

async fn a_refused_message_holds_only_its_key_until_it_is_taken(
    mut world: World,
) -> anyhow::Result<()> {
    world.prefix = storefront_testkit::prefix();
    let topic = world.topic(Topic::OrderSuccessful);
    world.create_topic(&topic, &[("max.message.bytes", "20000")]).await?;
    let database = world.store.open(MIGRATIONS).await;
    let large = "x".repeat(50_000);
    let mut events = Vec::new();
    for n in 0..40 {
        let user = format!("u{}", n % 4);
        let note = if n == 9 { large.as_str() } else { "phone" };
        events.push(order(&user, &format!("s{n:02}"), note));
    }
    store(&world, &database, events).await;
    let relay = Relay::start(&world, &database);
    storefront_testkit::eventually(LIMIT, "only one key to be held", async || {
        count(&database, "SELECT COUNT(*) AS n FROM outbox").await == 8
    })
    .await;
    let failed = database.query("SELECT error FROM outbox WHERE state = 1", &[]).await?;
    assert_eq!(failed.len(), 1);
    assert!(failed[0].text("error")?.contains("large"), "{:?}", failed[0].text("error"));
    let wire = on_the_wire(&world)?;
    assert_eq!(wire["u1"], ["s01", "s05"], "what came before it was sent");
    assert_eq!(wire["u2"].len(), 10);
    // Later messages of the key wait too, those of others do not.
    store(&world, &database, vec![order("u1", "s41", "phone"), order("u2", "s42", "phone")]).await;
    storefront_testkit::eventually(LIMIT, "the other key", async || {
        on_the_wire(&world).unwrap()["u2"].len() == 11
    })
    .await;
    assert_eq!(on_the_wire(&world)?["u1"], ["s01", "s05"]);
    // The limit is raised, and a new relay tries at once. The broker takes a moment to heed it.
    relay.stop().await?;
    set_limit(&world, &topic, "200000").await?;
    storefront_testkit::eventually(LIMIT, "the refused message to be taken", async || {
        let relay = Relay::start(&world, &database);
        let sent = tokio::time::timeout(Duration::from_secs(3), eventually_sent(&database)).await;
        relay.stop().await.unwrap();
        sent.is_ok()
    })
    .await;
    let expected: Vec<String> =
        (1..40).step_by(4).map(|n| format!("s{n:02}")).chain(["s41".into()]).collect();
    assert_eq!(on_the_wire(&world)?["u1"], expected);
    Ok(())
}

async fn a_missing_topic_holds_only_its_own_messages(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let topic = world.topic(Topic::OrderSuccessful);
    database
        .query(
            "INSERT INTO outbox (topic, key, payload, headers, created_at) \
             VALUES ($1, $2, $3, '[]', 0)",
            &[
                format!("{}missing", world.prefix).into(),
                b"k".as_slice().into(),
                b"1".as_slice().into(),
            ],
        )
        .await?;
    store(&world, &database, (0..10).map(|n| order("u", &format!("s{n}"), "phone")).collect())
        .await;
    let relay = Relay::start(&world, &database);
    storefront_testkit::eventually(LIMIT, "the others to be sent", async || {
        count(&database, "SELECT COUNT(*) AS n FROM outbox").await == 1
    })
    .await;
    assert_eq!(world.read(&topic)?.len(), 10);
    world.create_topic(&format!("{}missing", world.prefix), &[]).await?;
    eventually_sent(&database).await;
    relay.stop().await?;
    assert_eq!(world.read(&format!("{}missing", world.prefix))?.len(), 1);
    Ok(())
}

const REFUSE_DELETES: Sql = Sql {
    postgres: "CREATE TRIGGER refuse BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION refuse()",
    sqlite: "CREATE TRIGGER refuse BEFORE DELETE ON outbox BEGIN SELECT RAISE(ABORT, 'not now'); END",
};
const ALLOW_DELETES: Sql =
    Sql { postgres: "DROP TRIGGER refuse ON outbox", sqlite: "DROP TRIGGER refuse" };

/// Nothing else is stored or sent meanwhile that would remind the relay of them.
async fn what_could_not_be_deleted_is_deleted_later_and_sent_once(
    world: World,
) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    if database.dialect() == storefront_runtime::Dialect::Postgres {
        let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
            AS 'BEGIN RAISE EXCEPTION ''not now''; END'";
        database.query(refuse, &[]).await?;
    }
    database.query(REFUSE_DELETES, &[]).await?;
    store(&world, &database, (0..3).map(|n| order("u", &format!("s{n}"), "phone")).collect()).await;
    let relay = Relay::start(&world, &database);
    storefront_testkit::eventually(LIMIT, "all to be sent", async || {
        on_the_wire(&world).unwrap().get("u").is_some_and(|sessions| sessions.len() == 3)
    })
    .await;
    assert_eq!(count(&database, "SELECT COUNT(*) AS n FROM outbox").await, 3);
    database.query(ALLOW_DELETES, &[]).await?;
    eventually_sent(&database).await;
    relay.stop().await?;
    assert_eq!(world.read(&world.topic(Topic::OrderSuccessful))?.len(), 3);
    Ok(())
}

/// Stores one message after the other, each once the one before is sent. A relay that is not told looks once a second:
/// it would find one in a look.
async fn tells_at_once(world: &World, database: &Database) {
    const MESSAGES: u64 = 30;
    let started = Instant::now();
    for n in 0..MESSAGES {
        store(world, database, vec![order("u", &format!("s{n}"), "phone")]).await;
        eventually_sent(database).await;
    }
    // However busy the machine is, it does not take a second for each of them.
    let looks = started.elapsed().as_secs() + 1;
    assert!(looks < MESSAGES - 3, "{MESSAGES} messages took {looks} s");
}

async fn a_message_is_sent_within_moments_of_its_commit(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let relay = Relay::start(&world, &database);
    store(&world, &database, vec![order("u", "first", "phone")]).await;
    eventually_sent(&database).await;
    tells_at_once(&world, &database).await;
    relay.stop().await
}

async fn nothing_is_sent_of_a_transaction_that_was_rolled_back(world: World) -> anyhow::Result<()> {
    let database = world.store.open(MIGRATIONS).await;
    let relay = Relay::start(&world, &database);
    let outbox = Outbox::new(&World::service(Shutdown::new()), &world.kafka(), &database);
    let mut tx = database.begin().await?;
    outbox.insert(&mut tx, &[(order("u", "never", "phone"), None)]).await?;
    tx.rollback().await;
    store(&world, &database, vec![order("u", "yes", "phone")]).await;
    eventually_sent(&database).await;
    relay.stop().await?;
    assert_eq!(on_the_wire(&world)?["u"], ["yes"]);
    Ok(())
}

/// The one that stores is not the one that sends, which has its own connection and its own ears.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_is_told_of_what_it_is_to_send() -> anyhow::Result<()> {
    let world = World::real().await?;
    let (sending, storing) =
        (world.store.open(MIGRATIONS).await, world.store.open(MIGRATIONS).await);
    let sender = Relay::start(&world, &sending);
    store(&world, &sending, vec![order("u", "first", "phone")]).await;
    eventually_sent(&sending).await;
    let standby = Relay::start(&world, &storing);
    tells_at_once(&world, &storing).await;
    standby.stop().await?;
    sender.stop().await
}

/// Records that nobody hears are waited for by librdkafka for half a minute, and there are other ways in which it stands
/// still. Only a new producer helps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_has_stalled_is_made_anew() -> anyhow::Result<()> {
    let mute = Mute::listen().await?;
    let silent = mute.0.clone();
    let world = World::behind(mute).await?;
    let database = world.store.open(MIGRATIONS).await;
    let one = async |session: &str| {
        store(&world, &database, vec![order("ada", session, "")]).await;
    };
    let stall = async |period, session: &str| {
        silent.silence_sending(1);
        let relay = Relay::start_as(&world, &database, |outbox| outbox.stalls_after(period));
        one(session).await;
        eventually(LIMIT, "silence", async || silent.left() == 0).await;
        relay
    };
    // Nobody looks: the stall lasts.
    let relay = stall(Duration::from_secs(3600), "s1").await;
    let patience = Duration::from_secs(4);
    let sent = tokio::time::timeout(patience, eventually_sent(&database)).await;
    assert!(sent.is_err(), "this is no stall");
    relay.stop().await?;

    let relay = stall(Duration::from_secs(1), "s2").await;
    let in_time = Duration::from_secs(25);
    tokio::time::timeout(in_time, eventually_sent(&database)).await?;
    relay.stop().await?;
    assert_eq!(on_the_wire(&world)?["ada"], ["s1", "s2"]);
    Ok(())
}
