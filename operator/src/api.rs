//! The `Storefront` type: what a shop writes down, with the rules the API server checks.
//!
//! Doc comments here are what `kubectl explain storefront` prints. Defaults are applied by the plan,
//! not by the API server, so that tools that compare see no difference between a file and the cluster.

mod branding;
mod catalog;
mod database;
mod email;
mod gateway;
mod kafka;
mod kubernetes;
mod payment;
mod pods;
mod references;
mod route;
pub mod rules;
mod scalar;
mod services;
mod status;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use branding::Branding;
pub use catalog::{Catalog, Product};
pub use database::{Database, ExternalDatabase, ManagedDatabase};
pub use email::{Email, Inbox, MailTopic, Smtp, SmtpTls};
pub use gateway::Gateway;
pub use kafka::{
    DeletionPolicy, ExternalKafka, Kafka, KafkaSasl, KafkaTls, ManagedKafka, SaslMechanism,
    StrimziKafka, Topics,
};
pub use payment::{Payment, Sandbox, Stripe};
pub use pods::{
    Autoscaling, DisruptionBudget, EnvVariable, Images, NetworkPolicy, PodMetadata, PodPlacement,
    PullPolicy, ServiceAccount,
};
pub use references::{ConfigMapKeyRef, SecretKeyRef, SecretRef};
pub use route::{HttpRoute, Ingress, ParentRef};
pub use scalar::Scalar;
pub use services::{ResourceList, Resources, Service, Services, Storage};
pub use status::{GroupStatus, StorefrontStatus, TopicStatus};

/// `apiVersion` of every Storefront.
pub const API_VERSION: &str = "storefront.dev/v1alpha1";
/// `kind` of every Storefront.
pub const KIND: &str = "Storefront";

/// A shop's whole checkout back end: what it sells, how it is paid, and what runs behind it. Only
/// `payment` must be written; every other block has a default.
///
/// Example: `payment: {sandbox: {}}` is a complete shop for development.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "storefront.dev",
    version = "v1alpha1",
    kind = "Storefront",
    namespaced,
    shortname = "sf",
    category = "all",
    status = "StorefrontStatus",
    derive = "PartialEq",
    doc = "One shop's checkout back end: gateway, payment, topics and the consumers behind them.",
    validation = rules::NAME,
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".status.url"),
    printcolumn(name = "Lag", type_ = "integer", json_path = ".status.lag"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::CATALOG_HAS_CURRENCY,
    validation = rules::STRIPE_HAS_CATALOG,
    validation = rules::CURRENCY_STAYS,
    validation = rules::PREFIX_STAYS,
    validation = rules::KAFKA_REPLICAS_STAY,
    validation = rules::KAFKA_VERSION_STAYS,
    validation = rules::KAFKA_STORAGE_GROWS,
    validation = rules::DATABASE_STORAGE_GROWS
)]
pub struct StorefrontSpec {
    /// ISO 4217 code of every price, in three capital letters. It cannot change, because orders and
    /// totals already kept are in it. Default: `INR`, but with a catalog it must be written.
    ///
    /// Example: `INR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    #[x_kube(validation = rules::CURRENCY)]
    pub currency: Option<String>,

    /// How the shop looks. Default: its `metadata.name`, without a logo, in the built-in colours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branding: Option<Branding>,

    /// What the shop sells. Default, with the sandbox only: a demo catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Catalog>,

    /// How shoppers pay: by Stripe, or at a stand-in that moves no money.
    pub payment: Payment,

    /// Where events are kept. Default: one managed broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,

    /// Where services keep their state. Default: a managed PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,

    /// How mails leave. Default: an inbox that keeps them for people to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,

    /// The shop's front door. Default: with the built-in pages, under no public name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,

    /// Settings of single services. Default: each runs once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,

    /// Where images come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,

    /// Where every pod runs, unless it is said otherwise for a part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PodPlacement>,

    /// Labels and annotations of every pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_metadata: Option<PodMetadata>,

    /// Annotations of every service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,

    /// The fence around each part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,

    /// Whether the operator keeps its hands off: it changes nothing, neither here nor on the brokers,
    /// until this is false again. What runs goes on. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}
