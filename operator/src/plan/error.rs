//! What can be wrong with a Storefront.

use std::fmt;

use storefront_contract::{Money, Shop};

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
    #[error("{}", words(.0))]
    Rule(Rule),
    #[error(
        "{value:?} must be the name of a namespace: at most 63 lower-case letters, digits and '-', with a letter or digit at both ends"
    )]
    Namespace { value: String },
    #[error("{} is {price}, and Stripe takes {most} at most: write {} or less", .price.amount, .most.amount)]
    PriceTooLarge { price: Money, most: Money },
    #[error(
        "{} is {price}, and Stripe takes only multiples of {} in {}: write {} or {}",
        .price.amount, .step, .price.currency, .price.amount - .price.amount % .step,
        .price.amount - .price.amount % .step + .step
    )]
    PriceStep { price: Money, step: i64 },
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
    /// What is wrong with a namespace, if anything is.
    pub(crate) fn of_namespace(namespace: &str) -> Option<Self> {
        let fits = Shop::new(namespace, "shop").is_ok();
        (!fits).then(|| Self::Namespace { value: namespace.to_owned() })
    }

    /// A fixed word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Rule(_) => "RuleBroken",
            Self::Namespace { .. } => "InvalidNamespace",
            Self::PriceTooLarge { .. } | Self::PriceStep { .. } => "InvalidPrice",
            Self::NotANumber { .. } => "NotANumber",
            Self::MinInsyncReplicas { .. } => "MinInsyncReplicas",
            Self::MaxMessageBytes { .. } => "MaxMessageBytes",
            Self::ReservedKey { .. } => "ReservedKey",
            Self::LabelKey { .. } => "InvalidKey",
            Self::LabelValue { .. } => "InvalidLabel",
            Self::Setting { .. } => "ReservedVariable",
            Self::Place(_) => "InvalidPlace",
        }
    }
}

/// A rule's message without the field that it begins with where it cannot hang on it.
fn words(rule: &Rule) -> &'static str {
    rule.1.strip_prefix("metadata.name ").unwrap_or(rule.1)
}
