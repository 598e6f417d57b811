//! CloudEvents 1.0 in Kafka's binary content mode: the context of an event travels in headers, the
//! value is plain JSON. See the CloudEvents Kafka protocol binding, section 3.2.

use jiff::Timestamp;

/// Names of the record headers.
pub mod headers {
    pub const SPEC_VERSION: &str = "ce_specversion";
    pub const ID: &str = "ce_id";
    pub const TYPE: &str = "ce_type";
    pub const SOURCE: &str = "ce_source";
    pub const TIME: &str = "ce_time";
    pub const CONTENT_TYPE: &str = "content-type";
    /// W3C Trace Context.
    pub const TRACEPARENT: &str = "traceparent";
    /// On a replayed dead letter: the only group that takes it.
    pub const REPLAY_GROUP: &str = "replay-group";
    /// On a replay, and on what died again after one: how often the event was sent back.
    pub const REPLAY_COUNT: &str = "replay-count";
    /// On a replay: who sent it.
    pub const REPLAY_BY: &str = "replay-by";
    /// On a replay: when it was sent.
    pub const REPLAY_AT: &str = "replay-at";
    /// On an event that is sent again because what should have come of it is not there: its group takes
    /// it also when its inbox says that it was handled.
    pub const REPLAY_ANEW: &str = "replay-anew";
    pub const DLQ_REASON: &str = "dlq-reason";
    pub const DLQ_ERROR: &str = "dlq-error";
    pub const DLQ_ATTEMPTS: &str = "dlq-attempts";
    pub const DLQ_TOPIC: &str = "dlq-topic";
    pub const DLQ_PARTITION: &str = "dlq-partition";
    pub const DLQ_OFFSET: &str = "dlq-offset";
    pub const DLQ_TIME: &str = "dlq-time";
    /// On a replay: the dead letter that it was made from, `topic/partition/offset`.
    pub const DLQ_LETTER: &str = "dlq-letter";
}

/// The version in `ce_specversion`.
pub const SPEC_VERSION: &str = "1.0";
/// The `content-type` of every value.
pub const CONTENT_TYPE: &str = "application/json";

/// The context of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `ce_id`; with `source` it names the happening.
    pub id: String,
    /// `ce_source`, for example `/shops/default/demo/payment`.
    pub source: String,
    /// `ce_type`, for example `dev.storefront.payment-successful`.
    pub event_type: String,
    /// `ce_time`: when it happened, not when it was sent.
    pub time: Timestamp,
    /// `traceparent` of the operation that caused it.
    pub traceparent: Option<String>,
}

/// `ce_source` of a service's events.
pub fn source(shop: &crate::Shop, service: crate::ServiceId) -> String {
    format!("/shops/{shop}/{service}")
}
