//! What can go wrong between the operator, the cluster and the brokers.

use storefront_inspect::InspectError;

use crate::{
    plan::{Invalid, PlacementError},
    status::reasons::CONFLICT,
};

/// Why an attempt has failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the Storefront cannot work")]
    Invalid(#[from] Invalid),
    #[error("the Storefront has no place")]
    Placement(#[from] PlacementError),
    #[error(
        "this operator cannot read {said}: change that, or upgrade the operator if a newer one has taken it; until then everything stays as it is"
    )]
    Unreadable { said: String },
    #[error("could not read {what}")]
    Read {
        what: String,
        #[source]
        source: kube::Error,
    },
    #[error("could not apply {kind} {name}")]
    Apply {
        kind: String,
        name: String,
        #[source]
        source: kube::Error,
    },
    #[error("could not delete {kind} {name}")]
    Delete {
        kind: String,
        name: String,
        #[source]
        source: kube::Error,
    },
    #[error("{kind} {name} belongs to {owner}: rename the Storefront, or delete it")]
    Taken { kind: String, name: String, owner: String },
    #[error(
        "{kind} {name} is there already, and is not this shop's: delete or rename it, or let the operator write over it: kubectl label --overwrite {} {name} app.kubernetes.io/managed-by=storefront-operator app.kubernetes.io/instance={shop}",
        kind.to_lowercase()
    )]
    Foreign { kind: String, name: String, shop: String },
    #[error(
        "the disks of {name} are of {there} brokers and {wanted} are asked for: write kafka.managed.replicas: {there}, or delete the disks and Secret {name}"
    )]
    OtherBrokers { name: String, there: String, wanted: i32 },
    #[error(
        "the brokers run Kafka {there}, and {wanted} is older: it may not read what is on their disks: write kafka.managed.version: {there}"
    )]
    OlderKafka { there: String, wanted: String },
    #[error(
        "the database is run by {there}, and {wanted} cannot read its files: write database.managed.image: {there}, and move to another PostgreSQL by pg_dump"
    )]
    OtherPostgres { there: String, wanted: String },
    #[error(
        "Secret {name} has lost its key {key} and disk {disk} cannot be used without it: restore the Secret, or delete the disk and everything on it"
    )]
    LostSecret { name: String, key: &'static str, disk: String },
    #[error(
        "Storefront {other} uses the same brokers and prefix, and is older; both would share their groups and take one another's events: create this one anew with another kafka.prefix, or delete that one"
    )]
    SharedPrefix { other: String },
    #[error(
        "Storefront {other} has the same prefix and is older, and it is not known whether it uses the same brokers, too: {why}. Nothing is made until then that could take its events; to do without that, create this one anew with another kafka.prefix"
    )]
    MaybeSharedPrefix { other: String, why: String },
    #[error("{kind} {name} is made anew, for its disks; its pods go on meanwhile")]
    Replacing { kind: String, name: String },
    #[error("could not write the status")]
    Status(#[source] kube::Error),
    #[error("{kind} {name} cannot be written as JSON")]
    Json {
        kind: String,
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the brokers could not be asked")]
    Brokers(#[source] Box<InspectError>),
    #[error("an attempt was given up after {limit_s} s: the API server or the brokers are slow")]
    TooLong { limit_s: u64 },
    #[error("another operator leads: nothing is written here")]
    NotLeading,
}

impl Error {
    /// A fixed word for conditions, events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(invalid) => invalid.reason(),
            Self::Placement(error) => error.reason(),
            Self::Unreadable { .. } => "Unreadable",
            Self::Read { .. } => "ReadFailed",
            Self::Apply { .. } => "ApplyFailed",
            Self::Delete { .. } => "DeleteFailed",
            Self::Taken { .. } | Self::Foreign { .. } | Self::SharedPrefix { .. } => CONFLICT,
            Self::OtherBrokers { .. } => "OtherBrokers",
            Self::OlderKafka { .. } => "OlderKafka",
            Self::OtherPostgres { .. } => "OtherPostgres",
            Self::LostSecret { .. } => "LostSecret",
            Self::MaybeSharedPrefix { .. } => "BrokersUnknown",
            Self::Replacing { .. } => "Replacing",
            Self::Status(_) => "StatusFailed",
            Self::Json { .. } => "Json",
            Self::Brokers(_) => "BrokersFailed",
            Self::TooLong { .. } => "TooLong",
            Self::NotLeading => "NotLeading",
        }
    }

    /// The API server has understood, and does not allow it.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Apply { source: kube::Error::Api(status), .. } if status.code == 422)
    }

    /// Whoever asks may not read it.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Read { source: kube::Error::Api(status), .. } if status.code == 403)
    }

    /// It may be gone the next time, and nobody has to do anything: the API server or the brokers did not
    /// answer, were busy, or somebody else was faster.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Read { source, .. }
            | Self::Apply { source, .. }
            | Self::Delete { source, .. }
            | Self::Status(source) => match source {
                kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500..),
                _ => true,
            },
            Self::MaybeSharedPrefix { .. }
            | Self::Replacing { .. }
            | Self::Brokers(_)
            | Self::TooLong { .. }
            | Self::NotLeading => true,
            Self::Invalid(_)
            | Self::Placement(_)
            | Self::Unreadable { .. }
            | Self::Taken { .. }
            | Self::Foreign { .. }
            | Self::OtherBrokers { .. }
            | Self::OlderKafka { .. }
            | Self::OtherPostgres { .. }
            | Self::LostSecret { .. }
            | Self::SharedPrefix { .. }
            | Self::Json { .. } => false,
        }
    }

    /// Only an edit can help; trying again cannot.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Invalid(_)
                | Self::Placement(_)
                | Self::Unreadable { .. }
                | Self::OtherBrokers { .. }
                | Self::OlderKafka { .. }
                | Self::OtherPostgres { .. }
        )
    }

    /// The error with its causes, for a condition.
    pub fn story(&self) -> String {
        let mut story = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            let text = match next.downcast_ref::<kube::Error>() {
                // Its own text says everything twice.
                Some(kube::Error::Api(status)) => status.message.clone(),
                _ => next.to_string(),
            };
            if !story.contains(&text) {
                story = format!("{story}: {text}");
            }
            cause = next.source();
        }
        story
    }
}
