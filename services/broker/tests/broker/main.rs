//! The embedded broker as clients and its owner see it.
#![cfg(feature = "embedded")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests, too")]

mod client;
mod in_process;
mod process;
