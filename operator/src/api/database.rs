//! `spec.database`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{Resources, SecretKeyRef, Storage, rules};

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

    /// Its CPU and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A PostgreSQL that exists already.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDatabase {
    /// Key of a Secret that holds `postgres://user:password@host:port/database`. The user must be
    /// allowed to create schemas.
    pub secret_ref: SecretKeyRef,
}
