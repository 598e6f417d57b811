//! From a plan to a compose file, for those who have a container engine and no cluster: the same services
//! with the same settings. Pure and infallible, as all of rendering.

mod files;
mod others;
mod services;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    api::StorefrontSpec,
    plan::{Placement, Plan},
};
use files::Files;

/// Everything that is rendered from. The placement is [`Placement::compose`]'s.
#[derive(Clone, Copy, Debug)]
pub struct Compose<'a> {
    pub plan: &'a Plan,
    pub placement: &'a Placement,
    pub spec: &'a StorefrontSpec,
    /// What goes before a service's name: `ghcr.io/storefront-dev/storefront-`.
    pub image_prefix: &'a str,
    pub image_tag: &'a str,
}

/// The document.
pub fn compose(input: &Compose<'_>) -> Value {
    let mut files = Files::new(input);
    let mut services = Map::new();
    others::add(input, &mut files, &mut services);
    services::add(input, &mut files, &mut services);
    let mut document = json!({"name": format!("storefront-{}", input.plan.shop.name())});
    document["services"] = services.into();
    document["configs"] = files.configs.into();
    if !files.secrets.is_empty() {
        document["secrets"] = files.secrets.into();
    }
    document["volumes"] = others::volumes(input);
    document
}

impl Compose<'_> {
    fn image(&self, name: &str) -> String {
        format!("{}{name}:{}", self.image_prefix, self.image_tag)
    }

    /// Whether brokers run here.
    fn runs_kafka(&self) -> bool {
        self.spec.external_kafka().is_none()
    }

    /// Whether a database runs here.
    fn runs_database(&self) -> bool {
        self.spec.database.as_ref().is_none_or(|database| database.external.is_none())
    }

    /// Whether mails are kept here.
    fn runs_inbox(&self) -> bool {
        self.spec.smtp().is_none()
    }
}

/// A text that compose must not take variables from.
fn verbatim(text: &str) -> String {
    text.replace('$', "$$")
}

fn environment(variables: BTreeMap<String, String>) -> Value {
    let pairs = variables.into_iter().map(|(name, value)| (name, verbatim(&value).into()));
    Value::Object(pairs.collect())
}

/// What a container that is ours may do: next to nothing.
fn confined(container: &mut Value) {
    container["user"] = "65532:65532".into();
    container["read_only"] = true.into();
    container["tmpfs"] = json!(["/tmp"]);
    container["cap_drop"] = json!(["ALL"]);
    container["security_opt"] = json!(["no-new-privileges:true"]);
}

fn limits(cpus: &str, memory: &str) -> Value {
    json!({"resources": {"limits": {"cpus": cpus, "memory": memory, "pids": 512}}})
}

/// Published on this machine only.
fn published(port: u16) -> Value {
    json!(format!("127.0.0.1:{port}:{port}"))
}
