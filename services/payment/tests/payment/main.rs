//! Payment from outside: over HTTP, against the stand-in for Stripe, on real databases.

mod audit;
mod creation;
mod payments;
mod secrets;
mod shop;
mod validation;
