//! What the gateway says about a request's origin: `X-Forwarded-*`. A peer is believed about an
//! earlier origin only when the settings name it as a proxy.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use storefront_contract::settings::Cidr;
use storefront_runtime::http::is_host;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Longest chain of addresses taken over from a proxy, in bytes.
const CHAIN_MAX_BYTES: usize = 1024;

/// Where a request came from, to be set once its own claims were removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    addresses: HeaderValue,
    proto: HeaderValue,
    /// Absent for an HTTP/1.0 request without Host.
    host: Option<HeaderValue>,
}

impl Origin {
    /// Reads `headers` before they are cleaned.
    pub fn of(
        headers: &HeaderMap,
        peer: IpAddr,
        peer_value: &HeaderValue,
        trusted: &[Cidr],
    ) -> Self {
        let host = headers.get(header::HOST);
        let plain = HeaderValue::from_static("http");
        if !trusted.iter().any(|network| network.contains(peer)) {
            return Self { addresses: peer_value.clone(), proto: plain, host: host.cloned() };
        }
        let proto = headers.get(PROTO).filter(|value| *value == "https");
        let claimed = headers.get(HOST).filter(|value| is_host(value.as_bytes()));
        Self {
            addresses: chain(headers, peer_value),
            proto: proto.cloned().unwrap_or(plain),
            host: claimed.or(host).cloned(),
        }
    }

    /// Writes it into cleaned headers.
    pub fn set(self, headers: &mut HeaderMap) {
        headers.insert(FOR, self.addresses);
        headers.insert(PROTO, self.proto);
        if let Some(host) = self.host {
            headers.insert(HOST, host);
        }
    }
}

/// The chain that a trusted proxy sent, and the proxy at its end.
fn chain(headers: &HeaderMap, peer: &HeaderValue) -> HeaderValue {
    let mut chain = Vec::new();
    for value in headers.get_all(FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    if chain.len() > CHAIN_MAX_BYTES {
        return peer.clone();
    }
    chain.extend_from_slice(peer.as_bytes());
    HeaderValue::from_maybe_shared(bytes::Bytes::from(chain)).unwrap_or_else(|_| peer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(trusted: &str) -> [String; 3] {
        let mut headers = HeaderMap::new();
        headers.insert("host", "shop.example".parse().unwrap());
        headers.append("x-forwarded-for", "203.0.113.7".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.3, 10.0.0.2".parse().unwrap());
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        headers.insert("x-forwarded-host", "public.example".parse().unwrap());
        let trusted: Vec<Cidr> = trusted.split(',').filter_map(|cidr| cidr.parse().ok()).collect();
        let origin = Origin::of(
            &headers,
            "10.0.0.1".parse().unwrap(),
            &"10.0.0.1".parse().unwrap(),
            &trusted,
        );
        origin.set(&mut headers);
        ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
            .map(|name| headers[name].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(origin(""), ["10.0.0.1", "http", "shop.example"]);
        assert_eq!(origin("192.168.0.0/16"), ["10.0.0.1", "http", "shop.example"]);
    }

    #[test]
    fn a_known_proxy_is() {
        let chain = "203.0.113.7, 10.0.0.3, 10.0.0.2, 10.0.0.1";
        assert_eq!(origin("10.0.0.0/8"), [chain, "https", "public.example"]);
    }
}
