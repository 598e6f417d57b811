//! What a service writes: how an event changes its state. It sees events, a transaction and a list of
//! what to send; offsets, duplicates, retries and dead letters are the runtime's.

use std::{error::Error, future::Future};

use storefront_contract::{
    Envelope, Event, Incoming, Names, ServiceId, Shop, Topic, envelope, headers, ids,
};

use crate::{
    TraceContext,
    db::{DatabaseError, Kind, Tx},
    store::outbox::Message,
};

/// A service's reaction to events.
pub trait Handler: Send + Sync + 'static {
    type Event: Incoming + Send + Sync;

    /// Whether [`Received::record`] is wanted: a copy of each record, for a handler that only takes
    /// notes and whose later work may have to dead-letter the event
    /// ([`Outbox::dead_letter`](crate::Outbox::dead_letter)).
    const KEEPS_RECORDS: bool = false;

    /// Takes one batch of events that were not handled before, in order; it may be a single one.
    ///
    /// Does no I/O but through `tx`, as everything else would happen again when the batch is rolled
    /// back. On `Err` the whole batch is rolled back and its events are tried one by one, so that
    /// only the one that fails is parked or dead-lettered. A batch that takes longer than
    /// [`ConsumerOptions::handler_limit`](crate::ConsumerOptions::handler_limit) has failed.
    fn handle(
        &self,
        events: &[Received<Self::Event>],
        tx: &mut Tx<'_>,
        out: &mut Outgoing,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// An event with its context and its place in Kafka.
#[derive(Debug, Clone)]
pub struct Received<E> {
    pub event: E,
    pub envelope: Envelope,
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    /// The record itself, if [`Handler::KEEPS_RECORDS`].
    pub record: Option<Box<Record>>,
}

/// A record as it stood in its topic, in a form that can be stored in columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    /// With `id`, what the inbox knows it by: the envelope's.
    pub source: String,
    pub id: String,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    /// Every header, as a JSON text.
    pub headers: String,
}

/// Any error that a handler gives as a cause.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why an event could not be handled, which says what becomes of it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It never can be: to the dead-letter topic at once, with the reason.
    #[error("the event was rejected ({reason})")]
    Permanent {
        /// A fixed word, for the header `dlq-reason` and metrics.
        reason: &'static str,
        #[source]
        source: Cause,
    },
    /// It may be later: parked, with the later events of its key behind it, and tried again.
    #[error("the event could not be handled now")]
    Temporary {
        #[source]
        source: Cause,
    },
    /// Nothing can be handled now: the consumer pauses and waits, and no event pays for it.
    #[error("the database is not usable")]
    Dependency(#[source] DatabaseError),
}

impl Failure {
    pub fn permanent(reason: &'static str, source: impl Into<Cause>) -> Self {
        Self::Permanent { reason, source: source.into() }
    }

    pub fn temporary(source: impl Into<Cause>) -> Self {
        Self::Temporary { source: source.into() }
    }

    /// A fixed word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Permanent { reason, .. } => reason,
            Self::Temporary { .. } => "temporary",
            Self::Dependency(error) => error.reason(),
        }
    }
}

/// Values that the database refuses are the event's own fault; all else is the database's.
impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error.kind() {
            Kind::Data => Self::permanent("data-refused", error),
            _ => Self::Dependency(error),
        }
    }
}

/// What a handler wants sent. It becomes rows of the outbox in the handler's transaction.
#[derive(Debug)]
pub struct Outgoing {
    sender: Sender,
    messages: Vec<Message>,
    failed: Option<serde_json::Error>,
}

impl Outgoing {
    pub(crate) fn new(sender: Sender) -> Self {
        Self { sender, messages: Vec::new(), failed: None }
    }

    /// Sends `event` after the commit. Its id follows from what it is about, so that handling the cause
    /// twice sends the same event; its trace goes on from the cause's.
    pub fn send<E: Event>(&mut self, event: &E, cause: &Envelope) {
        let trace = TraceContext::continued(cause.traceparent.as_deref());
        match self.sender.message(event, trace) {
            Ok(message) => self.messages.push(message),
            Err(error) => self.failed = Some(error),
        }
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets what was sent after the first `length` messages: their event was rolled back.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.messages.truncate(length);
        self.failed = None;
    }

    /// An event that is no JSON is a permanent failure of the event that caused it.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.failed.take() {
            Some(error) => Err(Failure::permanent("unencodable", error)),
            None => Ok(()),
        }
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

/// Who sends: makes records of events.
#[derive(Debug, Clone)]
pub struct Sender {
    shop: Shop,
    service: ServiceId,
    source: String,
    pub(crate) names: Names,
}

impl Sender {
    pub fn new(shop: &Shop, service: ServiceId, names: Names) -> Self {
        Self { shop: shop.clone(), service, source: envelope::source(shop, service), names }
    }

    /// Who takes dead letters of `topic` in our name: our group and its dead-letter topic. A service
    /// without a group consumes nothing.
    pub(crate) fn dead_letter_topic(&self, topic: Topic) -> Option<(String, String)> {
        Some((self.names.group(self.service)?, self.names.dead_letter(topic, self.service)?))
    }

    /// The record of an event: plain JSON under the event's key, its context in headers.
    pub fn message<E: Event>(
        &self,
        event: &E,
        trace: TraceContext,
    ) -> Result<Message, serde_json::Error> {
        let id = ids::event_id(&self.shop, E::TYPE, &event.identity());
        let header = |name: &str, value: String| (name.to_owned(), Some(value.into_bytes()));
        Ok(Message {
            topic: self.names.topic(E::TOPIC),
            partition: None,
            key: Some(event.key().as_bytes().to_vec()),
            payload: Some(serde_json::to_vec(event)?),
            headers: vec![
                header(headers::SPEC_VERSION, envelope::SPEC_VERSION.to_owned()),
                header(headers::ID, id.to_string()),
                header(headers::TYPE, E::TYPE.to_owned()),
                header(headers::SOURCE, self.source.clone()),
                header(headers::TIME, jiff::Timestamp::now().to_string()),
                header(headers::CONTENT_TYPE, envelope::CONTENT_TYPE.to_owned()),
                header(headers::TRACEPARENT, trace.to_traceparent()),
            ],
        })
    }
}
