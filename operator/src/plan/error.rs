//! What can be wrong with a Storefront.

use std::fmt;

use storefront_contract::shop::InvalidShop;

use crate::api::rules::Rule;

/// Everything that is wrong with a Storefront; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<PlanError>);

impl Invalid {
    /// A fixed word for conditions, events and metrics: that of the first fault.
    pub fn reason(&self) -> &'static str {
        self.0.first().map_or("Invalid", |error| error.fault.reason())
    }
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One fault, at a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {fault}")]
pub struct PlanError {
    /// Such as `spec.catalog.products[0].price`.
    pub field: String,
    #[source]
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A CEL rule does not hold. The API server would have refused the object; it is here all the
    /// same, as an older definition may be installed.
    #[error("{}", .0.1)]
    Rule(Rule),
    #[error(transparent)]
    Shop(#[from] InvalidShop),
    #[error("{value:?} must be a whole number")]
    NotANumber { value: String },
    #[error(
        "{min_insync} copies must be written but there are only {replication_factor}, so that nothing could ever be sent: lower min.insync.replicas or raise replicationFactor"
    )]
    MinInsyncReplicas { min_insync: i64, replication_factor: i64 },
    #[error(
        "{bytes} must be 65536 to 67108864: smaller holds no large cart, and larger is more than consumers fetch"
    )]
    MaxMessageBytes { bytes: i64 },
    #[error("{count} must be at most {available}, the number of brokers")]
    Replication { count: i64, available: i64 },
    #[error("{value:?} must be a network such as 10.0.0.0/8, or a single address")]
    Network { value: String },
    #[error(
        "{key:?} is the operator's own, or says something about a pod's security: choose another key"
    )]
    ReservedKey { key: String },
    #[error(
        "{key:?} must be letters, digits, '-', '_' and '.', at most 63, with an optional DNS name and '/' before it"
    )]
    LabelKey { key: String },
    #[error(
        "{value:?} of {key:?} must be at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"
    )]
    LabelValue { key: String, value: String },
    #[error(
        "{name} is computed from the rest of the manifest: change the field that it comes from"
    )]
    Setting { name: String },
    #[error("{0}")]
    Place(String),
}

impl Fault {
    /// A fixed word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Rule(_) => "RuleBroken",
            Self::Shop(_) => "InvalidName",
            Self::NotANumber { .. } => "NotANumber",
            Self::MinInsyncReplicas { .. } => "MinInsyncReplicas",
            Self::MaxMessageBytes { .. } => "MaxMessageBytes",
            Self::Replication { .. } => "TooFewBrokers",
            Self::Network { .. } => "InvalidNetwork",
            Self::ReservedKey { .. } => "ReservedKey",
            Self::LabelKey { .. } => "InvalidKey",
            Self::LabelValue { .. } => "InvalidLabel",
            Self::Setting { .. } => "ReservedVariable",
            Self::Place(_) => "InvalidPlace",
        }
    }
}
