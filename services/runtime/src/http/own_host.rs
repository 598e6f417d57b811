//! Whether a request was sent to this machine by a name that nobody else can give: a page may lead its own
//! name to any address (DNS rebinding), and then ask as if it were from there.

use std::net::IpAddr;

use http::{HeaderMap, header};

/// The host that was asked, if it is an IP address or a machine's own name.
pub fn own_host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    let own = bare.parse::<IpAddr>().is_ok() || bare == "localhost" || bare.ends_with(".localhost");
    own.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_the_machines_own_name_are_nobody_elses() {
        let own = |host: &str| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            own_host(&headers).is_some()
        };
        for host in ["127.0.0.1:1", "10.0.0.7", "[::1]:9000", "localhost", "a.localhost:80"] {
            assert!(own(host), "{host}");
        }
        for host in ["evil.example.com", "localhost.evil.com:1", "", "[::1", "127.0.0.1.evil.com"] {
            assert!(!own(host), "{host}");
        }
        assert!(own_host(&HeaderMap::new()).is_none());
    }
}
