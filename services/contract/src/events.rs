//! The events of the pipeline, as they stand in the values of Kafka records.
//!
//! Amounts are integers in the currency's minor unit; `currency` is the ISO 4217 code in capitals.
//! Unknown fields are ignored, so that a newer producer does not break an older consumer; a missing
//! or impossible field is a permanent failure that names it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    money::Currency,
    object::{Object, objects},
    product::ID_MAX_LENGTH,
    topics::Topic,
};

/// Why a value is not the event that its topic promises.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    #[error("the value is no JSON of a {topic} event")]
    Json {
        topic: Topic,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{field}` {problem}")]
    Field { field: &'static str, problem: String },
    #[error("the topic {0} is not one this service reads")]
    Topic(Topic),
}

impl Invalid {
    /// A fixed word for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Json { .. } => "undecodable",
            Self::Field { .. } => "invalid",
            Self::Topic(_) => "unexpected-topic",
        }
    }
}

/// An event of this project: what it is called, where it goes, and what makes two of them the same.
pub trait Event: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    const TOPIC: Topic;
    /// `ce_type`.
    const TYPE: &'static str;

    /// Kafka key: the user, so that one user's events keep their order.
    fn key(&self) -> &str;

    /// What the event is about: with shop and type it gives the event's id.
    fn identity(&self) -> String;

    /// What serde cannot say: limits, sums, codes.
    fn validate(&self) -> Result<(), Invalid>;
}

/// What a consumer can take from a record's value.
pub trait Incoming: Sized {
    fn decode(topic: Topic, payload: &[u8]) -> Result<Self, Invalid>;
}

impl<E: Event> Incoming for E {
    fn decode(topic: Topic, payload: &[u8]) -> Result<Self, Invalid> {
        if topic != E::TOPIC {
            return Err(Invalid::Topic(topic));
        }
        let Object(event): Object<E> =
            serde_json::from_slice(payload).map_err(|source| Invalid::Json { topic, source })?;
        event.validate()?;
        Ok(event)
    }
}

/// One line of a paid cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CartLine {
    /// Product id in the shop's catalog.
    #[schemars(length(min = 1, max = ID_MAX_LENGTH))]
    pub id: String,
    /// Product name at the time of payment.
    pub name: String,
    /// Pieces.
    #[schemars(range(min = 1))]
    pub quantity: u32,
    /// Price of one piece, in minor units, at the time of payment.
    #[schemars(range(min = 0))]
    pub price: i64,
}

/// A Checkout session was paid: sent once for each, by payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentSuccessful {
    /// The shopper, as the shop's front end named them.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub user_id: String,
    #[schemars(length(min = 1, max = CART_MAX_LINES))]
    #[serde(deserialize_with = "objects")]
    pub cart: Vec<CartLine>,
    /// Total charged, in minor units; the sum of the lines.
    pub amount: i64,
    pub currency: Currency,
    /// Where the receipt goes; absent when neither shop nor Stripe knows an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Stripe's Checkout session.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub session_id: String,
    /// The order that this payment becomes.
    pub order_id: Uuid,
    /// When Stripe said it was paid (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub paid_at: jiff::Timestamp,
}

/// An order was stored: sent once for each paid session, by order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderSuccessful {
    /// The id that `payment-successful` named.
    pub order_id: Uuid,
    /// The shopper, as the shop's front end named them.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub user_id: String,
    #[schemars(length(min = 1, max = CART_MAX_LINES))]
    #[serde(deserialize_with = "objects")]
    pub cart: Vec<CartLine>,
    /// Total charged, in minor units; the sum of the lines.
    pub amount: i64,
    pub currency: Currency,
    /// Stripe's Checkout session.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub session_id: String,
    /// When the order was stored (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: jiff::Timestamp,
}

/// Which mail.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Template {
    /// "We received your payment", for `payment-successful`.
    PaymentReceipt,
    /// "Your order is placed", for `order-successful`.
    OrderConfirmation,
}

impl Template {
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentReceipt => "payment-receipt",
            Self::OrderConfirmation => "order-confirmation",
        }
    }

    /// The template of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::PaymentReceipt, Self::OrderConfirmation].into_iter().find(|t| t.name() == name)
    }
}

/// A mail was accepted by the mail server: sent once for each, by email.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmailSuccessful {
    /// The mail's `Message-ID`, without angle brackets.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub message_id: String,
    /// The shopper, as the shop's front end named them.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub user_id: String,
    /// The order that the mail is about.
    pub order_id: Uuid,
    /// Stripe's Checkout session.
    #[schemars(length(min = 1, max = TEXT_MAX_LENGTH))]
    pub session_id: String,
    pub template: Template,
    /// When the server took it (RFC 3339).
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub sent_at: jiff::Timestamp,
}

impl Event for PaymentSuccessful {
    const TOPIC: Topic = Topic::PaymentSuccessful;
    const TYPE: &'static str = "dev.storefront.payment-successful";

    fn key(&self) -> &str {
        &self.user_id
    }

    fn identity(&self) -> String {
        self.session_id.clone()
    }

    fn validate(&self) -> Result<(), Invalid> {
        text("userId", &self.user_id)?;
        text("sessionId", &self.session_id)?;
        cart_adds_up(&self.cart, self.amount)
    }
}

impl Event for OrderSuccessful {
    const TOPIC: Topic = Topic::OrderSuccessful;
    const TYPE: &'static str = "dev.storefront.order-successful";

    fn key(&self) -> &str {
        &self.user_id
    }

    fn identity(&self) -> String {
        self.session_id.clone()
    }

    fn validate(&self) -> Result<(), Invalid> {
        text("userId", &self.user_id)?;
        text("sessionId", &self.session_id)?;
        cart_adds_up(&self.cart, self.amount)
    }
}

impl Event for EmailSuccessful {
    const TOPIC: Topic = Topic::EmailSuccessful;
    const TYPE: &'static str = "dev.storefront.email-successful";

    fn key(&self) -> &str {
        &self.user_id
    }

    fn identity(&self) -> String {
        format!("{}/{}", self.session_id, self.template.name())
    }

    fn validate(&self) -> Result<(), Invalid> {
        text("userId", &self.user_id)?;
        text("sessionId", &self.session_id)?;
        text("messageId", &self.message_id)
    }
}

/// An event of any topic, for a consumer of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyEvent {
    Payment(PaymentSuccessful),
    Order(OrderSuccessful),
    Email(EmailSuccessful),
}

impl Incoming for AnyEvent {
    fn decode(topic: Topic, payload: &[u8]) -> Result<Self, Invalid> {
        match topic {
            Topic::PaymentSuccessful => Incoming::decode(topic, payload).map(Self::Payment),
            Topic::OrderSuccessful => Incoming::decode(topic, payload).map(Self::Order),
            Topic::EmailSuccessful => Incoming::decode(topic, payload).map(Self::Email),
        }
    }
}

/// Longest text of a field that names somebody or something.
pub const TEXT_MAX_LENGTH: usize = 255;
/// Most lines of a cart.
pub const CART_MAX_LINES: usize = 100;

fn text(field: &'static str, value: &str) -> Result<(), Invalid> {
    let problem = match value.len() {
        0 => "is empty".to_owned(),
        1..=TEXT_MAX_LENGTH => return Ok(()),
        length => format!("has {length} bytes; at most {TEXT_MAX_LENGTH} are allowed"),
    };
    Err(Invalid::Field { field, problem })
}

/// The lines are possible, and their sum is what was charged.
fn cart_adds_up(cart: &[CartLine], amount: i64) -> Result<(), Invalid> {
    let fault = |problem: String| Err(Invalid::Field { field: "cart", problem });
    if cart.is_empty() || cart.len() > CART_MAX_LINES {
        return fault(format!("has {} lines; 1 to {CART_MAX_LINES} are allowed", cart.len()));
    }
    let mut sum: i64 = 0;
    for line in cart {
        if line.id.is_empty() || line.id.chars().count() > ID_MAX_LENGTH {
            return fault(format!("has a product id of 0 or over {ID_MAX_LENGTH} characters"));
        }
        if line.quantity == 0 || line.price < 0 {
            return fault(format!("has an impossible quantity or price for {:?}", line.id));
        }
        let Some(next) =
            line.price.checked_mul(i64::from(line.quantity)).and_then(|l| sum.checked_add(l))
        else {
            return fault("has a sum beyond what can be counted".into());
        };
        sum = next;
    }
    if sum == amount {
        return Ok(());
    }
    Err(Invalid::Field {
        field: "amount",
        problem: format!("is {amount}, but the lines sum to {sum}"),
    })
}
