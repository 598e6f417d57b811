//! Mails as people see them, mail servers as they behave, and the whole service on a real Kafka.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod mails;
mod server;
mod service;
mod smtp;
