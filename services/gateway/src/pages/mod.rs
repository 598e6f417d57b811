//! The pages of a shop that has none of its own: plain, accessible, nothing loaded from elsewhere.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::{body::AnswerBody, problems};

/// Nothing but what the gateway itself serves may run, load or be asked; pictures of products may
/// come from anywhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' https: data:; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'";

/// One document.
#[derive(Debug)]
pub struct Page {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
    etag: HeaderValue,
}

static PAGES: LazyLock<[Page; 5]> = LazyLock::new(|| {
    const HTML: &str = "text/html; charset=utf-8";
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    [
        page("/", HTML, include_str!("cart.html")),
        page("/success", HTML, include_str!("success.html")),
        page("/assets/cart.js", SCRIPT, include_str!("cart.js")),
        page("/assets/success.js", SCRIPT, include_str!("success.js")),
        page("/assets/shop.css", "text/css; charset=utf-8", include_str!("shop.css")),
    ]
});

/// The document at a path.
pub fn find(path: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.path == path)
}

fn page(path: &'static str, content_type: &'static str, content: &'static str) -> Page {
    // FNV-1a: it only has to differ when the content does.
    let hash = content.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let none = HeaderValue::from_static("\"\"");
    let etag = HeaderValue::try_from(format!("\"{hash:016x}\"")).unwrap_or(none);
    Page { path, content_type, content, etag }
}

impl Page {
    /// The document, 304 when the client has it, or 405.
    pub fn answer(&self, method: &Method, headers: &HeaderMap) -> Response<AnswerBody> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return problems::method_not_allowed("GET, HEAD").into_response_of();
        }
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|etag| *etag == self.etag);
        let content = if known { "" } else { self.content };
        let mut response = Response::new(AnswerBody::Own(Bytes::from_static(content.as_bytes())));
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        for (name, value) in [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The success page's address holds the session.
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_load_and_run_nothing_from_elsewhere() {
        for page in PAGES.iter() {
            for forbidden in
                ["http://", "https://", "<script>", " style=", " onclick=", "innerHTML"]
            {
                assert!(!page.content.contains(forbidden), "{} has {forbidden}", page.path);
            }
            for asset in page.content.split('"').filter(|text| text.starts_with("/assets/")) {
                assert!(find(asset).is_some(), "{} wants {asset}", page.path);
            }
        }
    }

    #[test]
    fn a_page_that_the_client_has_is_not_sent_again() {
        let page = find("/").unwrap();
        let first = page.answer(&Method::GET, &HeaderMap::new());
        assert_eq!(first.status(), 200);
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(page.answer(&Method::GET, &headers).status(), 304);
        assert_eq!(page.answer(&Method::POST, &headers).status(), 405);
    }
}
