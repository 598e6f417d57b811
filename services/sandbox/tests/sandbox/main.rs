//! The sandbox from outside, over real sockets: what a shop, a shopper and a test see of it.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod checkout;
mod client;
mod clients;
mod control;
mod durability;
mod faults;
mod idempotency;
mod inbox;
mod inbox_page;
mod smtp;
mod start;
mod stripe;
mod stripe_client;
mod webhooks;
