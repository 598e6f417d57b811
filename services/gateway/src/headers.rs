//! What crosses the gateway in a head and what does not. Everything is done in the header map that
//! was read, before our own fields are set. Pure.

use http::{
    HeaderMap, HeaderName,
    header::{self, CONNECTION},
};

/// Fields of one connection, not of the message (RFC 9110 section 7.6.1), and what is only for us.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
    )
}

/// Fields by which a client could pass for a proxy, or for somebody else. Services behind the
/// gateway trust what it says about a request.
fn is_ours_to_say(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "x-forwarded",
        "x-user-",
        "x-auth",
        "x-remote-",
        "x-original-",
        "x-rewrite-",
        "x-storefront-",
        "x-real-",
    ];
    match name.as_bytes()[0] {
        b'x' => {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                || matches!(
                    name,
                    "x-request-id"
                        | "x-http-method-override"
                        | "x-client-ip"
                        | "x-cluster-client-ip"
                )
        }
        b'f' => name == "forwarded",
        b't' => name == "true-client-ip",
        // hyper has answered it with 100 Continue already, or will.
        b'e' => name == "expect",
        _ => false,
    }
}

/// `X_User_Id` and `X.User.Id` become the same variable as `X-User-Id` in many a server.
fn is_lookalike(name: &str) -> bool {
    !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Removes from a request what must not be forwarded.
pub fn clean_request(headers: &mut HeaderMap) {
    remove_nominated(headers);
    remove_where(headers, |name| is_hop_by_hop(name) || is_ours_to_say(name) || is_lookalike(name));
}

/// Removes from an answer what must not be passed on.
pub fn clean_response(headers: &mut HeaderMap) {
    remove_nominated(headers);
    remove_where(headers, is_hop_by_hop);
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    // Almost always none or one (`connection`). Each turn removes one of at most 100 fields.
    while let Some(name) = headers.keys().find(|name| unwanted(name.as_str())).cloned() {
        headers.remove(name);
    }
}

/// Removes the fields that `Connection` nominates. Those that frame the message stay: hyper has
/// read it by them, and removing them would let a client choose what a service believes.
fn remove_nominated(headers: &mut HeaderMap) {
    let Some(first) = headers.get(CONNECTION) else { return };
    if first == "keep-alive" || first == "close" {
        // One plain value is nearly all there is.
        if headers.get_all(CONNECTION).iter().nth(1).is_none() {
            return;
        }
    }
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| {
            !matches!(*name, header::CONTENT_LENGTH | header::HOST | header::CONTENT_TYPE)
        })
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

/// Whether a client asks for another protocol. `h2c` may be asked for in vain, as curl does.
pub fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::UPGRADE)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(lines: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            let value: HeaderValue = value.parse().unwrap();
            map.append(name.parse::<HeaderName>().unwrap(), value);
        }
        map
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_cross() {
        let mut headers =
            map("Host: shop\nConnection: close, X-Private\nConnection: X-Other\nX-Private: a\n\
            X-Other: b\nKeep-Alive: timeout=5\nTE: trailers\nTrailer: X-Sum\n\
            Transfer-Encoding: chunked\nUpgrade: h2c\nProxy-Authorization: Basic eDp5\n\
            Proxy-Connection: keep-alive\nAccept: */*");
        clean_request(&mut headers);
        assert_eq!(names(&headers), ["accept", "host"]);
    }

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let mut headers =
            map("X-User-Id: admin\nX-User-Id: root\nX_User_Id: admin\nX.User.Id: admin\n\
            Forwarded: for=1.2.3.4\nX-Forwarded-For: 1.2.3.4\nX-Forwarded-Host: evil\n\
            X-Real-IP: 1.2.3.4\n\
            X-Original-URL: /admin\nX-Request-Id: 1\nTrue-Client-IP: 1.2.3.4\nX-Authenticated: 1\n\
            Content_Length: 9\nX-HTTP-Method-Override: DELETE\nStripe-Signature: t=1,v1=x\n\
            Idempotency-Key: k\nX-Shop-Own: fine\nCookie: a=b");
        clean_request(&mut headers);
        assert_eq!(
            names(&headers),
            ["cookie", "idempotency-key", "stripe-signature", "x-shop-own"]
        );
    }

    #[test]
    fn a_client_cannot_nominate_what_frames_a_request() {
        let mut headers =
            map("Connection: content-length, host, content-type, cookie\nHost: shop\n\
            Content-Length: 5\nContent-Type: text/plain\nCookie: a=b");
        clean_request(&mut headers);
        assert_eq!(names(&headers), ["content-length", "content-type", "host"]);
    }

    #[test]
    fn answers_keep_all_but_their_connection() {
        let mut headers =
            map("Connection: keep-alive, x-hop\nX-Hop: 1\nSet-Cookie: a=1\nSet-Cookie: b=2\n\
            Transfer-Encoding: chunked\nX-User-Hint: a\nContent-Length: 3");
        clean_response(&mut headers);
        assert_eq!(names(&headers), ["content-length", "set-cookie", "set-cookie", "x-user-hint"]);
    }

    #[test]
    fn only_h2c_may_be_asked_for_in_vain() {
        assert!(!asks_for_upgrade(&map("Upgrade: h2c")));
        assert!(asks_for_upgrade(&map("Upgrade: websocket")));
        assert!(asks_for_upgrade(&map("Upgrade: h2c, websocket")));
    }
}
