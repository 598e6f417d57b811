//! The kit itself: servers that start, can be hurt, and never outlive the test process.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too")]

mod dev;
mod http;
mod kafka;
mod kubernetes;
mod postgres;
mod up;
mod wait;
mod wire;
