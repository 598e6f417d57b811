//! What Storefront and its users' clients ask of a Kafka broker: the same checks on the embedded one and
//! on Apache Kafka, so that what works on a laptop works in a cluster.
#![cfg(feature = "embedded")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests, too")]

mod admin;
mod groups;
mod messages;
mod subject;
mod transactions;
