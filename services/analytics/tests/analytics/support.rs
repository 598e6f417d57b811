//! Databases and events for the tests.

use jiff::Timestamp;
use storefront_analytics::MIGRATIONS;
use storefront_contract::{
    AnyEvent, CartLine, EmailSuccessful, Envelope, Event, OrderSuccessful, PaymentSuccessful,
    ServiceId, Shop, Template, ids,
};
use storefront_runtime::{Database, Received};
use storefront_testkit::EmptyDatabase;
use uuid::Uuid;

/// A database of the service.
pub struct Store {
    pub database: Database,
    _empty: EmptyDatabase,
}

impl Store {
    pub async fn open(empty: EmptyDatabase) -> Self {
        let (id, settings) = (ServiceId::Analytics, &empty.settings);
        let database = Database::open(settings, &shop(), id, MIGRATIONS).await.unwrap();
        Self { database, _empty: empty }
    }
}

pub fn shop() -> Shop {
    "default/demo".parse().unwrap()
}

/// The events of one session, with times in seconds after 10:00.
#[derive(Clone, Copy)]
pub struct Sale {
    pub session: u32,
    pub amount: i64,
    pub currency: &'static str,
}

fn at(second: f64) -> Timestamp {
    let start: Timestamp = "2026-11-14T10:00:00Z".parse().unwrap();
    start + jiff::SignedDuration::from_secs_f64(second)
}

impl Sale {
    pub fn rupees(session: u32, amount: i64) -> Self {
        Self { session, amount, currency: "INR" }
    }

    fn cart(self) -> Vec<CartLine> {
        let (id, name) = ("p".into(), "Phone".into());
        vec![CartLine { id, name, quantity: 1, price: self.amount }]
    }

    fn session_id(self) -> String {
        format!("cs_{}", self.session)
    }

    fn order_id(self) -> Uuid {
        ids::order_id(&shop(), &self.session_id())
    }

    pub fn paid(self, second: f64) -> AnyEvent {
        AnyEvent::Payment(PaymentSuccessful {
            user_id: "user-1".into(),
            cart: self.cart(),
            amount: self.amount,
            currency: self.currency.parse().unwrap(),
            email: Some("ada@example.com".into()),
            session_id: self.session_id(),
            order_id: self.order_id(),
            paid_at: at(second),
        })
    }

    /// Paid by somebody who left no address.
    pub fn paid_silently(self, second: f64) -> AnyEvent {
        match self.paid(second) {
            AnyEvent::Payment(payment) => {
                AnyEvent::Payment(PaymentSuccessful { email: None, ..payment })
            }
            other => other,
        }
    }

    pub fn ordered(self, second: f64) -> AnyEvent {
        AnyEvent::Order(OrderSuccessful {
            order_id: self.order_id(),
            user_id: "user-1".into(),
            cart: self.cart(),
            amount: self.amount,
            currency: self.currency.parse().unwrap(),
            session_id: self.session_id(),
            created_at: at(second),
        })
    }

    pub fn mailed(self, second: f64, template: Template) -> AnyEvent {
        AnyEvent::Email(EmailSuccessful {
            message_id: "1@example.com".into(),
            user_id: "user-1".into(),
            order_id: self.order_id(),
            session_id: self.session_id(),
            template,
            sent_at: at(second),
        })
    }
}

/// As the runtime hands it over. `copy` tells apart several records of the same happening.
pub fn received(event: AnyEvent, copy: &str) -> Received<AnyEvent> {
    let (topic, id) = match &event {
        AnyEvent::Payment(event) => (PaymentSuccessful::TOPIC, event.identity()),
        AnyEvent::Order(event) => (OrderSuccessful::TOPIC, event.identity()),
        AnyEvent::Email(event) => (EmailSuccessful::TOPIC, event.identity()),
    };
    Received {
        envelope: Envelope {
            id: format!("{topic}/{id}{copy}"),
            source: "/shops/default/demo/test".into(),
            event_type: format!("dev.storefront.{topic}"),
            time: Timestamp::UNIX_EPOCH,
            traceparent: None,
        },
        topic,
        partition: 0,
        offset: 0,
        record: None,
        event,
    }
}
