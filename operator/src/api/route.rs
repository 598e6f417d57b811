//! `spec.gateway.ingress` and `spec.gateway.httpRoute`: how requests come into the cluster.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{SecretRef, rules};

/// An `Ingress` for `spec.gateway.host`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Name of an `IngressClass`. Default: the cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub class_name: Option<String>,

    /// Annotations for its controller, at most 32.
    ///
    /// Example: `{cert-manager.io/cluster-issuer: letsencrypt}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: Option<BTreeMap<String, String>>,

    /// Secret with the host's certificate (`tls.crt`) and key (`tls.key`). cert-manager makes it when
    /// it is asked to. Default: none; the shop is reached by http. Where the controller or a load balancer
    /// has a certificate of its own, write `publicUrl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_secret_ref: Option<SecretRef>,
}

/// An `HTTPRoute` of the Gateway API for `spec.gateway.host`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// Gateways that the route is attached to, 1 to 8.
    #[schemars(length(max = 8))]
    #[x_kube(validation = rules::PARENT_REFS_SOME)]
    pub parent_refs: Vec<ParentRef>,

    /// Annotations, at most 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// One `Gateway` of the cluster.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// Name of the `Gateway`.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub name: String,

    /// Its namespace. Default: that of the Storefront.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub namespace: Option<String>,

    /// Name of one of its listeners. Default: every one that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::OBJECT_NAME)]
    pub section_name: Option<String>,
}
