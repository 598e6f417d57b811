//! What a page asks services for: JSON, within a time and a size, once.

use std::time::Duration;

use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use storefront_runtime::{TraceContext, trace};

use crate::{problems::Failure, proxy::Proxy, routes::Routes};

/// Largest answer that is read: a catalog, which payment takes up to this size.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why a page did not get what it needs.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no service of this shop answers for it")]
    NoService,
    #[error("the service gave no answer")]
    Failure(#[from] Failure),
    #[error("the service did not answer in time")]
    Timeout,
    #[error("the service answered {0}")]
    Status(StatusCode),
    #[error("the service's answer broke off or is too large")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the service's answer is not what it should be")]
    Json(#[source] serde_json::Error),
}

impl AskError {
    /// A fixed word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoService => "NoService",
            Self::Failure(failure) => failure.reason(),
            Self::Timeout => "Timeout",
            Self::Status(_) => "Status",
            Self::Body(_) => "Body",
            Self::Json(_) => "Json",
        }
    }
}

/// The services, as pages ask them.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    pub routes: &'a Routes,
    pub proxy: &'a Proxy,
}

impl Services<'_> {
    /// What the service behind `path` says, if it says 200 within `limit`.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &str,
        limit: Duration,
    ) -> Result<T, AskError> {
        let asked = self.ask_for_ever(path, query);
        let body = tokio::time::timeout(limit, asked).await.map_err(|_| AskError::Timeout)??;
        serde_json::from_slice(&body).map_err(AskError::Json)
    }

    async fn ask_for_ever(&self, path: &str, query: &str) -> Result<bytes::Bytes, AskError> {
        let (_, upstream) = self.routes.find(path).ok_or(AskError::NoService)?;
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let target = Uri::try_from(format!("{path}{query}"));
        let target = target.map_err(|_| AskError::NoService)?;
        let context = trace::current().unwrap_or_else(|| TraceContext::continued(None));
        let response = self.proxy.ask(target, context, upstream).await?;
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(AskError::Status(head.status));
        }
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
        Ok(body.map_err(AskError::Body)?.to_bytes())
    }
}
