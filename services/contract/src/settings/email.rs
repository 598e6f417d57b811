//! Settings of email.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;

use super::{
    Branding, Common, DatabaseSettings, Field, KafkaSettings, Need, Reader, Variable, Variables,
    declare::{HttpUrl, OptionalFile, Or, Part, Required, Within, put_path},
};
use crate::{section, topics::Topic};

section! {
    /// Settings of email.
    pub struct EmailSettings {
        pub common: Common = Part,
        /// Of the mails.
        pub branding: Branding = Part,
        pub kafka: KafkaSettings = Part,
        pub database: DatabaseSettings = Part,
        pub smtp: SmtpSettings = Part,
        /// Sender of every mail, such as `Demo <shop@example.com>`.
        pub from: String = Required("EMAIL_FROM"),
        /// Topics whose events become a mail: `payment-successful`, `order-successful`, or both with a
        /// comma between them.
        pub send_on: Vec<Topic> = SendOn("EMAIL_SEND_ON"),
        /// Where the mail's link back leads.
        pub public_url: Url = HttpUrl("PUBLIC_URL", None),
        /// An older event is not mailed any more.
        pub max_age_hours: u64 = Within("EMAIL_MAX_AGE_HOURS", 72, 1..=8_760),
    }
}

section! {
    /// The mail server.
    pub struct SmtpSettings {
        /// The mail server's name or address, such as `smtp.gmail.com`.
        pub host: String = Required("SMTP_HOST"),
        /// The mail server's port; usual is 587 with `starttls`, 465 with `implicit`.
        pub port: u16 = Required("SMTP_PORT"),
        /// `none`, `starttls` (required, never opportunistic) or `implicit`.
        pub tls: SmtpTls = Or("SMTP_TLS", SmtpTls::StartTls),
        /// File with certificates (PEM) to trust instead of the public ones, for a server with a CA of its
        /// own; read again when it changes.
        pub ca_file: Option<PathBuf> = OptionalFile("SMTP_CA_FILE"),
        /// Files with name and password.
        pub credentials: Option<(PathBuf, PathBuf)> = Credentials,
        /// For one whole mail, from connection to the server's last word.
        pub timeout_ms: u64 = Within("SMTP_TIMEOUT_MS", 30_000, 10..=600_000),
        /// Mails under way at once.
        pub connections: u32 = Within("SMTP_CONNECTIONS", 4, 1..=64),
    }
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

impl fmt::Display for SmtpTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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

struct SendOn(&'static str);

impl Field<Vec<Topic>> for SendOn {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Vec<Topic>> {
        let topics = reader.list::<TopicName>(self.0)?;
        if topics.is_empty() {
            return Some(vec![Topic::PaymentSuccessful]);
        }
        Some(topics.into_iter().map(|name| name.0).collect())
    }

    fn write(&self, value: &Vec<Topic>, variables: &mut Variables) {
        let topics: Vec<_> = value.iter().map(|topic| topic.name()).collect();
        variables.insert(self.0.into(), topics.join(","));
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        let need = Need::Default(Topic::PaymentSuccessful.name().into());
        let meaning = meaning.trim().to_owned();
        list.push(Variable { name: self.0, meaning, need, limits: None });
    }
}

/// Two variables that go together.
struct Credentials;

const USERNAME_FILE: &str = "SMTP_USERNAME_FILE";
const PASSWORD_FILE: &str = "SMTP_PASSWORD_FILE";

impl Field<Option<(PathBuf, PathBuf)>> for Credentials {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<(PathBuf, PathBuf)>> {
        let user = reader.optional_path(USERNAME_FILE);
        let password = reader.optional_path(PASSWORD_FILE);
        if user.is_some() != password.is_some() {
            let problem = format!("and {PASSWORD_FILE} go together; set both or none");
            reader.problem(USERNAME_FILE, problem);
        }
        Some(user.zip(password))
    }

    fn write(&self, value: &Option<(PathBuf, PathBuf)>, variables: &mut Variables) {
        if let Some((username, password)) = value {
            put_path(variables, USERNAME_FILE, username);
            put_path(variables, PASSWORD_FILE, password);
        }
    }

    fn describe(&self, _: &'static str, list: &mut Vec<Variable>) {
        for (name, meaning, other) in [
            (USERNAME_FILE, "File with the user's name", PASSWORD_FILE),
            (PASSWORD_FILE, "File with the password", USERNAME_FILE),
        ] {
            let meaning = format!("{meaning}; goes together with `{other}`.");
            list.push(Variable { name, meaning, need: Need::Optional, limits: None });
        }
    }
}
