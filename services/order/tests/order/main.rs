//! One order a session, on both databases and on a real Kafka.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod orders;
mod service;
mod support;
