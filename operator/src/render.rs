//! From a plan to everything that the operator applies. Pure and infallible: every check has been made
//! by the plan, and what comes from outside (generated passwords, the APIs that a cluster serves) is an
//! input. The same input gives the same objects, in the order in which they are applied.

mod autoscaler;
pub mod compose;
mod config_map;
mod context;
mod database;
mod deployment;
mod disruption_budget;
mod images;
mod ingress;
mod input;
mod kafka;
mod mounts;
mod network_policy;
mod object;
mod pod;
mod resources;
mod sandbox;
mod secret;
mod service;
mod service_account;
mod stateful_set;
mod strimzi;
mod yaml;

use context::Context;
pub use deployment::CREDENTIALS_HASH;
pub use images::Images;
pub use input::{Apis, Generated, Input, Options};
pub use object::Object;
pub use yaml::yaml;

/// An object with this annotation stays when its Storefront goes, and is taken up again by its name.
pub const RETAIN: &str = "storefront.dev/retain";

/// Every object of a Storefront, in the order in which they are applied: what others refer to comes
/// before them.
pub fn render(input: &Input<'_>) -> Vec<Object> {
    let context = Context::new(input);
    let mut objects = Vec::new();
    objects.extend(service_account::all(&context));
    objects.extend(secret::all(&context));
    objects.extend(config_map::all(&context));
    objects.extend(network_policy::all(&context));
    objects.extend(service::all(&context));
    objects.extend(strimzi::all(&context));
    objects.extend(database::all(&context));
    objects.extend(kafka::all(&context));
    objects.extend(sandbox::deployment(&context));
    objects.extend(deployment::all(&context));
    objects.extend(autoscaler::all(&context));
    objects.extend(disruption_budget::all(&context));
    objects.extend(ingress::all(&context));
    objects
}
