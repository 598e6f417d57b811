//! The Storefront operator: the API type, loading of manifests, the plan, what a plan becomes in a
//! cluster, and the controller that keeps it so.
//!
//! Invariant: nothing here knows a service's code; a Storefront and its services meet only in the
//! contract. Everything but the controller is pure: no cluster, no broker, no clock, no randomness.

pub mod api;
#[cfg(feature = "controller")]
pub mod controller;
pub mod crd;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod reading;
pub mod references;
pub mod render;
pub mod status;

pub use api::{Storefront, StorefrontSpec};
