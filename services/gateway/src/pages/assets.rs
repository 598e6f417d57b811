//! Documents that are the same for every shopper: scripts, styles, pictures of the demo catalog, and
//! what the shop's colours make of them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::theme::Theme;
use crate::body::AnswerBody;

pub const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// One document, whole.
#[derive(Clone, Debug)]
pub struct Document {
    content_type: &'static str,
    content: Bytes,
    etag: HeaderValue,
}

impl Document {
    pub fn new(content_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        // FNV-1a: it only has to differ when the content does.
        let hash = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let none = HeaderValue::from_static("\"\"");
        let etag = HeaderValue::try_from(format!("\"{hash:016x}\"")).unwrap_or(none);
        Self { content_type, content, etag }
    }

    /// The document, to be asked for again each time, or 304 when the client has it.
    pub fn answer(&self, headers: &HeaderMap) -> Response<AnswerBody> {
        let known = self.is_known(headers);
        let content = if known { Bytes::new() } else { self.content.clone() };
        let mut response = Response::new(AnswerBody::Own(content));
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// Compared weakly: whoever compresses on the way makes a weak tag of ours (RFC 9110, section
    /// 13.1.2).
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = values.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
        tags.any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes()
        })
    }
}

/// The documents by their paths.
#[derive(Debug)]
pub struct Assets(Vec<(&'static str, Document)>);

impl Assets {
    pub fn new(theme: &Theme) -> Self {
        let fixed = |kind, content: &'static str| Document::new(kind, content);
        let style = Document::new(STYLE, theme.style_sheet());
        let icon = Document::new(PICTURE, theme.icon());
        Self(vec![
            ("/assets/cart.js", fixed(SCRIPT, include_str!("cart.js"))),
            ("/assets/icon.svg", icon),
            ("/assets/live.js", fixed(SCRIPT, include_str!("live.js"))),
            ("/assets/money.js", fixed(SCRIPT, include_str!("money.js"))),
            ("/assets/shop.css", fixed(STYLE, include_str!("shop.css"))),
            ("/assets/theme.css", style),
            ("/img/chai.svg", fixed(PICTURE, include_str!("img/chai.svg"))),
            ("/img/diya.svg", fixed(PICTURE, include_str!("img/diya.svg"))),
            ("/img/earbuds.svg", fixed(PICTURE, include_str!("img/earbuds.svg"))),
            ("/img/filter.svg", fixed(PICTURE, include_str!("img/filter.svg"))),
            ("/img/kurta.svg", fixed(PICTURE, include_str!("img/kurta.svg"))),
            ("/img/phone.svg", fixed(PICTURE, include_str!("img/phone.svg"))),
        ])
    }

    pub fn find(&self, path: &str) -> Option<&Document> {
        self.0.iter().find(|(known, _)| *known == path).map(|(_, document)| document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_has_a_document_is_not_sent_it_again() {
        let document = Document::new(HTML, "<p>");
        let etag = document.etag.to_str().unwrap();
        let status = |known: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            document.answer(&headers).status().as_u16()
        };
        for known in [etag, &format!("W/{etag}"), &format!("\"a\", W/{etag}"), "*"] {
            assert_eq!(status(known), 304, "{known}");
        }
        for other in ["\"a\"", "W/\"a\"", "", etag.trim_matches('"')] {
            assert_eq!(status(other), 200, "{other}");
        }
    }
}
