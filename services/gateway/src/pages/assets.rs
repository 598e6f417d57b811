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
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|etag| *etag == self.etag);
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
