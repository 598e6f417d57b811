//! Where everything is: the one thing in which a laptop and a cluster differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use storefront_contract::{
    ServiceId,
    settings::{DatabaseUrl, KafkaSecurity, SmtpTls},
};
use url::Url;

use crate::api::StorefrontSpec;

/// Where everything is.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// First part of the shop's identity.
    pub namespace: String,
    /// Where shoppers reach the gateway.
    pub public_url: Url,
    /// `host:port` each.
    pub brokers: Vec<String>,
    pub kafka_security: KafkaSecurity,
    /// Most copies of a partition that the brokers can hold, where that is known to be fewer than
    /// the manifest wants.
    pub replication_max: Option<i32>,
    pub services: BTreeMap<ServiceId, ServicePlace>,
    /// A file with `{"products": […]}`.
    pub catalog_file: PathBuf,
    pub stripe: StripePlace,
    /// The stand-in's pages, to be routed to by the gateway.
    pub sandbox: Option<Url>,
    pub smtp: SmtpPlace,
    /// Services that do not run here, whatever the manifest says.
    pub without: BTreeSet<ServiceId>,
    /// How long readiness says no before a listener closes.
    pub drain_ms: u64,
}

/// Where one service is.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePlace {
    /// What it listens on.
    pub http_listen: SocketAddr,
    pub admin_listen: SocketAddr,
    /// Where others reach it.
    pub url: Url,
    pub database: DatabaseUrl,
}

/// How often payments are looked after that no webhook has told of.
pub(super) const SWEEP_INTERVAL_MS: u64 = 30_000;

/// Where payments are made.
#[derive(Clone, Debug, PartialEq)]
pub struct StripePlace {
    pub api_base: Url,
    pub api_key_file: PathBuf,
    /// The first must be there.
    pub webhook_secret_files: Vec<PathBuf>,
    /// The base is a stand-in; a live key is then refused.
    pub sandbox: bool,
    /// How often payments are looked after that no webhook has told of.
    pub sweep_interval_ms: u64,
}

/// Where mails are handed in.
#[derive(Clone, Debug, PartialEq)]
pub struct SmtpPlace {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// Certificates to trust instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Files with name and password.
    pub credentials: Option<(PathBuf, PathBuf)>,
}

/// Why a placement cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    #[error("{url:?} is no URL")]
    Url {
        url: String,
        #[source]
        source: url::ParseError,
    },
    #[error("the placement has no address for {0}")]
    NoAddress(ServiceId),
    #[error("{port} is no port")]
    Port { port: i32 },
}

impl PlacementError {
    /// A fixed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Url { .. } => "InvalidUrl",
            Self::NoAddress(_) => "NoAddress",
            Self::Port { .. } => "InvalidPort",
        }
    }
}

impl Placement {
    /// Whether a service runs: the manifest wants it, and nothing here leaves it out.
    pub fn runs(&self, spec: &StorefrontSpec, id: ServiceId) -> bool {
        spec.enabled(id) && !self.without.contains(&id)
    }

    pub(super) fn service(&self, id: ServiceId) -> Result<&ServicePlace, PlacementError> {
        self.services.get(&id).ok_or(PlacementError::NoAddress(id))
    }
}

pub(super) fn url(text: &str) -> Result<Url, PlacementError> {
    Url::parse(text).map_err(|source| PlacementError::Url { url: text.to_owned(), source })
}

pub(super) fn smtp_tls(tls: crate::api::SmtpTls) -> SmtpTls {
    match tls {
        crate::api::SmtpTls::None => SmtpTls::None,
        crate::api::SmtpTls::StartTls => SmtpTls::StartTls,
        crate::api::SmtpTls::Implicit => SmtpTls::Implicit,
    }
}
