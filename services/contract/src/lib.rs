//! What the parts of a Storefront agree on: services, topics, events, identifiers, money, settings.
//!
//! Invariant: no I/O, no clock, no randomness, no async runtime, no Kubernetes. Everything here is
//! data and pure functions, so that the operator, the services and `storefront dev` cannot disagree.

pub mod asyncapi;
pub mod cart;
pub mod catalog;
pub mod cause;
mod charge;
pub mod color;
pub mod envelope;
pub mod events;
pub mod examples;
pub mod ids;
pub mod money;
pub mod notice;
pub mod object;
pub mod product;
pub mod replay;
pub mod schemas;
pub mod settings;
pub mod shop;
pub mod topics;

pub use catalog::{CATALOG, Http, ServiceDef, ServiceId, service};
pub use cause::Cause;
pub use color::Color;
pub use envelope::{Envelope, headers};
pub use events::{
    AnyEvent, CartLine, EmailSuccessful, Event, Incoming, Invalid, OrderSuccessful,
    PaymentSuccessful, Template,
};
pub use money::{Currency, Money};
pub use notice::Notice;
pub use product::Product;
pub use shop::Shop;
pub use topics::{Names, Topic};
