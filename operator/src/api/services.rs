//! `spec.services`, and the resources and disks of what the operator runs.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use storefront_contract::ServiceId;

use super::{
    Autoscaling, DisruptionBudget, EnvVariable, PodMetadata, PodPlacement, Scalar, ServiceAccount,
    rules,
};

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
#[x_kube(validation = rules::REPLICAS_OR_AUTOSCALING)]
pub struct Service {
    /// Whether it runs. Events for a service that does not run wait in their topic. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// Number of instances, 0 to 100. More than `kafka.topics.partitions` leaves some idle. Leave it
    /// out when an autoscaler decides. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::REPLICAS)]
    pub replicas: Option<i32>,

    /// Lets a scaler decide the number of instances. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// CPU and memory of each instance. Default: 50m and 64Mi requested, at most 256Mi.
    /// Memory that is requested without a limit is the limit, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Image to run instead of the operator's own.
    ///
    /// Example: `ghcr.io/shop/order:1.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::IMAGE)]
    pub image: Option<String>,

    /// Variables besides its settings, at most 32: the log's level, a proxy, OpenTelemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Option<Vec<EnvVariable>>,

    /// Where its instances run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PodPlacement>,

    /// Labels and annotations of its pods, besides those of `spec.podMetadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_metadata: Option<PodMetadata>,

    /// Annotations of its service account, besides those of `spec.serviceAccount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccount>,

    /// How many instances may be taken away at once when nodes are drained. It matters from two
    /// instances on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disruption_budget: Option<DisruptionBudget>,
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
#[x_kube(validation = rules::STORAGE_CLASS_STAYS)]
pub struct Storage {
    /// Size in bytes. It can grow where the storage class allows, and never shrinks. Default: 10Gi.
    ///
    /// Example: `20Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::QUANTITY)]
    pub size: Option<Scalar>,

    /// Name of a `StorageClass`. It cannot change. Default: the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub storage_class_name: Option<String>,

    /// Whether the disk is kept when the Storefront is deleted, with the password or id that belongs
    /// to it, to be taken up again by a Storefront of the same name. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
}
