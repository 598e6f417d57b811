//! What happens to a shop between its first manifest and its end, on a real Kubernetes API: attempts that are
//! cut off, edits, hands in between, outages, and two operators at once. One API server serves all of it, a
//! namespace for each case; nothing runs pods.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a failed expectation fails the test, and the harness shows what was measured"
)]

mod abort;
mod admin_calls;
mod by_hand;
mod controllers;
mod edits;
mod faults;
mod leaders;
mod life;
mod outages;
mod releases;
mod rotation;
mod state;
mod still;
mod watches;
mod world;
