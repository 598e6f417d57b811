//! Why `storefront dev` did not start, or stopped.

use std::{io, net::SocketAddr, path::PathBuf};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use storefront_broker::BrokerError;
use storefront_contract::settings::SettingsError;
use storefront_operator::plan::{Invalid, PlacementError};

/// Why `storefront dev` did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    #[error(transparent)]
    Manifest(#[from] crate::manifest::Error),
    #[error("the manifest is not right:\n{0}")]
    Plan(#[from] Invalid),
    #[error("the shop has no place here")]
    Place(#[source] PlacementError),
    #[error(
        "cannot listen on {address}: choose another address with {flag}; port 0 takes a free one"
    )]
    Listen {
        address: SocketAddr,
        flag: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the folder {}: choose another with --data, or --ephemeral", .folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another storefront dev{} uses the folder {}: stop it, or choose another with --data or --ephemeral",
        .process, .folder.display()
    )]
    InUse { folder: PathBuf, process: String },
    #[error("cannot write {}", .file.display())]
    Write {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read the Secret's file {}; create it, with the value of this key", .file.display())]
    Secret {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{} holds a live Stripe key, and storefront dev is for test keys only: use one that begins with sk_test_ or rk_test_",
        .file.display()
    )]
    LiveKey { file: PathBuf },
    #[error(
        "{} holds no secret key of Stripe: write one there that begins with sk_test_ or rk_test_",
        .file.display()
    )]
    NoKey { file: PathBuf },
    #[error("the ConfigMap {name} has no key {key}, which the catalog is to come from")]
    CatalogKey { name: String, key: String },
    #[error("the catalog cannot be written as JSON")]
    Catalog(#[source] serde_json::Error),
    #[error("the embedded Kafka broker did not start")]
    Broker(#[from] BrokerError),
    #[error("the Kafka brokers {brokers} do not answer: check --kafka")]
    NoBroker {
        brokers: String,
        #[source]
        source: KafkaError,
    },
    #[error("no broker of {brokers} takes connections: check --kafka")]
    Unreachable {
        brokers: String,
        #[source]
        source: io::Error,
    },
    #[error("no PostgreSQL takes connections at {address}: check --database")]
    NoDatabase {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the topics could not be prepared")]
    Topics(#[source] KafkaError),
    #[error("the topic {topic} could not be prepared")]
    Topic {
        topic: String,
        #[source]
        code: RDKafkaErrorCode,
    },
    #[error("the settings of {service} are wrong")]
    Settings {
        service: String,
        #[source]
        source: SettingsError,
    },
    #[error(
        "the settings of {service} are not what was written: a path or address here holds a comma"
    )]
    Changed { service: String },
    #[error("{name} stopped")]
    Stopped {
        name: String,
        #[source]
        source: Cause,
    },
    #[error("{name} stopped without being asked to")]
    Ended { name: String },
    #[error("not ready within {limit_s} s: {waiting}")]
    NotReady { limit_s: u64, waiting: String },
    #[error("the addresses could not be written as JSON")]
    Report(#[source] serde_json::Error),
    #[error("the addresses could not be printed")]
    Print(#[source] io::Error),
}

/// Why a part stopped: its own error with its causes.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Cause(#[from] pub anyhow::Error);

impl DevError {
    /// A fixed word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.reason(),
            Self::Plan(invalid) => invalid.reason(),
            Self::Place(error) => error.reason(),
            Self::Listen { .. } => "CannotListen",
            Self::Folder { .. } => "FolderUnusable",
            Self::InUse { .. } => "FolderInUse",
            Self::Write { .. } => "CannotWrite",
            Self::Secret { .. } => "NoSecret",
            Self::LiveKey { .. } => "LiveKey",
            Self::NoKey { .. } => "NoKey",
            Self::CatalogKey { .. } | Self::Catalog(_) => "NoCatalog",
            Self::Broker(error) => error.reason(),
            Self::NoBroker { .. } | Self::Unreachable { .. } => "NoBroker",
            Self::NoDatabase { .. } => "NoDatabase",
            Self::Topics(_) | Self::Topic { .. } => "Topics",
            Self::Settings { .. } | Self::Changed { .. } => "Settings",
            Self::Stopped { .. } | Self::Ended { .. } => "Stopped",
            Self::NotReady { .. } => "NotReady",
            Self::Report(_) | Self::Print(_) => "CannotPrint",
        }
    }
}
