//! Asks shops and stand-ins over HTTP: whole answers, bounded in size and time, no redirects followed.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use url::Url;

/// For one answer: a shop waits for Stripe that long at most.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const BODY_MAX_BYTES: usize = 8 << 20;

/// Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    body: Bytes,
    url: Url,
}

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{origin} cannot be reached{}; check the address, and that a shop runs there", causes(.source.as_ref()))]
    Unreachable { origin: String, source: Box<dyn Error + Send + Sync> },
    #[error("{origin} did not answer within {} s", ANSWER_LIMIT.as_secs())]
    Silent { origin: String },
    #[error("{url} answered {status}: {said}")]
    Refused { url: String, status: StatusCode, said: String },
    #[error("{url} answered with something else than JSON: is it the shop's gateway?")]
    NotJson { url: String },
}

/// Every cause in one line: hyper's own words say little.
fn causes(source: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut last: &dyn Error = source;
    while let Some(cause) = last.source() {
        last = cause;
    }
    format!(": {last}")
}

impl Default for Client {
    fn default() -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Self { pool: Pool::builder(TokioExecutor::new()).build(connector) }
    }
}

impl Client {
    pub async fn get(&self, url: &Url) -> Result<Answer, HttpError> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// A POST without a body.
    pub async fn post(&self, url: &Url) -> Result<Answer, HttpError> {
        self.send(Method::POST, url, &[], Bytes::new()).await
    }

    /// A POST of what a form of a page holds.
    pub async fn post_form(&self, url: &Url, fields: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, url, &headers, body.into()).await
    }

    /// A POST of JSON that may be sent any number of times.
    pub async fn tell(&self, url: &Url, body: &Value) -> Result<Answer, HttpError> {
        let headers = [("content-type", "application/json")];
        self.send(Method::POST, url, &headers, body.to_string().into()).await
    }

    pub async fn post_json(&self, url: &Url, key: &str, body: &Value) -> Result<Answer, HttpError> {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.send(Method::POST, url, &headers, body.to_string().into()).await
    }

    async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, HttpError> {
        let origin = || url.origin().ascii_serialization();
        let unreachable = |source: Box<dyn Error + Send + Sync>| HttpError::Unreachable {
            origin: origin(),
            source,
        };
        let mut request =
            Request::builder().method(method).uri(url.as_str()).header(header::ACCEPT, "*/*");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request =
            request.body(Full::new(body)).map_err(|error| unreachable(error.into()))?;
        let agent = HeaderValue::from_static(concat!("storefront/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|it| unreachable(it.into()))?;
            let (parts, body) = Response::into_parts(response);
            let body = Limited::new(body, BODY_MAX_BYTES).collect().await.map_err(unreachable)?;
            Ok(Answer { status: parts.status, body: body.to_bytes(), url: url.clone() })
        };
        let silent = |_| Err(HttpError::Silent { origin: origin() });
        tokio::time::timeout(ANSWER_LIMIT, exchange).await.unwrap_or_else(silent)
    }
}

impl Answer {
    /// The JSON of a 2xx answer; anything else is an error that says what came instead.
    pub fn json(&self) -> Result<Value, HttpError> {
        self.ok()?;
        serde_json::from_slice(&self.body).map_err(|_| HttpError::NotJson { url: self.shown_url() })
    }

    /// Whether it is an error as our services tell one (RFC 9457).
    pub fn is_problem(&self) -> bool {
        serde_json::from_slice::<Value>(&self.body).is_ok_and(|body| body["title"].is_string())
    }

    /// Fails unless the status is 2xx or 3xx.
    pub fn ok(&self) -> Result<(), HttpError> {
        if self.status.is_success() || self.status.is_redirection() {
            return Ok(());
        }
        let said = Said(&self.body).to_string();
        Err(HttpError::Refused { url: self.shown_url(), status: self.status, said })
    }

    /// Without the query: it may hold a session.
    fn shown_url(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }
}

/// What an error's body says to a person: a problem's detail, or else its first line.
struct Said<'a>(&'a [u8]);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARS: usize = 200;
        let problem: Value = serde_json::from_slice(self.0).unwrap_or_default();
        let words = problem["detail"].as_str().or_else(|| problem["title"].as_str());
        let text = String::from_utf8_lossy(self.0);
        let line = words.or_else(|| text.lines().next()).unwrap_or("nothing more");
        for c in line.chars().take(MAX_CHARS) {
            write!(f, "{}", if c.is_control() { ' ' } else { c })?;
        }
        Ok(())
    }
}

/// A path below a base that may itself have one.
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/'));
    url.set_path(&whole);
    url.set_query(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_its_detail() {
        let said = |body: &str| Said(body.as_bytes()).to_string();
        assert_eq!(
            said(r#"{"title": "Conflict", "detail": "phone costs 2 now"}"#),
            "phone costs 2 now"
        );
        assert_eq!(said(r#"{"title": "Conflict"}"#), "Conflict");
        assert_eq!(said("<html>\n<p>"), "<html>");
        assert_eq!(said("\u{1b}[2J"), " [2J");
    }

    #[test]
    fn a_path_goes_below_its_base() {
        let base = |text: &str| text.parse::<Url>().unwrap();
        assert_eq!(below(&base("http://a:1"), "/orders/1").as_str(), "http://a:1/orders/1");
        assert_eq!(below(&base("http://a/shop/?x=1"), "orders").as_str(), "http://a/shop/orders");
    }
}
