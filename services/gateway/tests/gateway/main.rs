//! The gateway between raw sockets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod bad_input;
mod failures;
mod pages;
mod proxying;
mod support;
