//! The sandbox from outside, over real sockets: what a shop, a shopper and a test see of it.

mod checkout;
mod client;
mod control;
mod durability;
mod idempotency;
mod inbox;
mod smtp;
mod start;
mod stripe;
mod stripe_client;
mod webhooks;
