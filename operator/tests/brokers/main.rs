//! The operator on a real Kubernetes API and real Apache Kafka: what can be wrong with brokers and topics is
//! a condition with a reason and what to do, nobody asks again and again, and it mends by itself once it can.
//! And what its own brokers and databases are started with, run as in their pods.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

mod broker;
mod managed_database;
mod managed_kafka;
mod optional;
mod pods;
mod secured;
mod troubles;
mod world;
