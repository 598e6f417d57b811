//! Databases and payments for the tests.

use jiff::Timestamp;
use storefront_contract::{
    CartLine, Envelope, Event, PaymentSuccessful, ServiceId, Shop, envelope, ids,
};
use storefront_order::MIGRATIONS;
use storefront_runtime::{Database, Received};
use storefront_testkit::EmptyDatabase;

/// A database of the service.
pub struct Store {
    pub database: Database,
    _empty: EmptyDatabase,
}

impl Store {
    pub async fn open(empty: EmptyDatabase) -> Self {
        let (id, settings) = (ServiceId::Order, &empty.settings);
        let database = Database::open(settings, &shop(), id, MIGRATIONS).await.unwrap();
        Self { database, _empty: empty }
    }
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
