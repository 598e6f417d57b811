//! What the plain pages share: escaping, the frame, and headers that let nothing else in.

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;\
padding:0 1rem;color:#1c1c28}table{width:100%;border-collapse:collapse}th,td{text-align:left;\
padding:.4rem .5rem;border-bottom:1px solid #ddd}td.n,th.n{text-align:right}form{display:inline}\
button{font:inherit;padding:.5rem 1rem;margin:.25rem .25rem 0 0;cursor:pointer}pre{white-space:\
pre-wrap;overflow-wrap:anywhere}.note{color:#666}";

/// Text made safe for an element's content and for a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // NUL and the other controls have no meaning in HTML, and some readers choke on them.
            control if control.is_control() && !matches!(control, '\n' | '\r' | '\t') => {
                safe.push('\u{fffd}');
            }
            plain => safe.push(plain),
        }
    }
    safe
}

/// A whole page. `body` is HTML, `title` is text; `form_targets` are the origins that a form may
/// end at besides this one (a redirect after a form counts, in Chromium).
pub fn page(status: StatusCode, title: &str, body: &str, form_targets: &[String]) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
<style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>"
    );
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'; \
frame-src 'self'; form-action 'self' {}",
        form_targets.join(" ")
    );
    guarded((status, Html(html)).into_response(), &policy)
}

/// Adds the headers that keep a page to itself.
pub fn guarded(mut response: Response, policy: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(policy.trim_end()) {
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

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(
            escape("<script>\"it's\" & \0</script>"),
            "&lt;script&gt;&quot;it&#39;s&quot; &amp; \u{fffd}&lt;/script&gt;"
        );
    }
}
