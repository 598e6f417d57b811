//! What is read of Stripe's answers: the few fields that decide something, so that a new API version
//! with new fields, or new words in a field, breaks nothing.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

/// A Checkout session (<https://docs.stripe.com/api/checkout/sessions/object>).
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    pub id: String,
    #[serde(default)]
    pub status: Option<SessionStatus>,
    #[serde(default)]
    pub payment_status: Option<PaymentStatus>,
    /// In minor units.
    #[serde(default)]
    pub amount_total: Option<i64>,
    /// ISO 4217, in lower case.
    #[serde(default)]
    pub currency: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    pub created: Option<i64>,
    /// Where the shopper pays; only while the session is open.
    #[serde(default)]
    pub url: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    pub expires_at: Option<i64>,
    #[serde(default)]
    pub client_reference_id: Option<String>,
    #[serde(default)]
    pub customer_email: Option<String>,
    #[serde(default)]
    pub customer_details: Option<CustomerDetails>,
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub payment_intent: Option<Expandable>,
}

/// What is read of a session that was just made.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    pub id: String,
    #[serde(default)]
    pub url: Option<String>,
    /// Unix seconds.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

/// `status` of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    Open,
    Complete,
    Expired,
    #[serde(other)]
    Unknown,
}

/// `payment_status` of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    Paid,
    Unpaid,
    NoPaymentRequired,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CustomerDetails {
    #[serde(default)]
    pub email: Option<String>,
}

/// A payment intent: the whole when it was asked for, else only its id.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Expandable {
    Intent { status: IntentStatus },
    Id(IgnoredAny),
}

/// `status` of a payment intent, as far as it tells a delayed payment's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// A delayed payment that has failed goes back to this.
    RequiresPaymentMethod,
    Canceled,
    Processing,
    Succeeded,
    #[serde(other)]
    Unknown,
}

impl Session {
    /// An entry of the metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(key).map(String::as_str)
    }

    /// The address that the shopper gave, or that we gave for them.
    pub fn email(&self) -> Option<&str> {
        let details = self.customer_details.as_ref().and_then(|details| details.email.as_deref());
        details.or(self.customer_email.as_deref())
    }

    /// The state of the payment behind the session, if it was asked for and there is one.
    pub fn intent_status(&self) -> Option<IntentStatus> {
        match &self.payment_intent {
            Some(Expandable::Intent { status }) => Some(*status),
            Some(Expandable::Id(_)) | None => None,
        }
    }
}

/// One page of a list (<https://docs.stripe.com/api/pagination>).
#[derive(Debug, Clone, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
}

/// A line of a session (<https://docs.stripe.com/api/checkout/sessions/line_items>).
#[derive(Debug, Clone, Deserialize)]
pub struct LineItem {
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub quantity: Option<u32>,
    #[serde(default)]
    pub price: Option<Price>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Price {
    #[serde(default)]
    pub unit_amount: Option<i64>,
    #[serde(default)]
    pub product: Option<ExpandableProduct>,
}

/// A product: the whole when it was asked for, else only its id at Stripe.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum ExpandableProduct {
    Product { metadata: BTreeMap<String, String> },
    Id(IgnoredAny),
}

impl LineItem {
    /// The catalog's id of the product, which we wrote into its metadata.
    pub fn product_id(&self) -> Option<&str> {
        match self.price.as_ref()?.product.as_ref()? {
            ExpandableProduct::Product { metadata } => metadata.get("id").map(String::as_str),
            ExpandableProduct::Id(_) => None,
        }
    }
}

/// An event, from a webhook or from the list (<https://docs.stripe.com/api/events/object>).
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub id: String,
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Unix seconds. Events of Stripe's version 2 have a text here, and are nothing to us.
    #[serde(default, deserialize_with = "if_it_fits")]
    pub created: Option<i64>,
    #[serde(default, deserialize_with = "if_it_fits")]
    pub data: Option<EventData>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct EventData {
    #[serde(default, deserialize_with = "if_it_fits")]
    pub object: Option<EventObject>,
}

/// What an event is about, as it was when the event was made: good for knowing which session and
/// whose it is, not for its state.
#[derive(Debug, Clone, Deserialize)]
pub struct EventObject {
    #[serde(default, deserialize_with = "if_it_fits")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "if_it_fits")]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// A field of an event, or `None` when it is of another form than the events that we act on have: an
/// event of any kind is answered, or Stripe would send it for days and then switch the webhook off.
fn if_it_fits<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    field: D,
) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(field)?;
    Ok(serde_json::from_value(value).ok())
}

impl Event {
    /// Id of the object that the event is about.
    pub fn object_id(&self) -> Option<&str> {
        self.data.as_ref()?.object.as_ref()?.id.as_deref()
    }

    /// An entry of that object's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        let metadata = self.data.as_ref()?.object.as_ref()?.metadata.as_ref()?;
        metadata.get(key).map(String::as_str)
    }
}

/// Stripe's error object (<https://docs.stripe.com/api/errors>). Its message is left alone: it may
/// quote what a shopper typed.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ErrorBody {
    #[serde(default)]
    pub error: ErrorObject,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct ErrorObject {
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub param: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_an_unknown_version_is_read() {
        let session: Session = serde_json::from_str(
            r#"{"id": "cs_test_1", "status": "paused", "payment_status": "half_paid",
                "amount_total": null, "payment_intent": {"id": "pi_1", "status": "waiting"},
                "metadata": null, "news": {"deep": [1]}, "customer_details": {"name": null}}"#,
        )
        .unwrap();
        assert_eq!(session.status, Some(SessionStatus::Unknown));
        assert_eq!(session.payment_status, Some(PaymentStatus::Unknown));
        assert_eq!(session.intent_status(), Some(IntentStatus::Unknown));
        assert_eq!((session.email(), session.metadata("shop")), (None, None));
        let bare: Session = serde_json::from_str(r#"{"id": "cs_test_1"}"#).unwrap();
        assert_eq!(bare.intent_status(), None);
    }

    #[test]
    fn an_event_of_any_kind_is_read() {
        let event: Event = serde_json::from_str(
            r#"{"id": "evt_1", "type": "customer.created", "data": {"object": {"id": "cus_1"}}}"#,
        )
        .unwrap();
        assert_eq!((event.object_id(), event.metadata("shop")), (Some("cus_1"), None));
        let thin: Event =
            serde_json::from_str(r#"{"id": "evt_2", "object": "v2.core.event"}"#).unwrap();
        assert_eq!((thin.kind.as_str(), thin.object_id()), ("", None));
        let strange = [
            r#"{"id": "evt_3", "created": "2026-09-17T06:20:52.246Z", "data": {}}"#,
            r#"{"id": "evt_3", "created": 1.5, "data": [1]}"#,
            r#"{"id": "evt_3", "data": {"object": "cs_test_1"}}"#,
            r#"{"id": "evt_3", "data": {"object": {"id": 5, "metadata": {"shop": 1}}}}"#,
        ];
        for text in strange {
            let event: Event = serde_json::from_str(text).unwrap();
            assert_eq!((event.created, event.object_id()), (None, None), "{text}");
            assert_eq!(event.metadata("shop"), None, "{text}");
        }
    }

    #[test]
    fn a_line_knows_its_product() {
        let line: LineItem = serde_json::from_str(
            r#"{"description": "Nova", "quantity": 2, "price": {"unit_amount": 5,
                "product": {"id": "prod_1", "metadata": {"id": "phone"}}}}"#,
        )
        .unwrap();
        assert_eq!(line.product_id(), Some("phone"));
        let bare: LineItem = serde_json::from_str(r#"{"price": {"product": "prod_1"}}"#).unwrap();
        assert_eq!(bare.product_id(), None);
    }
}
