//! A small HTTP client for one address: pooled connections, a time limit, no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

/// Stripe waits about as long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer's body is read, so that its connection can be used again, up to this much.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
#[error("the webhook's address {0:?} is no http://HOST:PORT/PATH; the sandbox speaks no TLS")]
pub struct InvalidUrl(pub String);

/// Posts to one address.
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl Client {
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        let invalid = || InvalidUrl(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| invalid())?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(invalid());
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(TIMEOUT));
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(Self { pool, uri })
    }

    /// The status when it was 2xx, else what went wrong, in a few words.
    pub async fn post(&self, body: String, signature: &str) -> Result<u16, String> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = http::Method::POST;
        request.uri_mut().clone_from(&self.uri);
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static("Stripe/1.0 (+https://stripe.com/docs/webhooks)"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*; q=0.5, application/xml"));
        headers.insert(
            "stripe-signature",
            HeaderValue::from_str(signature)
                .map_err(|_| "the signature is no header".to_owned())?,
        );
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| describe(&error))?;
            let status = response.status();
            // What it says does not matter, nor that it says too much.
            let _ = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
            if status.is_success() { Ok(status.as_u16()) } else { Err(format!("status {status}")) }
        };
        let answered = tokio::time::timeout(TIMEOUT, exchange).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
    }
}

fn describe(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
