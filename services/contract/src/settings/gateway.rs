//! Settings of the gateway.

use std::{fmt, net::IpAddr, str::FromStr};

use url::Url;

use super::{
    Branding, Common,
    declare::{List, Or, Part, Within},
};
use crate::section;

section! {
    /// Settings of the gateway.
    pub struct GatewaySettings {
        pub common: Common = Part,
        /// Of the pages.
        pub branding: Branding = Part,
        /// `PREFIX=SERVICE@URL`, separated by commas; the longest prefix wins.
        pub routes: Vec<Route> = List("ROUTES"),
        /// Whether the built-in cart and success pages are served.
        pub pages: bool = Or("PAGES", true),
        /// Networks whose `X-Forwarded-*` headers are believed, separated by commas.
        pub trusted_proxies: Vec<Cidr> = List("TRUSTED_PROXIES"),
        /// Largest request body.
        pub body_max_bytes: u64 = Within("BODY_MAX_BYTES", 2 << 20, (1 << 10)..=(64 << 20)),
        /// For a request's head, and again for its body.
        pub request_timeout_ms: u64 = Within("REQUEST_TIMEOUT_MS", 5_000, 10..=600_000),
        /// For a connection to a service.
        pub connect_timeout_ms: u64 = Within("CONNECT_TIMEOUT_MS", 1_000, 10..=60_000),
        /// Until a service has answered with a head.
        pub upstream_timeout_ms: u64 = Within("UPSTREAM_TIMEOUT_MS", 30_000, 10..=600_000),
    }
}

/// One route of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Whole path segments: `/payment` takes `/payment` and `/payment/x`, not `/payments`.
    pub prefix: String,
    /// Name of the service, for people: problems name it, never its address.
    pub service: String,
    /// Scheme, host and port; the path of the request is forwarded as it was routed.
    pub upstream: Url,
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "{text:?} is no route; write PREFIX=SERVICE@URL, such as /payment=payment@http://payment:8000"
            )
        };
        let (prefix, target) = text.split_once('=').ok_or_else(form)?;
        let (service, upstream) = target.split_once('@').ok_or_else(form)?;
        let upstream = Url::parse(upstream).map_err(|_| form())?;
        if !prefix.starts_with('/') || prefix.ends_with('/') || service.is_empty() {
            return Err(form());
        }
        let bare = upstream.path() == "/" && upstream.query().is_none();
        if upstream.scheme() != "http" || !upstream.has_host() || !bare {
            return Err(format!("{text:?}: the URL must be http://HOST:PORT"));
        }
        Ok(Self { prefix: prefix.into(), service: service.into(), upstream })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstream = self.upstream.as_str().trim_end_matches('/');
        write!(f, "{}={}@{upstream}", self.prefix, self.service)
    }
}

/// A network, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix_length: u8,
}

impl Cidr {
    /// Whether an address lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = |bits: u32| bits - u32::from(self.prefix_length);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = shift(32);
                net.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = shift(128);
                net.to_bits().checked_shr(shift) == address.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?} is no network; write 10.0.0.0/8, or one address");
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_length = match length {
            None => longest,
            Some(length) => length.parse().ok().filter(|l| *l <= longest).ok_or_else(fault)?,
        };
        Ok(Self { address, prefix_length })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}
