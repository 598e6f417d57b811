//! Settings of every service.

use std::net::SocketAddr;

use super::{Reader, Variables, put};
use crate::shop::Shop;

/// Settings of every service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// `SHOP`: `namespace/name` of the Storefront.
    pub shop: Shop,
    /// `HTTP_LISTEN`: address and port of the service's own HTTP.
    pub http_listen: SocketAddr,
    /// `ADMIN_LISTEN`: address and port of `/livez`, `/readyz` and `/metrics`.
    pub admin_listen: SocketAddr,
    /// `DRAIN_MS`: how long readiness says no before the listener closes, so that load balancers
    /// notice. Default 3000, at most 15000 of the 25 s that a stop may take.
    pub drain_ms: u64,
}

impl Common {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let shop = reader.required("SHOP");
        let http_listen = reader.required("HTTP_LISTEN");
        let admin_listen = reader.required("ADMIN_LISTEN");
        let drain_ms = reader.within("DRAIN_MS", 3_000, (0, 15_000));
        Some(Self {
            shop: shop?,
            http_listen: http_listen?,
            admin_listen: admin_listen?,
            drain_ms: drain_ms?,
        })
    }

    pub(super) fn write(&self, variables: &mut Variables) {
        let Self { shop, http_listen, admin_listen, drain_ms } = self;
        put(variables, "SHOP", shop);
        put(variables, "HTTP_LISTEN", http_listen);
        put(variables, "ADMIN_LISTEN", admin_listen);
        put(variables, "DRAIN_MS", drain_ms);
    }
}
