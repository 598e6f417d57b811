//! The service under test: it writes down each payment in the order in which it handles them, sends an
//! order for each, and fails when it is told to.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use storefront_contract::{
    CartLine, Event as _, OrderSuccessful, PaymentSuccessful, envelope, headers, ids,
};
use storefront_runtime::{
    ConsumeError, ConsumerOptions, Database, Failure, Handler, Migration, Outgoing, ParkingPolicy,
    Received, Shutdown, Tx, consume_with,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::world::{LIMIT, Sent, World};

/// No constraint keeps a payment from being written twice: that is the runtime's promise.
pub const MIGRATIONS: &[Migration] = &[Migration {
    name: "payments",
    postgres: "CREATE TABLE payments (n BIGINT GENERATED ALWAYS AS IDENTITY, session TEXT NOT NULL, \
               user_id TEXT NOT NULL)",
    sqlite: "CREATE TABLE payments (n INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, \
             user_id TEXT NOT NULL)",
}];

/// What goes wrong, by session.
#[derive(Default)]
pub struct Script {
    /// Fails so many more times.
    pub fails: HashMap<String, u32>,
    pub rejected: HashSet<String>,
    pub panics: HashSet<String>,
    pub hangs: HashSet<String>,
    /// An attempt begins, and goes on once it is told to.
    pub waits: HashMap<String, Arc<Notify>>,
    /// Every attempt, in order.
    pub tried: Vec<String>,
}

impl Script {
    /// Every session that was tried at all. A transaction that met trouble is run again, and its events with it.
    pub fn sessions_tried(&self) -> BTreeSet<&str> {
        self.tried.iter().map(String::as_str).collect()
    }
}

#[derive(Clone, Default)]
pub struct Orders(pub Arc<Mutex<Script>>);

impl Orders {
    pub fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        // The handler panics with it in its hand when it is told to.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Handler for Orders {
    type Event = PaymentSuccessful;

    async fn handle(
        &self,
        events: &[Received<PaymentSuccessful>],
        tx: &mut Tx<'_>,
        out: &mut Outgoing,
    ) -> Result<(), Failure> {
        for received in events {
            let payment = &received.event;
            let session = payment.session_id.as_str();
            tx.execute(
                "INSERT INTO payments (session, user_id) VALUES ($1, $2)",
                &[session.into(), (&payment.user_id).into()],
            )
            .await?;
            out.send(&order(payment), &received.envelope);
            let (hangs, waits) = {
                let mut script = self.script();
                script.tried.push(session.to_owned());
                assert!(!script.panics.contains(session), "told to panic");
                if script.rejected.contains(session) {
                    return Err(Failure::permanent("rejected", "told to"));
                }
                if let Some(left) = script.fails.get_mut(session)
                    && *left > 0
                {
                    *left -= 1;
                    return Err(Failure::temporary("told to"));
                }
                (script.hangs.contains(session), script.waits.get(session).cloned())
            };
            if hangs {
                std::future::pending::<()>().await;
            }
            if let Some(told) = waits {
                told.notified().await;
            }
        }
        Ok(())
    }
}

fn order(payment: &PaymentSuccessful) -> OrderSuccessful {
    OrderSuccessful {
        order_id: payment.order_id,
        user_id: payment.user_id.clone(),
        cart: payment.cart.clone(),
        amount: payment.amount,
        currency: payment.currency,
        session_id: payment.session_id.clone(),
        created_at: payment.paid_at,
    }
}

pub fn payment(user: &str, session: &str) -> PaymentSuccessful {
    PaymentSuccessful {
        user_id: user.to_owned(),
        cart: vec![CartLine { id: "p".into(), name: "Phone".into(), quantity: 1, price: 5 }],
        amount: 5,
        currency: "INR".parse().unwrap(),
        email: None,
        session_id: session.to_owned(),
        order_id: ids::order_id(&"default/demo".parse().unwrap(), session),
        paid_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// The record that payment would send.
pub fn record(user: &str, session: &str) -> Sent {
    let event = payment(user, session);
    let shop = "default/demo".parse().unwrap();
    let id = ids::event_id(&shop, PaymentSuccessful::TYPE, &event.identity());
    let source = envelope::source(&shop, storefront_contract::ServiceId::Payment);
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    Sent {
        headers: vec![
            header(headers::SPEC_VERSION, "1.0"),
            header(headers::ID, &id.to_string()),
            header(headers::SOURCE, &source),
            header(headers::TYPE, PaymentSuccessful::TYPE),
            header(headers::TIME, "2026-11-22T00:00:00Z"),
            header(headers::CONTENT_TYPE, "application/json"),
        ],
        ..bare(user, session)
    }
}

/// The same from a producer that knows nothing of CloudEvents.
pub fn bare(user: &str, session: &str) -> Sent {
    Sent {
        partition: None,
        key: Some(user.into()),
        payload: Some(serde_json::to_vec(&payment(user, session)).unwrap()),
        headers: vec![],
    }
}

/// A running consumer.
pub struct Member {
    pub shutdown: Shutdown,
    pub service: storefront_runtime::Service,
    task: JoinHandle<Result<(), ConsumeError>>,
}

impl Member {
    pub fn start(world: &World, database: &Database, handler: &Orders) -> Self {
        Self::start_with(world, database, handler, options())
    }

    pub fn start_with(
        world: &World,
        database: &Database,
        handler: &Orders,
        options: ConsumerOptions,
    ) -> Self {
        let shutdown = Shutdown::new();
        let service = World::service(shutdown.clone());
        let (running, kafka, database) = (service.clone(), world.kafka(), database.clone());
        let handler = handler.clone();
        let task = tokio::spawn(async move {
            consume_with(&running, &kafka, &database, handler, options).await
        });
        Self { shutdown, service, task }
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        tokio::time::timeout(LIMIT, self.task).await???;
        Ok(())
    }
}

/// Short waits; otherwise the defaults. On a busy machine a handler may take its time, and has not failed.
pub fn options() -> ConsumerOptions {
    ConsumerOptions {
        parking: ParkingPolicy {
            attempts_max: 4,
            delay_first: Duration::from_millis(50),
            delay_most: Duration::from_millis(200),
            ..ParkingPolicy::default()
        },
        pause_first: Duration::from_millis(50),
        pause_most: Duration::from_millis(500),
        ..ConsumerOptions::default()
    }
}

/// What was handled, in that order.
pub async fn handled(database: &Database) -> Vec<(String, String)> {
    let rows = database.query("SELECT session, user_id FROM payments ORDER BY n", &[]).await;
    let rows = rows.unwrap();
    rows.iter().map(|row| (row.text("session").unwrap(), row.text("user_id").unwrap())).collect()
}

pub async fn count(database: &Database, sql: &'static str) -> i64 {
    database.query(sql, &[]).await.unwrap()[0].int("n").unwrap()
}

/// Waits until so many payments were handled.
pub async fn eventually_handled(database: &Database, expected: usize) {
    storefront_testkit::eventually(LIMIT, "payments to be handled", async || {
        handled(database).await.len() >= expected
    })
    .await;
}

/// Waits until everything that was stored for sending is sent.
pub async fn eventually_sent(database: &Database) {
    storefront_testkit::eventually(LIMIT, "the outbox to be empty", async || {
        count(database, "SELECT COUNT(*) AS n FROM outbox").await == 0
    })
    .await;
}

/// Checks that each session was handled once, and each user's in the order of `sent`.
pub fn assert_once_and_in_order(handled: &[(String, String)], sent: &[(String, String)]) {
    let mut by_user: HashMap<&str, Vec<&str>> = HashMap::new();
    for (session, user) in handled {
        by_user.entry(user).or_default().push(session);
    }
    let mut expected: HashMap<&str, Vec<&str>> = HashMap::new();
    for (session, user) in sent {
        expected.entry(user).or_default().push(session);
    }
    assert_eq!(by_user, expected);
}
