//! A shop under test: `storefront dev` as a process of its own, driven only by what a user has: HTTP,
//! Kafka, the sandbox's control API and the inbox. It must not look into the shop's own tables.

mod held;
mod reckoning;
mod shop;
mod shopper;
mod tool;

pub use held::{Held, each_is_held};
pub use reckoning::{Reckoning, TOPICS};
pub use shop::{MANIFEST, Shop, Site, ok};
pub use shopper::Shopper;
pub use tool::{command, json_of, json_with, said};
