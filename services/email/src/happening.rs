//! What a mail can be about: the events of the two topics that email reads.

use jiff::Timestamp;
use storefront_contract::{Incoming, Invalid, OrderSuccessful, PaymentSuccessful, Template, Topic};
use uuid::Uuid;

use crate::letter::Purchase;

/// An event that may become a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    Paid(PaymentSuccessful),
    Ordered(OrderSuccessful),
}

impl Incoming for Happening {
    fn decode(topic: Topic, payload: &[u8]) -> Result<Self, Invalid> {
        match topic {
            Topic::OrderSuccessful => Incoming::decode(topic, payload).map(Self::Ordered),
            // Refuses the topics that are not ours.
            _ => <PaymentSuccessful as Incoming>::decode(topic, payload).map(Self::Paid),
        }
    }
}

impl Happening {
    /// The mail that it becomes.
    pub fn template(&self) -> Template {
        match self {
            Self::Paid(_) => Template::PaymentReceipt,
            Self::Ordered(_) => Template::OrderConfirmation,
        }
    }

    pub fn session_id(&self) -> &str {
        match self {
            Self::Paid(payment) => &payment.session_id,
            Self::Ordered(order) => &order.session_id,
        }
    }

    pub fn order_id(&self) -> Uuid {
        match self {
            Self::Paid(payment) => payment.order_id,
            Self::Ordered(order) => order.order_id,
        }
    }

    pub fn at(&self) -> Timestamp {
        match self {
            Self::Paid(payment) => payment.paid_at,
            Self::Ordered(order) => order.created_at,
        }
    }

    /// What the mail tells.
    pub fn into_purchase(self) -> Purchase {
        let at = self.at();
        match self {
            Self::Paid(p) => Purchase {
                order_id: p.order_id,
                session_id: p.session_id,
                user_id: p.user_id,
                cart: p.cart,
                amount: p.amount,
                currency: p.currency,
                at,
            },
            Self::Ordered(o) => Purchase {
                order_id: o.order_id,
                session_id: o.session_id,
                user_id: o.user_id,
                cart: o.cart,
                amount: o.amount,
                currency: o.currency,
                at,
            },
        }
    }
}
