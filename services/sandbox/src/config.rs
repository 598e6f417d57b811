//! The sandbox's settings as variables, for the program of its own. `storefront dev` builds
//! [`SandboxSettings`] itself.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use storefront_contract::{
    section,
    settings::{
        Field, Need, Reader, Variable, Variables,
        declare::{List, Optional, OptionalFile, Or},
    },
};
use storefront_runtime::SecretFile;
use tokio::net::TcpListener;

use crate::{SandboxSettings, smtp};

const LOCAL: [u8; 4] = [127, 0, 0, 1];

section! {
    /// Variables of `storefront-sandbox`.
    pub struct SandboxConfig {
        /// Address and port of Stripe's API, the control API and the checkout page.
        pub stripe_listen: SocketAddr = Or("SANDBOX_STRIPE_LISTEN", (LOCAL, 12_111).into()),
        /// Address and port of the inbox's pages and of Mailpit's API.
        pub inbox_listen: SocketAddr = Or("SANDBOX_INBOX_LISTEN", (LOCAL, 8_025).into()),
        /// Address and port where mails are taken.
        pub smtp_listen: SocketAddr = Or("SANDBOX_SMTP_LISTEN", (LOCAL, 1_025).into()),
        /// File with a certificate and its key (PEM): mail then comes over TLS, from the first byte.
        pub smtp_tls_file: Option<PathBuf> = OptionalFile("SANDBOX_SMTP_TLS_FILE"),
        /// Folder of the ledger. Without it all is in memory.
        pub data: Option<PathBuf> = OptionalFile("SANDBOX_DATA"),
        /// Where shoppers reach the checkout page; without it at the sandbox's own address.
        pub public_url: Option<String> = Optional("PUBLIC_URL"),
        /// File with the shop's key, to refuse a live one.
        pub api_key_file: Option<PathBuf> = OptionalFile("STRIPE_API_KEY_FILE"),
        /// Where events are sent, and the file with the secret that signs them.
        pub webhook: Option<Webhook> = WebhookFields,
        /// Types of events that are sent, separated by commas; without it all.
        pub webhook_events: Vec<String> = List("SANDBOX_WEBHOOK_EVENTS"),
    }
}

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Such as `http://gateway:8080/payment/webhook`.
    pub url: String,
    /// Signs what is sent.
    pub secret_file: PathBuf,
}

/// Two variables: with the first, the second must be there.
struct WebhookFields;

const WEBHOOK_URL: &str = "SANDBOX_WEBHOOK_URL";
const WEBHOOK_SECRET_FILE: &str = "SANDBOX_WEBHOOK_SECRET_FILE";

impl Field<Option<Webhook>> for WebhookFields {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<Webhook>> {
        let Some(url) = reader.raw(WEBHOOK_URL) else { return Some(None) };
        let Some(secret_file) = reader.optional_path(WEBHOOK_SECRET_FILE) else {
            reader.problem(WEBHOOK_SECRET_FILE, "is missing: deliveries must be signed");
            return None;
        };
        Some(Some(Webhook { url, secret_file }))
    }

    fn write(&self, value: &Option<Webhook>, variables: &mut Variables) {
        if let Some(Webhook { url, secret_file }) = value {
            variables.insert(WEBHOOK_URL.into(), url.clone());
            variables.insert(WEBHOOK_SECRET_FILE.into(), secret_file.display().to_string());
        }
    }

    fn describe(&self, _: &'static str, list: &mut Vec<Variable>) {
        for (name, meaning) in [
            (WEBHOOK_URL, "Where events are sent: `http://HOST:PORT/payment/webhook`."),
            (
                WEBHOOK_SECRET_FILE,
                "File with the secret that signs them; must be there with the URL.",
            ),
        ] {
            let meaning = meaning.to_owned();
            list.push(Variable { name, meaning, need: Need::Optional, limits: None });
        }
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
        if let Some(webhook) = self.webhook {
            let file = SecretFile::new(webhook.secret_file);
            settings.webhook_secret = Some(file.read()?);
            settings.webhook_secret_file = Some(file);
            settings.webhook_url = Some(webhook.url);
        }
        settings.smtp_tls = self.smtp_tls_file.as_deref().map(smtp::tls::read).transpose()?;
        settings.data = self.data;
        settings.webhook_events = self.webhook_events;
        Ok(settings)
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use storefront_contract::settings::Settings as _;

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
