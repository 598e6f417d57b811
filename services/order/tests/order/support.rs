//! Databases and payments for the tests.

use jiff::Timestamp;
use storefront_contract::{
    CartLine, Envelope, Event, PaymentSuccessful, ServiceId, Shop, envelope, ids,
    settings::{DatabaseSettings, DatabaseUrl},
};
use storefront_order::MIGRATIONS;
use storefront_runtime::{Database, Received};
use tempfile::TempDir;

/// Makes two tests of each scenario, `sqlite::NAME` and `postgres::NAME`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Store::sqlite().await).await }
        )* }
        mod postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Store::postgres().await).await }
        )* }
    };
}

/// An empty database of the service.
pub struct Store {
    pub database: Database,
    _folder: Option<TempDir>,
}

impl Store {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("order.db").display());
        Self { database: open(url).await, _folder: Some(folder) }
    }

    pub async fn postgres() -> Self {
        let url = storefront_testkit::postgres().await.unwrap().database().await.unwrap();
        Self { database: open(url).await, _folder: None }
    }
}

async fn open(url: String) -> Database {
    let settings = DatabaseSettings { url: DatabaseUrl::Plain(url), max_connections: 4 };
    Database::open(&settings, &shop(), ServiceId::Order, MIGRATIONS).await.unwrap()
}

pub fn shop() -> Shop {
    "default/demo".parse().unwrap()
}

pub fn payment(session_id: &str) -> PaymentSuccessful {
    PaymentSuccessful {
        user_id: "user-1".into(),
        cart: vec![CartLine {
            id: "phone".into(),
            name: "Nova 5G".into(),
            quantity: 2,
            price: 1_899_900,
        }],
        amount: 3_799_800,
        currency: "INR".parse().unwrap(),
        email: Some("ada@example.com".into()),
        session_id: session_id.into(),
        order_id: ids::order_id(&shop(), session_id),
        paid_at: "2026-11-14T10:31:07Z".parse().unwrap(),
    }
}

/// As the runtime hands it over, under an event id of its own.
pub fn received(event: PaymentSuccessful, id: &str) -> Received<PaymentSuccessful> {
    Received {
        envelope: Envelope {
            id: id.into(),
            source: envelope::source(&shop(), ServiceId::Payment),
            event_type: PaymentSuccessful::TYPE.into(),
            time: Timestamp::UNIX_EPOCH,
            traceparent: None,
        },
        topic: PaymentSuccessful::TOPIC,
        partition: 0,
        offset: 0,
        record: None,
        event,
    }
}
