//! One HTTP exchange with Stripe, or with a stand-in at an `http://` base. Retries nothing.
//!
//! async-stripe's own client keeps no connection (`pool_max_idle_per_host(0)`) and hides the headers
//! that tell whether to try again; so its requests are used and its client is not.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};
use storefront_contract::settings::StripeSettings;

use super::{
    error::StripeError,
    requests::{API_VERSION, Prepared},
};
use crate::key::ApiKey;

/// Largest answer, in bytes: a page of 100 events is some 400 kB.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Shorter than the minute after which Stripe's edge closes idle connections.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
const IDLE_CONNECTIONS_MAX: usize = 64;
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("storefront-payment/", env!("CARGO_PKG_VERSION")));
const VERSION: HeaderName = HeaderName::from_static("stripe-version");
const VERSION_READ: HeaderValue = HeaderValue::from_static(API_VERSION);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Ours, and `Host`.
const HEADERS_USUAL: usize = 6;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Stripe's answer, of any status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why the certificates of `STRIPE_CA_FILE` cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("STRIPE_CA_FILE cannot be read as certificates in PEM")]
    Unreadable(#[source] pem::Error),
    #[error("STRIPE_CA_FILE holds no certificate: write one or more in PEM")]
    Empty,
    #[error("STRIPE_CA_FILE holds a certificate that cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// A pool of connections to one base.
#[derive(Debug, Clone)]
pub struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at its end.
    base: String,
}

/// TLS that trusts the certificates of a file and no others.
fn trusting(file: &Path) -> Result<ClientConfig, CaError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(CaError::Unreadable)? {
        roots.add(certificate.map_err(CaError::Unreadable)?).map_err(CaError::Unusable)?;
    }
    if roots.is_empty() {
        return Err(CaError::Empty);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(CaError::Unusable)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl Transport {
    pub fn new(settings: &StripeSettings) -> Result<Self, CaError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_keepalive(Some(IDLE_TIMEOUT));
        let builder = HttpsConnectorBuilder::new();
        let trusting = match &settings.ca_file {
            None => builder.with_webpki_roots(),
            Some(file) => builder.with_tls_config(trusting(file)?),
        };
        let https = trusting.https_or_http().enable_http1().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(https);
        let base = settings.api_base.as_str().trim_end_matches('/').to_owned();
        Ok(Self { client, base })
    }

    /// Sends a call and reads its whole answer, within `limit`.
    pub async fn send(
        &self,
        prepared: &Prepared,
        key: &ApiKey,
        idempotency_key: Option<&str>,
        limit: Duration,
    ) -> Result<Answer, StripeError> {
        let request = self.request(prepared, key, idempotency_key)?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(connection)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await;
            let body = body.map_err(StripeError::Connection)?.to_bytes();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(StripeError::Timeout))
    }

    fn request(
        &self,
        prepared: &Prepared,
        key: &ApiKey,
        idempotency_key: Option<&str>,
    ) -> Result<Request<Full<Bytes>>, StripeError> {
        let uri = Uri::try_from(format!("{}{}", self.base, prepared.target))
            .map_err(|error| StripeError::Malformed(error.into()))?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        if let Some(form) = &prepared.form {
            *request.method_mut() = Method::POST;
            *request.body_mut() = Full::from(form.clone());
        }
        let headers = request.headers_mut();
        headers.reserve(HEADERS_USUAL);
        headers.insert(header::AUTHORIZATION, key.authorization.clone());
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(VERSION, VERSION_READ);
        if let Some(key) = idempotency_key {
            let key =
                HeaderValue::try_from(key).map_err(|error| StripeError::Malformed(error.into()))?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        if prepared.form.is_some() {
            headers.insert(header::CONTENT_TYPE, FORM);
        }
        Ok(request)
    }
}

fn connection(error: hyper_util::client::legacy::Error) -> StripeError {
    StripeError::Connection(error.into())
}
