//! The Storefront operator: the API type, loading of manifests, the plan, what a plan becomes in a
//! cluster, and the controller that keeps it so.
//!
//! Invariant: nothing here knows a service's code; a Storefront and its services meet only in the
//! contract. Without the feature `controller` this library is pure: no cluster, no broker, no clock, no
//! randomness. With it, only the modules below that feature do I/O.

pub mod api;
pub mod crd;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod references;
pub mod render;
pub mod status;

#[cfg(feature = "controller")]
pub mod apply;
#[cfg(feature = "controller")]
mod brokers;
#[cfg(feature = "controller")]
pub mod cluster;
#[cfg(feature = "controller")]
pub mod context;
#[cfg(feature = "controller")]
pub mod controller;
#[cfg(feature = "controller")]
pub mod error;
#[cfg(feature = "controller")]
mod finalize;
#[cfg(feature = "controller")]
pub mod kinds;
#[cfg(feature = "controller")]
pub mod leader;
#[cfg(feature = "controller")]
pub mod metrics;
#[cfg(feature = "controller")]
pub mod observe;
#[cfg(feature = "controller")]
pub mod reconcile;
#[cfg(feature = "controller")]
pub mod server;
#[cfg(feature = "controller")]
pub mod topics;

pub use api::{Storefront, StorefrontSpec};
