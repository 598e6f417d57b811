//! Errors as every client of a shop sees them: RFC 9457 problem details. What went wrong inside is
//! for the log; a problem says what the caller can act on.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::trace;

/// The media type of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One problem. `type` is `urn:storefront:problem:` with the title in lower case and dashes, or
/// left out (`about:blank`) where the title is the status's own phrase.
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    title: Cow<'static, str>,
    detail: Option<String>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a title that stays the same for every occurrence of its kind.
    pub fn new(status: StatusCode, title: impl Into<Cow<'static, str>>) -> Self {
        let (members, headers) = (Map::new(), Vec::new());
        Self(Box::new(Parts { status, title: title.into(), detail: None, members, headers }))
    }

    /// The plain problem of a status, titled by its own phrase.
    pub fn of(status: StatusCode) -> Self {
        Self::new(status, status.canonical_reason().unwrap_or("Error"))
    }

    /// What is particular to this occurrence, for a person.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// A member for programs, such as the product that a problem is about.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.0.members.insert(name.to_owned(), value);
        }
        self
    }

    /// A header of the answer, such as `WWW-Authenticate`. A value that is no header is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after_s(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// The headers of the answer but the content type.
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// The document. It names the trace that it belongs to, for those who ask for help.
    pub fn to_json(&self) -> Value {
        let mut document = Map::new();
        if self.0.status.canonical_reason() != Some(&*self.0.title) {
            document.insert("type".into(), self.type_uri().into());
        }
        document.insert("title".into(), (*self.0.title).into());
        document.insert("status".into(), self.0.status.as_u16().into());
        if let Some(detail) = &self.0.detail {
            document.insert("detail".into(), detail.as_str().into());
        }
        if let Some(context) = trace::current() {
            document.insert("traceId".into(), context.trace_id().into());
        }
        for (name, value) in &self.0.members {
            document.entry(name.as_str()).or_insert_with(|| value.clone());
        }
        Value::Object(document)
    }

    /// The answer, with a body of any kind that can be made of bytes.
    pub fn into_response_of<B: From<String>>(self) -> http::Response<B> {
        let mut response = http::Response::new(B::from(self.to_json().to_string()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.0.headers {
            headers.append(name, value);
        }
        response
    }

    fn type_uri(&self) -> String {
        let slug: String = self
            .0
            .title
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        format!("urn:storefront:problem:{}", slug.trim_matches('-'))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_response_of()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_tells_people_and_programs() {
        let problem = Problem::new(StatusCode::CONFLICT, "Price changed")
            .detail("phone costs ₹18,999.00 now")
            .with("product", "phone")
            .with("price", 1_899_900)
            .with("status", "members of the standard are not overwritten");
        insta::assert_json_snapshot!(problem.to_json(), @r#"
        {
          "type": "urn:storefront:problem:price-changed",
          "title": "Price changed",
          "status": 409,
          "detail": "phone costs ₹18,999.00 now",
          "product": "phone",
          "price": 1899900
        }
        "#);
    }

    #[test]
    fn a_status_alone_needs_no_type() {
        let response = Problem::of(StatusCode::NOT_FOUND).retry_after_s(3).into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], PROBLEM_JSON);
        assert_eq!(response.headers()["retry-after"], "3");
        let json = Problem::of(StatusCode::NOT_FOUND).to_json().to_string();
        assert!(!json.contains("type"), "{json}");
    }
}
