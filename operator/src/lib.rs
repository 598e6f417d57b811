//! The Storefront operator: the API type, loading of manifests, and the plan.
//!
//! Invariant: nothing here knows a service's code; a Storefront and its services meet only in the
//! contract. Everything in this library is pure: no cluster, no broker, no clock, no randomness.

pub mod api;
pub mod crd;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod references;
pub mod render;
pub mod status;

pub use api::{Storefront, StorefrontSpec};
