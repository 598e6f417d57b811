//! `spec.email`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SecretKeyRef, SecretRef, rules};

/// How mails leave. Write at most one of `inbox` and `smtp`; default: `inbox`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::EMAIL_ONE, validation = rules::SMTP_HAS_FROM)]
pub struct Email {
    /// An inbox that keeps every mail for people to look at, and sends none on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Inbox>,

    /// A mail server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<Smtp>,

    /// Sender of every mail. Default, with the inbox only: the shop's name at `localhost`.
    ///
    /// Example: `Demo <shop@example.com>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    #[x_kube(validation = rules::EMAIL_FROM)]
    pub from: Option<String>,

    /// Which happenings are mailed. Default: `[payment-successful]`, the confirmation of a payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set, validation = rules::SEND_ON_SOME)]
    pub send_on: Option<Vec<MailTopic>>,

    /// An event older than this is not mailed any more, so that a service switched on late does not
    /// mail history. Default: 72 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::MAX_AGE_HOURS)]
    pub max_age_hours: Option<i32>,
}

/// The inbox has nothing to be set: write `{}`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Inbox {}

/// A mail server.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::NO_CLEAR_PASSWORD, validation = rules::CA_NEEDS_TLS)]
pub struct Smtp {
    /// Its name, without scheme and port.
    ///
    /// Example: `smtp.gmail.com`.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::SMTP_HOST)]
    pub host: String,

    /// Its port. Default: 587 with `starttls`, 465 with `implicit`, 25 with `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::PORT)]
    pub port: Option<i32>,

    /// How the connection is protected. Default: `starttls`, required and never given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<SmtpTls>,

    /// Secret with the keys `username` and `password`; for Gmail an app password. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,

    /// Certificates (PEM) to trust instead of the public ones, for a server with a CA of its own.
    ///
    /// Example: `{name: mail-ca, key: ca.crt}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// How the connection to the mail server is protected.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum SmtpTls {
    None,
    #[default]
    StartTls,
    Implicit,
}

/// A topic whose events can become a mail.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum MailTopic {
    PaymentSuccessful,
    OrderSuccessful,
}
