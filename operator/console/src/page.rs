//! The page: three documents, nothing from elsewhere.

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};

/// Nothing but what the console itself serves may run, load or be asked.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// One document.
pub struct Page {
    pub path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

pub static PAGES: [Page; 4] = [
    Page {
        path: "/",
        content_type: "text/html; charset=utf-8",
        content: include_str!("page/console.html"),
    },
    Page {
        path: "/console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("page/console.js"),
    },
    Page {
        path: "/chart.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("page/chart.js"),
    },
    Page {
        path: "/console.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("page/console.css"),
    },
];

impl Page {
    /// The document, or 304 when the client has it.
    pub fn answer(&self, request: &Request) -> Response {
        let etag = self.etag();
        let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|it| *it == etag);
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            self.content.into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag);
        for (name, value) in [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// It only has to differ when the content does (FNV-1a).
    fn etag(&self) -> HeaderValue {
        let hash = self.content.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let none = HeaderValue::from_static("\"\"");
        HeaderValue::try_from(format!("\"{hash:016x}\"")).unwrap_or(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_from_elsewhere_or_written_as_html() {
        // The one address is the name of SVG's elements, which is never loaded.
        let own = "http://www.w3.org/2000/svg";
        for page in &PAGES {
            let content = page.content.replace(own, "");
            for forbidden in
                ["http://", "https://", "<script>", " style=", " onclick=", "innerHTML"]
            {
                assert!(!content.contains(forbidden), "{} has {forbidden}", page.path);
            }
        }
        let size: usize = PAGES.iter().map(|page| page.content.len()).sum();
        assert!(size < 60_000, "{size} bytes");
    }
}
