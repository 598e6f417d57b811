//! `spec.gateway`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{HttpRoute, Ingress, rules};

/// The shop's front door.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::ROUTE_HAS_HOST)]
pub struct Gateway {
    /// Whether the built-in cart and success pages are served. A shop with its own front end
    /// switches them off. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<bool>,

    /// Public DNS name of the shop; `httpRoute` and `ingress` are made for it. Default: none; the shop is
    /// reached by its Service only.
    ///
    /// Example: `shop.example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::HOST)]
    pub host: Option<String>,

    /// Where browsers reach the shop: Stripe and the sandbox's checkout page send shoppers back to it,
    /// and mails link to it. Default: `https://` and `host`, or `http://` when there is nothing but an
    /// `ingress` without `tlsSecretRef`; without a host `http://127.0.0.1:8080`, where
    /// `kubectl port-forward service/NAME-gateway 8080` answers.
    ///
    /// Example: `https://shop.example.com:8443`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 280))]
    #[x_kube(validation = rules::PUBLIC_URL)]
    pub public_url: Option<String>,

    /// Networks of the load balancers in front, whose `X-Forwarded-*` headers are believed; at most
    /// 32. Default: none.
    ///
    /// Example: `[10.0.0.0/8]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    #[x_kube(validation = rules::NETWORKS)]
    pub trusted_proxies: Option<Vec<String>>,

    /// Milliseconds for a request's head to come in, and again for its body. Default: 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::REQUEST_TIMEOUT)]
    pub request_timeout_ms: Option<i32>,

    /// Makes an `HTTPRoute` for `host`: the Gateway API, where the cluster has it. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_route: Option<HttpRoute>,

    /// Makes an `Ingress` for `host`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
}
