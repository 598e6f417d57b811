//! A small HTTP/1.1 client for tests, with a limit on time and size so that no test hangs.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const BODY_LIMIT_BYTES: usize = 64 << 20;

/// Clones share their connections. One per test: connections belong to a test's runtime.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Default for Http {
    fn default() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

impl Http {
    pub async fn get(&self, url: impl AsRef<str>) -> anyhow::Result<Reply> {
        self.send(Request::get(url.as_ref()).body(Full::default())?).await
    }

    pub async fn post_json(&self, url: impl AsRef<str>, body: &Value) -> anyhow::Result<Reply> {
        self.json(Method::POST, url, body).await
    }

    pub async fn put_json(&self, url: impl AsRef<str>, body: &Value) -> anyhow::Result<Reply> {
        self.json(Method::PUT, url, body).await
    }

    /// A POST without a body.
    pub async fn post(&self, url: impl AsRef<str>) -> anyhow::Result<Reply> {
        self.send(Request::post(url.as_ref()).body(Full::default())?).await
    }

    async fn json(
        &self,
        method: Method,
        url: impl AsRef<str>,
        body: &Value,
    ) -> anyhow::Result<Reply> {
        let request = Request::builder().method(method).uri(url.as_ref());
        let request = request.header(CONTENT_TYPE, "application/json");
        self.send(request.body(Full::from(body.to_string()))?).await
    }

    /// Any request; for those that need headers of their own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Reply> {
        let what = format!("{} {}", request.method(), request.uri());
        let exchange = async {
            let (parts, body) = self.client.request(request).await?.into_parts();
            let body = Limited::new(body, BODY_LIMIT_BYTES).collect().await;
            let body = body.map_err(anyhow::Error::from_boxed)?.to_bytes();
            anyhow::Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        let reply = tokio::time::timeout(LIMIT, exchange).await;
        reply.context("no answer in time").and_then(|reply| reply).context(what)
    }
}

impl Reply {
    /// The body as JSON; the error shows what came instead.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, not JSON: {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that can be read as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The reply itself when it has the status; else an error that shows the body.
    pub fn expect_status(self, status: u16) -> anyhow::Result<Self> {
        anyhow::ensure!(self.status == status, "status {}: {}", self.status, self.text());
        Ok(self)
    }
}
