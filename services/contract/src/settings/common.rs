//! Settings of every service.

use std::net::SocketAddr;

use super::declare::{Required, Within};
use crate::{section, shop::Shop};

section! {
    /// Settings of every service.
    pub struct Common {
        /// `namespace/name` of the Storefront.
        pub shop: Shop = Required("SHOP"),
        /// Address and port of the service's own HTTP.
        pub http_listen: SocketAddr = Required("HTTP_LISTEN"),
        /// Address and port of `/livez`, `/readyz` and `/metrics`.
        pub admin_listen: SocketAddr = Required("ADMIN_LISTEN"),
        /// How long readiness says no before the listener closes, so that load balancers notice: a part
        /// of the 25 s that a stop may take.
        pub drain_ms: u64 = Within("DRAIN_MS", 3_000, 0..=15_000),
    }
}
