//! `spec.database`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{PodPlacement, Resources, SecretKeyRef, Storage, rules};

/// Where services keep their state, each in a schema of its own. Write at most one of `managed` and
/// `external`; default: `managed`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::DATABASE_ONE)]
pub struct Database {
    /// A PostgreSQL that the operator runs for this shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedDatabase>,

    /// A PostgreSQL that exists already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalDatabase>,
}

/// A PostgreSQL that the operator runs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ManagedDatabase {
    /// Its disk. Default: 10Gi of the cluster's default storage class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// Its CPU and memory. Default: 100m and 256Mi requested, at most 512Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// Image to run instead of the operator's choice of `postgres`: PostgreSQL's programs in its
    /// `PATH`, and a user with the id 999. Another major version cannot read the disk.
    ///
    /// Example: `registry.example.com/postgres:17.6`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::IMAGE)]
    pub image: Option<String>,

    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<PodPlacement>,
}

/// A PostgreSQL that exists already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Key of a Secret that holds `postgres://user:password@host:port/database`. The user must be
    /// allowed to create schemas.
    pub secret_ref: SecretKeyRef,
}
