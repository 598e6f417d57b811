//! Why brokers cannot be asked, in words that say what to do.

use std::{io, path::PathBuf};

use rdkafka::error::KafkaError;

use crate::Cause;

/// Why there is no way to the brokers, before any of them was asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("cannot read the Kafka settings {}", .file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{file}:{line}: {problem}")]
    Line { file: String, line: usize, problem: String },
    #[error("{file}: {problem}")]
    Together { file: String, problem: String },
    #[error("the Kafka settings do not go together")]
    Client(#[source] KafkaError),
}

impl ConnectionError {
    /// A fixed word for scripts and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "Unreadable",
            Self::Line { .. } | Self::Together { .. } | Self::Client(_) => "WrongSettings",
        }
    }
}

/// Why brokers did not tell or do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("no broker of {brokers} takes connections: check --kafka")]
    Unreachable {
        brokers: String,
        #[source]
        source: io::Error,
    },
    #[error("the brokers {brokers} do not answer{}", what_was_said(.said.as_ref()))]
    NoAnswer {
        brokers: String,
        /// The last trouble that the client met, such as a refused password.
        said: Option<String>,
        #[source]
        source: Box<KafkaError>,
    },
    #[error("the offsets of {group} cannot be read")]
    Offsets {
        group: String,
        #[source]
        source: KafkaError,
    },
    #[error("there is no topic {topic}{}", hint(.similar))]
    NoTopic { topic: String, similar: Vec<String> },
    #[error("the topic {topic} has no partition {partition}; it has 0 to {}", .count - 1)]
    NoPartition { topic: String, partition: i32, count: usize },
    #[error("there is no record at {place}: the partition has {}", span(*.start, *.end))]
    NoRecord { place: String, start: i64, end: i64 },
    #[error("the record at {place} is no dead letter")]
    NotALetter {
        place: String,
        #[source]
        source: storefront_contract::replay::NotADeadLetter,
    },
    #[error("{topic} cannot be read")]
    Read {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("nothing came from {topic} for {limit_s} s, though it is not at its end")]
    Stalled { topic: String, limit_s: u64 },
    #[error("{topic} did not take the record")]
    Send {
        topic: String,
        #[source]
        source: KafkaError,
    },
    #[error("records of {topic} cannot be removed")]
    Remove {
        topic: String,
        #[source]
        source: KafkaError,
    },
}

fn what_was_said(said: Option<&String>) -> String {
    match said {
        Some(said) => match Cause::of(said) {
            Some(cause) => {
                format!(": {} ({said}); {} in --kafka-config", cause.words(), settings(cause))
            }
            None => format!(": {said}"),
        },
        None => ": check --kafka, and --kafka-config when they want TLS or a password".into(),
    }
}

/// Settings to look after, as a file of client settings has them.
fn settings(cause: Cause) -> &'static str {
    match cause {
        Cause::Password => "check sasl.mechanism, sasl.username and sasl.password",
        Cause::Certificate => {
            "use a name in --kafka that the certificate is for, and name its authority's certificate in ssl.ca.location"
        }
        Cause::ClientCertificate => "set ssl.certificate.location, and ssl.key.location",
        Cause::NeedlessTls => "set security.protocol to PLAINTEXT or SASL_PLAINTEXT",
        Cause::HangUp => "set security.protocol to SSL, SASL_SSL or SASL_PLAINTEXT",
    }
}

fn hint(similar: &[String]) -> String {
    match similar {
        [] => "; `storefront topics --all` lists those that there are".into(),
        similar => format!("; there is {}", similar.join(", ")),
    }
}

fn span(start: i64, end: i64) -> String {
    if start == end { "none".into() } else { format!("{start} to {}; choose one of them", end - 1) }
}

impl InspectError {
    /// What has to be changed before brokers answer, if it is known.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::NoAnswer { said: Some(said), .. } => Cause::of(said),
            _ => None,
        }
    }

    /// A fixed word for scripts and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connection(error) => error.reason(),
            Self::Unreachable { .. } | Self::NoAnswer { .. } => "NoBroker",
            Self::Offsets { .. } => "NoOffsets",
            Self::NoTopic { .. } => "NoTopic",
            Self::NoPartition { .. } => "NoPartition",
            Self::NoRecord { .. } => "NoRecord",
            Self::NotALetter { .. } => "NotADeadLetter",
            Self::Read { .. } | Self::Stalled { .. } => "CannotRead",
            Self::Send { .. } => "CannotSend",
            Self::Remove { .. } => "CannotRemove",
        }
    }
}
