//! The sender against a scripted mail server, on both databases: what each trouble leaves in the rows,
//! in the outbox, and with the shopper. Here is what the tests share.

use std::{net::Ipv4Addr, sync::Arc};

use jiff::Timestamp;
use serde_json::Value as Json;
use storefront_contract::{
    CartLine, Envelope, Event, OrderSuccessful, PaymentSuccessful, ServiceId, Shop, Topic, ids,
    settings::{
        Branding, Common, DatabaseSettings, DatabaseUrl, KafkaSecurity, KafkaSettings, SmtpSettings,
    },
};
use storefront_runtime::{Database, Failure, Outbox, Received, Record, Service};
use storefront_testkit::{eventually, free_ports};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::*;
use crate::{
    address, api,
    clock::Clock,
    happening::Happening,
    marks::Marks,
    metrics::MailMetrics,
    policy::Policy,
    queue::QueueMails,
    schema::MIGRATIONS,
    server::{Act, Server, Stage},
    smtp::Smtp,
};

/// Makes two tests of each scenario, `sqlite::NAME` and `postgres::NAME`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Store::sqlite().await).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(super::Store::postgres().await).await }
        )* }
    };
}

mod answers;
mod logs;
mod states;

struct Store {
    database: Database,
    _folder: Option<TempDir>,
}

impl Store {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("email.db").display());
        Self { database: open(url).await, _folder: Some(folder) }
    }

    async fn postgres() -> Self {
        let url = storefront_testkit::postgres().await.unwrap().database().await.unwrap();
        Self { database: open(url).await, _folder: None }
    }
}

async fn open(url: String) -> Database {
    let settings = DatabaseSettings { url: DatabaseUrl::Plain(url), max_connections: 6 };
    Database::open(&settings, &shop(), ServiceId::Email, MIGRATIONS).await.unwrap()
}

fn shop() -> Shop {
    "default/demo".parse().unwrap()
}

fn branding() -> Branding {
    Branding {
        shop_name: "Demo".into(),
        logo: None,
        primary_color: Branding::DEFAULT_PRIMARY_COLOR,
        accent_color: Branding::DEFAULT_ACCENT_COLOR,
    }
}

/// Days of a real sender in a second.
fn quick() -> Policy {
    let ms = Duration::from_millis;
    Policy {
        retry_first: ms(20),
        retry_most: ms(100),
        address_first: ms(20),
        unclear_most: 3,
        hold_first: ms(20),
        hold_most: ms(100),
        lease: ms(2_000),
        poll_most: ms(50),
        stop_patience: ms(100),
    }
}

/// One instance of the service, without Kafka: events are handed to its handler by hand.
struct Office {
    database: Database,
    handler: QueueMails,
    desk: Arc<Desk>,
    shutdown: Shutdown,
    running: JoinHandle<()>,
}

impl Office {
    async fn open(store: &Store, smtp: &SmtpSettings) -> Self {
        Self::open_with(store, smtp, quick(), 72 * 3_600_000).await
    }

    async fn open_with(
        store: &Store,
        smtp: &SmtpSettings,
        policy: Policy,
        max_age_ms: i64,
    ) -> Self {
        let database = store.database.clone();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let common = Common { shop: shop(), http_listen: any, admin_listen: any, drain_ms: 0 };
        let service = Service::new(ServiceId::Email, &common, Shutdown::new());
        let security = KafkaSecurity::default();
        let kafka = KafkaSettings { brokers: Vec::new(), prefix: String::new(), security };
        let from = address::sender("Demo <shop@example.com>").unwrap();
        let metrics = MailMetrics::register(&service.metrics);
        let wake = Arc::new(Notify::new());
        let handler = QueueMails {
            shop: shop(),
            from: from.clone(),
            send_on: vec![Topic::PaymentSuccessful, Topic::OrderSuccessful],
            max_age_ms,
            metrics: metrics.clone(),
            wake: Arc::clone(&wake),
            clock: Timestamp::now,
        };
        let outbox = Outbox::new(&service, &kafka, &database);
        let clock = Arc::new(Clock::new(&database).await.unwrap());
        let holder = uuid::Uuid::new_v4().to_string();
        let desk = Arc::new(Desk {
            marks: Marks::new(&database, &outbox, &clock, &holder),
            outbox,
            smtp: Smtp::new(smtp).unwrap(),
            from,
            branding: branding(),
            public_url: "https://shop.example.com".parse().unwrap(),
            policy,
            metrics,
            clock,
            holder,
            database: database.clone(),
        });
        let sender = Sender::new(Arc::clone(&desk), wake, smtp.connections as usize);
        let shutdown = service.shutdown.clone();
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { sender.run(&stop).await });
        Self { database, handler, desk, shutdown, running }
    }

    /// Hands events to the handler, as the consumer does.
    async fn take(&self, events: &[Received<Happening>]) -> Result<(), Failure> {
        let mut tx = self.database.begin().await?;
        self.handler.take(events, &mut tx).await?;
        Ok(tx.commit().await?)
    }

    async fn state(&self, session: &str) -> String {
        let sql = "SELECT state, reason, attempts, unclear FROM mails WHERE session_id = $1 \
            ORDER BY template DESC";
        let rows = self.database.query(sql, &[session.into()]).await.unwrap();
        let states = rows.iter().map(|row| {
            let reason = row.opt_text("reason").unwrap();
            let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
            let (attempts, unclear) = (row.int("attempts").unwrap(), row.int("unclear").unwrap());
            format!("{}{reason} after {attempts}, {unclear} unclear", row.text("state").unwrap())
        });
        states.collect::<Vec<_>>().join("; ")
    }

    async fn comes_to(&self, session: &str, state: &str) {
        let mut last = String::new();
        let limit = Instant::now() + Duration::from_secs(20);
        while last != state {
            assert!(Instant::now() < limit, "{session} is {last:?}, not {state:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
            last = self.state(session).await;
        }
    }

    /// Topics and values that are to be sent to Kafka.
    async fn outbox(&self) -> Vec<(String, Json)> {
        let rows = self.database.query("SELECT topic, payload FROM outbox ORDER BY id", &[]).await;
        let value = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
        let row = |row: &storefront_runtime::Row| {
            (row.text("topic").unwrap(), value(row.bytes("payload").unwrap()))
        };
        rows.unwrap().iter().map(row).collect()
    }

    async fn close(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}

fn cart() -> Vec<CartLine> {
    let (id, name) = ("phone".into(), "Nova 5G".into());
    vec![CartLine { id, name, quantity: 2, price: 1_899_900 }]
}

fn payment(session: &str, email: Option<&str>) -> PaymentSuccessful {
    PaymentSuccessful {
        user_id: format!("user of {session}"),
        cart: cart(),
        amount: 3_799_800,
        currency: "INR".parse().unwrap(),
        email: email.map(Into::into),
        session_id: session.into(),
        order_id: ids::order_id(&shop(), session),
        paid_at: Timestamp::now(),
    }
}

fn received<E: Event>(event: E, id: &str, happening: fn(E) -> Happening) -> Received<Happening> {
    let record = Record {
        topic: E::TOPIC,
        partition: 1,
        offset: 7,
        source: "/shops/default/demo/payment".into(),
        id: id.into(),
        key: Some(event.key().as_bytes().to_vec()),
        payload: Some(serde_json::to_vec(&event).unwrap()),
        headers: r#"[["ce_id","x"],["of-a-client","kept"]]"#.into(),
    };
    Received {
        envelope: Envelope {
            id: id.into(),
            source: record.source.clone(),
            event_type: E::TYPE.into(),
            time: Timestamp::now(),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        },
        topic: E::TOPIC,
        partition: 1,
        offset: 7,
        record: Some(Box::new(record)),
        event: happening(event),
    }
}

/// A payment by `mailbox@example.com`, whose session is named like the mailbox.
fn paid(mailbox: &str) -> Received<Happening> {
    let address = format!("{mailbox}@example.com");
    received(payment(mailbox, Some(&address)), mailbox, Happening::Paid)
}

fn ordered(session: &str) -> Received<Happening> {
    let payment = payment(session, None);
    let order = OrderSuccessful {
        order_id: payment.order_id,
        user_id: payment.user_id,
        cart: payment.cart,
        amount: payment.amount,
        currency: payment.currency,
        session_id: payment.session_id,
        created_at: payment.paid_at,
    };
    received(order, &format!("order of {session}"), Happening::Ordered)
}

/// Longest wait for anything.
const LIMIT: Duration = Duration::from_secs(20);
const SENT: &str = "sent after 1, 0 unclear";
