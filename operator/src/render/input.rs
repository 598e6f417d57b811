//! What rendering needs besides the plan.

use crate::{
    api::Storefront,
    plan::{Placement, Plan},
};

/// Everything that is rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub storefront: &'a Storefront,
    pub plan: &'a Plan,
    pub placement: &'a Placement,
    pub options: &'a Options,
    pub generated: &'a Generated,
    pub apis: &'a Apis,
}

/// How the operator was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Namespace of the operator's own pod, from which managed brokers let it in. Without it they let in
    /// an operator in the shop's own namespace only.
    pub namespace: Option<String>,
    /// What goes before the names of the services' images.
    pub registry: String,
    /// Their tag: the operator's version.
    pub tag: String,
    /// Image of Apache Kafka, without a tag.
    pub kafka_image: String,
    pub kafka_version: String,
    pub postgres_image: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: None,
            registry: "ghcr.io/storefront-dev".into(),
            tag: env!("CARGO_PKG_VERSION").into(),
            kafka_image: "docker.io/apache/kafka".into(),
            kafka_version: "4.1.0".into(),
            postgres_image: "docker.io/library/postgres:17.6".into(),
        }
    }
}

/// Values that are made once and then kept in the cluster. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Generated {
    /// A UUID in base64url, as Kafka wants it.
    pub kafka_cluster_id: String,
    /// Letters and digits only: it becomes part of a URL.
    pub database_password: String,
    pub sandbox_api_key: String,
    pub sandbox_webhook_secret: String,
    /// A hash of the Secrets that Kafka's clients use: it rolls only those who use them, as they read
    /// them once for each connection that they make.
    pub kafka_credentials: Option<String>,
}

impl Generated {
    /// Placeholders, for people who look at what would be made.
    pub fn placeholders() -> Self {
        Self {
            kafka_cluster_id: "GENERATED".into(),
            database_password: "GENERATED".into(),
            sandbox_api_key: "sk_test_GENERATED".into(),
            sandbox_webhook_secret: "whsec_GENERATED".into(),
            kafka_credentials: None,
        }
    }
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generated(redacted)")
    }
}

/// APIs that a cluster may serve or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apis {
    /// `HTTPRoute` of the Gateway API.
    pub http_route: bool,
    /// The version of `kafka.strimzi.io`.
    pub strimzi: Option<String>,
    /// The Strimzi cluster checks what a user may do: without it a user with rights is refused.
    pub strimzi_authorization: bool,
}

impl Apis {
    /// Everything is served, in its newest known version.
    pub fn all() -> Self {
        Self { http_route: true, strimzi: Some("v1".into()), strimzi_authorization: true }
    }
}
