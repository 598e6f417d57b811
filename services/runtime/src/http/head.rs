//! Checks the head of a request before anything else sees it, as strictly as RFC 9112 allows: what
//! two parsers could read differently is refused. Pure: bytes in, verdict out.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Status};

use super::{Limits, Refusal};

/// Most header fields of a request; as many as hyper, which reads the head after us, takes.
pub const HEADERS_MAX: usize = 100;

/// How the end of a request's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// A head that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes up to and with the empty line.
    pub length: usize,
    pub framing: Framing,
}

/// Looks at the beginning of a connection's unread bytes. `None` means that the head is not whole
/// yet and nothing is wrong with it so far.
pub(super) fn check(bytes: &[u8], limits: &Limits) -> Result<Option<Head>, Refusal> {
    // RFC 9112 section 2.2: empty lines before a request line are ignored.
    let empty = bytes.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2;
    let bytes = &bytes[empty..];
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return partial(bytes, empty, limits).map(|()| None),
        Err(error) => return Err(malformed(error, bytes)),
    };
    if length + empty > limits.head_max_bytes {
        return Err(Refusal::HeadTooLarge);
    }
    if has_bare_line_feed(&bytes[..length]) {
        return Err(Refusal::BareLineFeed);
    }
    let target = request.path.unwrap_or_default();
    if target.len() > limits.target_max_bytes {
        return Err(Refusal::TargetTooLong);
    }
    let is_usual = target.starts_with('/') && target.bytes().all(is_usual_in_target);
    if !is_usual && http::Uri::try_from(target).is_err() {
        return Err(Refusal::RequestLine);
    }
    let framing = framing(&request, limits)?;
    Ok(Some(Head { length: length + empty, framing }))
}

fn partial(bytes: &[u8], empty: usize, limits: &Limits) -> Result<(), Refusal> {
    if bytes.len() > limits.target_max_bytes && !bytes.contains(&b'\n') {
        return Err(Refusal::TargetTooLong);
    }
    if bytes.len() + empty > limits.head_max_bytes {
        return Err(Refusal::HeadTooLarge);
    }
    Ok(())
}

fn malformed(error: Error, bytes: &[u8]) -> Refusal {
    match error {
        Error::TooManyHeaders => Refusal::TooManyHeaders,
        Error::Version => {
            let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            let parts = line.split(|byte| *byte == b' ').count();
            if parts == 3 && version.starts_with(b"HTTP/") {
                Refusal::Version
            } else {
                Refusal::RequestLine
            }
        }
        Error::HeaderName | Error::HeaderValue | Error::NewLine => Refusal::HeaderField,
        _ => Refusal::RequestLine,
    }
}

/// Characters that every reader takes in a path; a target of another kind is read before it may pass, as
/// hyper would answer one that it cannot read with nothing but a status.
fn is_usual_in_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/?&=%-._~,;:@!$'()*+".contains(&byte)
}

/// httparse takes a lone LF as the end of a line; another server on the way may not.
fn has_bare_line_feed(head: &[u8]) -> bool {
    let mut previous = 0;
    head.iter().any(|byte| {
        let bare = *byte == b'\n' && previous != b'\r';
        previous = *byte;
        bare
    })
}

fn framing(request: &httparse::Request<'_, '_>, limits: &Limits) -> Result<Framing, Refusal> {
    let is_http_11 = request.version == Some(1);
    let (mut hosts, mut valid_host) = (0, false);
    let (mut length, mut chunked) = (None, false);
    for field in request.headers.iter() {
        // By length first: most fields are none of these.
        match field.name.len() {
            4 if field.name.eq_ignore_ascii_case("host") => {
                hosts += 1;
                valid_host = is_host(field.value);
            }
            6 if is_http_11
                && field.name.eq_ignore_ascii_case("expect")
                && !field.value.eq_ignore_ascii_case(b"100-continue") =>
            {
                return Err(Refusal::Expectation);
            }
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                let value = decimal(field.value).ok_or(Refusal::ContentLength)?;
                if length.replace(value).is_some() {
                    return Err(Refusal::ContentLength);
                }
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                if chunked || !is_http_11 || !field.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::TransferEncoding);
                }
                chunked = true;
            }
            _ => (),
        }
    }
    match (chunked, length) {
        _ if hosts > 1 || (hosts == 1 && !valid_host) => Err(Refusal::Host),
        _ if is_http_11 && hosts == 0 => Err(Refusal::Host),
        (true, Some(_)) => Err(Refusal::TransferEncoding),
        (true, None) => Ok(Framing::Chunked),
        (false, Some(length)) if length > limits.body_max_bytes => Err(Refusal::BodyTooLarge),
        (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// Digits only: no sign, no blank, no list.
fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// `host [":" port]` of RFC 3986, without user information and percent-encoding, which no DNS name
/// or address has.
pub fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (address, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let in_brackets = text.starts_with('[');
    let named = in_brackets
        || host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
    let port = port.is_some_and(|port| {
        port.is_empty()
            || (port.len() <= 5 && decimal(port.as_bytes()).is_some_and(|p| p <= 65_535))
    });
    !host.is_empty() && named && port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(head: &str) -> Result<Option<Head>, Refusal> {
        check(head.as_bytes(), &Limits::default())
    }

    /// A whole head with `lines` after a valid request line and Host.
    fn with(lines: &str) -> Result<Framing, Refusal> {
        verdict(&format!("POST /payment HTTP/1.1\r\nHost: shop\r\n{lines}\r\n"))
            .map(|head| head.expect("whole").framing)
    }

    #[test]
    fn heads_that_may_pass() {
        assert_eq!(with(""), Ok(Framing::Length(0)));
        assert_eq!(with("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(with("TRANSFER-ENCODING: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(with("Expect: 100-continue\r\nContent-Length: 9\r\n"), Ok(Framing::Length(9)));
        let old = verdict("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert_eq!(old, Head { length: 18, framing: Framing::Length(0) });
        let after_empty_lines =
            verdict("\r\n\r\nGET / HTTP/1.0\r\n\r\nGET /next").unwrap().unwrap();
        assert_eq!(after_empty_lines.length, 22);
    }

    #[test]
    fn a_head_that_is_not_whole_is_waited_for() {
        let head = "\r\nPOST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(verdict(&head[..end]), Ok(None), "{:?}", &head[..end]);
        }
        assert!(verdict(head).unwrap().is_some());
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        use Refusal::{ContentLength, TransferEncoding};
        for (lines, refusal) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
            ("Transfer-Encoding: chunked, identity\r\n", TransferEncoding),
            ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
            ("Transfer-Encoding: \u{b}chunked\r\n", Refusal::HeaderField),
            ("Transfer-Encoding:\r\n", TransferEncoding),
            ("Content-Length: +5\r\n", ContentLength),
            ("Content-Length: -5\r\n", ContentLength),
            ("Content-Length: 5, 6\r\n", ContentLength),
            ("Content-Length: 5, 5\r\n", ContentLength),
            ("Content-Length: 0x5\r\n", ContentLength),
            ("Content-Length: 5 5\r\n", ContentLength),
            ("Content-Length:\r\n", ContentLength),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", ContentLength),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", ContentLength),
            ("Content-Length: 18446744073709551616\r\n", ContentLength),
        ] {
            assert_eq!(with(lines), Err(refusal), "{lines:?}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(verdict(old), Err(TransferEncoding));
    }

    #[test]
    fn malformed_lines_are_refused() {
        use Refusal::{BareLineFeed, HeaderField, RequestLine, Version};
        for (head, refusal) in [
            ("GET / HTTP/1.1\nHost: shop\n\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: shop\nX: y\r\n\r\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: shop\r\n\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost : shop\r\n\r\n", HeaderField),
            ("GET / HTTP/1.1\r\nHost: shop\r\nX: a\r\n b\r\n\r\n", HeaderField),
            ("GET / HTTP/1.1\r\n Host: shop\r\n\r\n", HeaderField),
            ("GET / HTTP/1.1\r\nHost: shop\r\nX: a\0b\r\n\r\n", HeaderField),
            ("GET / HTTP/1.1\r\nHost: shop\r\nX: a\rb\r\n\r\n", HeaderField),
            ("GET / HTTP/1.1\r\nHost: shop\r\nno colon\r\n\r\n", HeaderField),
            ("GET / HTTP/1.1\r\nHost: shop\r\nX\u{e9}: y\r\n\r\n", HeaderField),
            ("GET  / HTTP/1.1\r\nHost: shop\r\n\r\n", RequestLine),
            ("GET /a b HTTP/1.1\r\nHost: shop\r\n\r\n", RequestLine),
            ("G\u{e9}T / HTTP/1.1\r\n\r\n", RequestLine),
            ("\u{16}\u{3}\u{1}\u{2}\0\u{1}", RequestLine),
            ("GET /\r\n\r\n", RequestLine),
            ("GET /<a> HTTP/1.1\r\nHost: shop\r\n\r\n", RequestLine),
            ("GET file:///etc/passwd HTTP/1.1\r\nHost: shop\r\n\r\n", RequestLine),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Version),
            ("GET / HTTP/1.2\r\nHost: shop\r\n\r\n", Version),
        ] {
            assert_eq!(verdict(head), Err(refusal), "{head:?}");
        }
    }

    #[test]
    fn there_is_exactly_one_host() {
        assert_eq!(verdict("GET / HTTP/1.1\r\n\r\n"), Err(Refusal::Host));
        assert_eq!(with("Host: shop\r\n"), Err(Refusal::Host));
        for good in
            ["shop", "shop.example:8080", "127.0.0.1:80", "[::1]", "[::1]:80", "a_b:", "x~y"]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", "a@b", "a:99999", "a:65536", "a:+1", "a b", "a/b", "[::1", "[x]", "::1", ":80",
            "a:b:c", "ü", "a%41", "[::1]x",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn sizes_are_limited() {
        let many = "X: y\r\n".repeat(HEADERS_MAX);
        assert_eq!(with(&many), Err(Refusal::TooManyHeaders));
        assert_eq!(with(&many[6..]), Ok(Framing::Length(0)));
        assert_eq!(with(&format!("X: {}\r\n", "y".repeat(64 << 10))), Err(Refusal::HeadTooLarge));
        let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(64 << 10));
        assert_eq!(verdict(&endless), Err(Refusal::HeadTooLarge));
        let target = format!("GET /{}", "y".repeat(9 << 10));
        assert_eq!(verdict(&target), Err(Refusal::TargetTooLong));
        let whole = format!("{target} HTTP/1.1\r\nHost: shop\r\n\r\n");
        assert_eq!(verdict(&whole), Err(Refusal::TargetTooLong));
        assert_eq!(with("Content-Length: 2097152\r\n"), Ok(Framing::Length(2 << 20)));
        assert_eq!(with("Content-Length: 2097153\r\n"), Err(Refusal::BodyTooLarge));
        assert_eq!(with("Expect: the-unexpected\r\n"), Err(Refusal::Expectation));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = check(&bytes, &Limits::default());
        }

        #[test]
        fn what_passes_can_be_read_by_hyper(target in "[a-z/:?@*.%0-9\\[\\]-]{1,12}") {
            let head = format!("GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n");
            let passes = matches!(verdict(&head), Ok(Some(_)));
            proptest::prop_assert!(!passes || http::Uri::try_from(&target).is_ok(), "{}", target);
        }
    }
}
