//! What the sandbox is told at its start, as values; refuses what would be dangerous or could not
//! work. Reads no environment.

use std::{path::PathBuf, sync::Arc, time::Duration};

use storefront_runtime::{Secret, SecretFile, secret::is_placeholder};
use tokio::net::TcpListener;
use tokio_rustls::rustls::ServerConfig;
use url::Url;

use crate::{smtp, stripe, webhook};

/// Pause after a first failed delivery. Stripe's test mode waits longer; nobody developing wants to.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Bound sockets and everything else that [`crate::run`] needs.
#[derive(Debug)]
pub struct SandboxSettings {
    /// Stripe's API, the control API and the checkout page.
    pub stripe_listener: TcpListener,
    /// Mailpit's API and the inbox's page.
    pub inbox_listener: TcpListener,
    pub smtp_listener: TcpListener,
    /// Directory of the ledger, made if it is not there. Without one, all is in memory.
    pub data: Option<PathBuf>,
    /// Stripe keys of the shops that use this sandbox. Any test key may call; a live one here stops
    /// the start.
    pub api_keys: Vec<Secret>,
    /// Where Stripe's events are sent: `http://HOST:PORT/payment/webhook`.
    pub webhook_url: Option<String>,
    /// Signs what is sent; needed with `webhook_url`.
    pub webhook_secret: Option<Secret>,
    /// Where that secret is read again for each delivery, if it may be rotated.
    pub webhook_secret_file: Option<SecretFile>,
    /// Event types that are sent; all when empty.
    pub webhook_events: Vec<String>,
    /// Pause after the first failed delivery. It doubles up to a minute, for three days.
    pub webhook_first_retry: Duration,
    /// Where shoppers reach `/sandbox/checkout/…`: the gateway, or this sandbox itself.
    pub public_url: String,
    pub smtp_limits: smtp::Limits,
    /// With it, the mail server speaks TLS from the first byte.
    pub smtp_tls: Option<Arc<ServerConfig>>,
}

/// Why the sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "a live Stripe key (sk_live_, rk_live_) is configured beside the sandbox; with a live key \
         use Stripe itself (payment: {{stripe: …}}), with the sandbox a key that begins with sk_test_"
    )]
    LiveKey,
    #[error("the webhook's address cannot be used")]
    WebhookUrl(#[from] webhook::InvalidUrl),
    #[error("the webhook needs a secret to sign with: without one anybody could forge a payment")]
    WebhookSecret,
    #[error("the public URL {0:?} is no http://HOST or https://HOST")]
    PublicUrl(String),
}

impl StartError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::LiveKey => "LiveKey",
            Self::WebhookUrl(_) => "WebhookUrlInvalid",
            Self::WebhookSecret => "WebhookSecretMissing",
            Self::PublicUrl(_) => "PublicUrlInvalid",
        }
    }
}

impl SandboxSettings {
    /// In memory, without a webhook.
    pub fn new(
        stripe_listener: TcpListener,
        inbox_listener: TcpListener,
        smtp_listener: TcpListener,
        public_url: impl Into<String>,
    ) -> Self {
        Self {
            stripe_listener,
            inbox_listener,
            smtp_listener,
            data: None,
            api_keys: Vec::new(),
            webhook_url: None,
            webhook_secret: None,
            webhook_secret_file: None,
            webhook_events: Vec::new(),
            webhook_first_retry: FIRST_RETRY,
            public_url: public_url.into(),
            smtp_limits: smtp::Limits::default(),
            smtp_tls: None,
        }
    }

    /// Refuses a live key, and what could not work. The endpoint is `None` without a webhook.
    pub(crate) fn check(&self) -> Result<Option<webhook::Endpoint>, StartError> {
        let secrets = self.api_keys.iter().chain(&self.webhook_secret);
        let mut texts = secrets.map(Secret::expose).chain([self.public_url.as_str()]);
        if texts.any(|text| stripe::has_live_key(text.as_bytes())) {
            return Err(StartError::LiveKey);
        }
        let public = Url::parse(&self.public_url);
        if !public.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return Err(StartError::PublicUrl(self.public_url.clone()));
        }
        let Some(url) = &self.webhook_url else { return Ok(None) };
        let secret = self.webhook_secret.clone();
        let secret = secret.filter(|secret| !secret.is_empty() && !is_placeholder(secret));
        let secret = secret.ok_or(StartError::WebhookSecret)?;
        Ok(Some(webhook::Endpoint {
            client: webhook::Client::new(url)?,
            signed_by: match &self.webhook_secret_file {
                Some(file) => webhook::SignedBy::File(file.clone(), secret),
                None => webhook::SignedBy::Secret(secret),
            },
            first_retry_ms: i64::try_from(self.webhook_first_retry.as_millis()).unwrap_or(i64::MAX),
        }))
    }
}
