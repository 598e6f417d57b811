//! The sandbox's settings as variables, for the program of its own. `storefront dev` builds
//! [`SandboxSettings`] itself.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use storefront_contract::settings::{Reader, Settings, SettingsError, Source};
use storefront_runtime::SecretFile;
use tokio::net::TcpListener;

use crate::SandboxSettings;

/// Variables of `storefront-sandbox`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxConfig {
    /// `SANDBOX_STRIPE_LISTEN`: default 127.0.0.1:12111.
    pub stripe_listen: SocketAddr,
    /// `SANDBOX_INBOX_LISTEN`: default 127.0.0.1:8025.
    pub inbox_listen: SocketAddr,
    /// `SANDBOX_SMTP_LISTEN`: default 127.0.0.1:1025.
    pub smtp_listen: SocketAddr,
    /// `SANDBOX_DATA`: directory of the ledger. Without it all is in memory.
    pub data: Option<PathBuf>,
    /// `PUBLIC_URL`: where shoppers reach the checkout page. Default: the sandbox's own address.
    pub public_url: Option<String>,
    /// `STRIPE_API_KEY_FILE`: the shop's key, to refuse a live one.
    pub api_key_file: Option<PathBuf>,
    /// `SANDBOX_WEBHOOK_URL`: where events are sent.
    pub webhook_url: Option<String>,
    /// `SANDBOX_WEBHOOK_SECRET_FILE`: signs what is sent.
    pub webhook_secret_file: Option<PathBuf>,
    /// `SANDBOX_WEBHOOK_EVENTS`: types that are sent, separated by commas. Default: all.
    pub webhook_events: Vec<String>,
}

impl Settings for SandboxConfig {
    fn read(source: &dyn Source) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source);
        let r = &mut reader;
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let stripe_listen = r.or("SANDBOX_STRIPE_LISTEN", local(12_111));
        let inbox_listen = r.or("SANDBOX_INBOX_LISTEN", local(8_025));
        let smtp_listen = r.or("SANDBOX_SMTP_LISTEN", local(1_025));
        let data = r.optional_path("SANDBOX_DATA");
        let public_url = r.raw("PUBLIC_URL");
        let api_key_file = r.optional_path("STRIPE_API_KEY_FILE");
        let webhook_url = r.raw("SANDBOX_WEBHOOK_URL");
        let webhook_secret_file = r.optional_path("SANDBOX_WEBHOOK_SECRET_FILE");
        let webhook_events = r.list("SANDBOX_WEBHOOK_EVENTS");
        if webhook_url.is_some() && webhook_secret_file.is_none() {
            r.problem("SANDBOX_WEBHOOK_SECRET_FILE", "is missing: deliveries must be signed");
        }
        let settings = (|| {
            Some(Self {
                stripe_listen: stripe_listen?,
                inbox_listen: inbox_listen?,
                smtp_listen: smtp_listen?,
                data,
                public_url,
                api_key_file,
                webhook_url,
                webhook_secret_file,
                webhook_events: webhook_events?,
            })
        })();
        reader.finish(settings)
    }

    fn write(&self) -> BTreeMap<String, String> {
        let Self { stripe_listen, inbox_listen, smtp_listen, data, public_url, .. } = self;
        let Self { api_key_file, webhook_url, webhook_secret_file, webhook_events, .. } = self;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
        let variables = [
            ("SANDBOX_STRIPE_LISTEN", Some(stripe_listen.to_string())),
            ("SANDBOX_INBOX_LISTEN", Some(inbox_listen.to_string())),
            ("SANDBOX_SMTP_LISTEN", Some(smtp_listen.to_string())),
            ("SANDBOX_DATA", path(data)),
            ("PUBLIC_URL", public_url.clone()),
            ("STRIPE_API_KEY_FILE", path(api_key_file)),
            ("SANDBOX_WEBHOOK_URL", webhook_url.clone()),
            ("SANDBOX_WEBHOOK_SECRET_FILE", path(webhook_secret_file)),
            ("SANDBOX_WEBHOOK_EVENTS", Some(webhook_events.join(","))),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl SandboxConfig {
    /// Binds the sockets and reads the secrets.
    pub async fn bind(self) -> anyhow::Result<SandboxSettings> {
        let stripe = listen(self.stripe_listen).await?;
        let inbox = listen(self.inbox_listen).await?;
        let smtp = listen(self.smtp_listen).await?;
        let own = format!("http://{}", stripe.local_addr()?);
        let mut settings =
            SandboxSettings::new(stripe, inbox, smtp, self.public_url.unwrap_or(own));
        if let Some(file) = self.api_key_file {
            settings.api_keys.push(SecretFile::new(file).read()?);
        }
        if let Some(file) = self.webhook_secret_file {
            settings.webhook_secret = Some(SecretFile::new(file).read()?);
        }
        settings.data = self.data;
        settings.webhook_url = self.webhook_url;
        settings.webhook_events = self.webhook_events;
        Ok(settings)
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_survive() {
        let written = BTreeMap::from(
            [
                ("SANDBOX_STRIPE_LISTEN", "0.0.0.0:80"),
                ("SANDBOX_DATA", "/data"),
                ("SANDBOX_WEBHOOK_URL", "http://gateway:8080/payment/webhook"),
                ("SANDBOX_WEBHOOK_SECRET_FILE", "/secrets/webhook-secret"),
                ("SANDBOX_WEBHOOK_EVENTS", "checkout.session.completed, charge.succeeded"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let config = SandboxConfig::read(&written).unwrap();
        assert_eq!(config.webhook_events.len(), 2);
        assert_eq!(SandboxConfig::read(&config.write()), Ok(config));
    }

    #[test]
    fn a_webhook_without_a_secret_is_refused() {
        let url = ("SANDBOX_WEBHOOK_URL".to_owned(), "http://gateway:8080/".to_owned());
        let error = SandboxConfig::read(&BTreeMap::from([url])).unwrap_err();
        assert!(error.to_string().contains("SANDBOX_WEBHOOK_SECRET_FILE is missing"), "{error}");
    }
}
