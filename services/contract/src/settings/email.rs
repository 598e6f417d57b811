//! Settings of email.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use url::Url;

use super::{
    Branding, Common, DatabaseSettings, KafkaSettings, Reader, Settings, SettingsError, Source,
    Variables, payment::http_url, put, put_path,
};
use crate::topics::Topic;

/// Settings of email.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailSettings {
    pub common: Common,
    /// Of the mails.
    pub branding: Branding,
    pub kafka: KafkaSettings,
    pub database: DatabaseSettings,
    pub smtp: SmtpSettings,
    /// `EMAIL_FROM`: sender of every mail, such as `Demo <shop@example.com>`.
    pub from: String,
    /// `EMAIL_SEND_ON`: topics whose events become a mail. Default `payment-successful`.
    pub send_on: Vec<Topic>,
    /// `PUBLIC_URL`: where the mail's link back leads.
    pub public_url: Url,
    /// `EMAIL_MAX_AGE_HOURS`: an older event is not mailed any more. Default 72.
    pub max_age_hours: u64,
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    /// `SMTP_HOST`.
    pub host: String,
    /// `SMTP_PORT`.
    pub port: u16,
    /// `SMTP_TLS`: `none`, `starttls` (required, never opportunistic) or `implicit`.
    pub tls: SmtpTls,
    /// `SMTP_USERNAME_FILE` and `SMTP_PASSWORD_FILE`.
    pub credentials: Option<(PathBuf, PathBuf)>,
    /// `SMTP_TIMEOUT_MS`: for one whole mail, from connection to the server's last word. Default 30000.
    pub timeout_ms: u64,
    /// `SMTP_CONNECTIONS`: mails under way at once. Default 4.
    pub connections: u32,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    None,
    StartTls,
    Implicit,
}

impl SmtpTls {
    pub const ALL: [Self; 3] = [Self::None, Self::StartTls, Self::Implicit];

    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

impl FromStr for SmtpTls {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|tls| tls.name() == name)
            .ok_or_else(|| format!("{name:?} is no protection; write none, starttls or implicit"))
    }
}

/// A topic by its name before the prefix, for lists in settings.
struct TopicName(Topic);

impl FromStr for TopicName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match Topic::from_name(name) {
            Some(topic @ (Topic::PaymentSuccessful | Topic::OrderSuccessful)) => Ok(Self(topic)),
            _ => Err(format!(
                "{name:?} is no topic to mail on; write payment-successful or order-successful"
            )),
        }
    }
}

impl SmtpSettings {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let host = reader.required("SMTP_HOST");
        let port = reader.required("SMTP_PORT");
        let tls = reader.or("SMTP_TLS", SmtpTls::StartTls);
        let user = reader.optional_path("SMTP_USERNAME_FILE");
        let password = reader.optional_path("SMTP_PASSWORD_FILE");
        if user.is_some() != password.is_some() {
            reader.problem(
                "SMTP_USERNAME_FILE",
                "and SMTP_PASSWORD_FILE go together; set both or none",
            );
        }
        let timeout_ms = reader.within("SMTP_TIMEOUT_MS", 30_000, (10, 600_000));
        let connections = reader.within("SMTP_CONNECTIONS", 4, (1, 64));
        Some(Self {
            host: host?,
            port: port?,
            tls: tls?,
            credentials: user.zip(password),
            timeout_ms: timeout_ms?,
            connections: u32::try_from(connections?).ok()?,
        })
    }

    fn write(&self, variables: &mut Variables) {
        let Self { host, port, tls, credentials, timeout_ms, connections } = self;
        put(variables, "SMTP_HOST", host);
        put(variables, "SMTP_PORT", port);
        put(variables, "SMTP_TLS", tls.name());
        if let Some((username, password)) = credentials {
            put_path(variables, "SMTP_USERNAME_FILE", username);
            put_path(variables, "SMTP_PASSWORD_FILE", password);
        }
        put(variables, "SMTP_TIMEOUT_MS", timeout_ms);
        put(variables, "SMTP_CONNECTIONS", connections);
    }
}

impl Settings for EmailSettings {
    fn read(source: &dyn Source) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(source);
        let r = &mut reader;
        let common = Common::read(r);
        let branding = Branding::read(r, common.as_ref());
        let kafka = KafkaSettings::read(r);
        let database = DatabaseSettings::read(r);
        let smtp = SmtpSettings::read(r);
        let from = r.required("EMAIL_FROM");
        let send_on = r.list::<TopicName>("EMAIL_SEND_ON").map(|topics| {
            if topics.is_empty() {
                vec![Topic::PaymentSuccessful]
            } else {
                topics.into_iter().map(|name| name.0).collect()
            }
        });
        let public_url =
            r.required::<String>("PUBLIC_URL").and_then(|text| http_url(r, "PUBLIC_URL", &text));
        let max_age_hours = r.within("EMAIL_MAX_AGE_HOURS", 72, (1, 24 * 365));
        let settings = (|| {
            Some(Self {
                common: common?,
                branding: branding?,
                kafka: kafka?,
                database: database?,
                smtp: smtp?,
                from: from?,
                send_on: send_on?,
                public_url: public_url?,
                max_age_hours: max_age_hours?,
            })
        })();
        reader.finish(settings)
    }

    fn write(&self) -> BTreeMap<String, String> {
        let Self { common, branding, kafka, database, smtp, .. } = self;
        let Self { from, send_on, public_url, max_age_hours, .. } = self;
        let mut variables = BTreeMap::new();
        common.write(&mut variables);
        branding.write(&mut variables);
        kafka.write(&mut variables);
        database.write(&mut variables);
        smtp.write(&mut variables);
        put(&mut variables, "EMAIL_FROM", from);
        let topics: Vec<_> = send_on.iter().map(|topic| topic.name()).collect();
        put(&mut variables, "EMAIL_SEND_ON", topics.join(","));
        put(&mut variables, "PUBLIC_URL", public_url);
        put(&mut variables, "EMAIL_MAX_AGE_HOURS", max_age_hours);
        variables
    }
}
