//! The Helm chart, by the real Helm: what it renders, what it refuses, and that what it installs is enough
//! for the operator, and no more than that.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod alerts;
mod install;
mod operator;
mod renders;
mod rights;
mod several;
mod values;
mod world;

/// The folder of the chart.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/storefront-operator");
