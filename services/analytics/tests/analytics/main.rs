//! Exact sums, on both databases and on a real Kafka.

#![expect(clippy::unwrap_used, reason = "test code")]

mod aggregates;
mod service;
mod support;
