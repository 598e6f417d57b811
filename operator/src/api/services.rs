//! `spec.services`, and the resources and disks of what the operator runs.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use storefront_contract::ServiceId;

use super::{Scalar, rules};

/// Settings of single services.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Services {
    /// The front door.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Service>,

    /// Checkout sessions and webhooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Service>,

    /// One order for each paid session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Service>,

    /// Confirmation mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Service>,

    /// Totals over all events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analytics: Option<Service>,
}

impl Services {
    /// What is written about one service.
    pub fn get(&self, id: ServiceId) -> Option<&Service> {
        match id {
            ServiceId::Gateway => self.gateway.as_ref(),
            ServiceId::Payment => self.payment.as_ref(),
            ServiceId::Order => self.order.as_ref(),
            ServiceId::Email => self.email.as_ref(),
            ServiceId::Analytics => self.analytics.as_ref(),
        }
    }
}

/// Settings of one service.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Whether it runs. Events for a service that does not run wait in their topic. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// Number of instances, 0 to 100. More than `kafka.topics.partitions` leaves some idle. Leave it
    /// out when an autoscaler decides. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::REPLICAS)]
    pub replicas: Option<i32>,

    /// CPU and memory of each instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Image to run instead of the operator's own.
    ///
    /// Example: `ghcr.io/shop/order:1.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::IMAGE)]
    pub image: Option<String>,
}

/// CPU and memory, as in a container.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What is set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceList>,

    /// What cannot be exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceList>,
}

/// Amounts of CPU and memory.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct ResourceList {
    /// Cores.
    ///
    /// Example: `500m` is half a core.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::QUANTITY)]
    pub cpu: Option<Scalar>,

    /// Bytes.
    ///
    /// Example: `128Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::QUANTITY)]
    pub memory: Option<Scalar>,
}

/// A disk that outlives its pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size in bytes. It can grow where the storage class allows, and never shrinks. Default: 10Gi.
    ///
    /// Example: `20Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::QUANTITY)]
    pub size: Option<Scalar>,

    /// Name of a `StorageClass`. Default: the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub storage_class_name: Option<String>,
}
