//! What the pages share: styles, scripts, and headers that let nothing else in.

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

pub const CHECKOUT_STYLE: &str =
    concat!(include_str!("../assets/base.css"), include_str!("../assets/checkout.css"));
pub const INBOX_STYLE: &str =
    concat!(include_str!("../assets/base.css"), include_str!("../assets/inbox.css"));
pub const INBOX_SCRIPT: &str = include_str!("../assets/inbox.js");
pub const CHECKOUT_SCRIPT: &str = include_str!("../assets/checkout.js");

/// What a page may do besides showing itself.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub style: &'static str,
    /// The one script that may run.
    pub script: Option<&'static str>,
    /// Origins that a form may end at besides this one: a redirect after a form counts, in Chromium.
    pub form_targets: Vec<String>,
    /// May show frames of this origin, and fetch from it.
    pub frames: bool,
}

impl Page {
    pub fn checkout() -> Self {
        Self { style: CHECKOUT_STYLE, ..Self::default() }
    }

    /// The whole answer.
    pub fn answer(&self, status: StatusCode, html: Result<String, askama::Error>) -> Response {
        match html {
            Ok(html) => guarded((status, Html(html)).into_response(), &self.policy()),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "a page's template failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The page failed; see the log.").into_response()
            }
        }
    }

    fn policy(&self) -> String {
        let mut words = vec!["default-src 'none'; style-src ".into(), hash_of(self.style)];
        if let Some(script) = self.script {
            words.extend(["; script-src ".into(), hash_of(script)]);
        }
        if self.frames {
            words.push("; frame-src 'self'; connect-src 'self'".into());
        }
        let rest = "; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
        words.push(rest.into());
        words.extend(self.form_targets.iter().map(|target| format!(" {target}")));
        words.concat()
    }
}

fn hash_of(text: &str) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    format!("'sha256-{hash}'")
}

/// Adds the headers that keep a page to itself.
pub fn guarded(mut response: Response, policy: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
