//! How to reach the brokers.

use std::path::PathBuf;

use super::{Reader, Variables, put, put_path};
use crate::topics::Names;

/// How to reach the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `KAFKA_BROKERS`: `host:port`, separated by commas.
    pub brokers: Vec<String>,
    /// `KAFKA_PREFIX`: goes before every topic and group; empty by default.
    pub prefix: String,
    pub security: KafkaSecurity,
}

/// `KAFKA_TLS`, `KAFKA_CA_FILE`, `KAFKA_SASL_*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaSecurity {
    /// `KAFKA_TLS`: encrypt, and check the broker's certificate and name.
    pub tls: bool,
    /// `KAFKA_CA_FILE`: certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    pub sasl: Option<Sasl>,
}

/// Credentials of a Kafka user, in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    /// `KAFKA_SASL_MECHANISM`.
    pub mechanism: SaslMechanism,
    /// `KAFKA_SASL_USERNAME_FILE`.
    pub username_file: PathBuf,
    /// `KAFKA_SASL_PASSWORD_FILE`.
    pub password_file: PathBuf,
}

/// SASL mechanisms that brokers commonly offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl SaslMechanism {
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name that Kafka and librdkafka know.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl std::str::FromStr for SaslMechanism {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name).ok_or_else(|| {
            format!("{name:?} is no mechanism; write PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
        })
    }
}

impl KafkaSettings {
    /// Topic and group names under this prefix.
    pub fn names(&self) -> Names {
        Names::new(&self.prefix)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let brokers = reader.list::<String>("KAFKA_BROKERS").filter(|list| !list.is_empty());
        if brokers.is_none() {
            reader.problem("KAFKA_BROKERS", "is missing: write host:port, separated by commas");
        }
        for broker in brokers.iter().flatten() {
            if !broker.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            }) {
                reader.problem("KAFKA_BROKERS", format!("has {broker:?}; write host:port"));
            }
        }
        let prefix = reader.or("KAFKA_PREFIX", String::new());
        let security = KafkaSecurity::read(reader);
        Some(Self { brokers: brokers?, prefix: prefix?, security: security? })
    }

    pub(super) fn write(&self, variables: &mut Variables) {
        let Self { brokers, prefix, security } = self;
        put(variables, "KAFKA_BROKERS", brokers.join(","));
        put(variables, "KAFKA_PREFIX", prefix);
        security.write(variables);
    }
}

impl KafkaSecurity {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let tls = reader.flag("KAFKA_TLS", false);
        let ca_file = reader.optional_path("KAFKA_CA_FILE");
        let sasl = match reader.optional("KAFKA_SASL_MECHANISM")? {
            None => None,
            Some(mechanism) => {
                let username_file = reader.path("KAFKA_SASL_USERNAME_FILE");
                let password_file = reader.path("KAFKA_SASL_PASSWORD_FILE");
                Some(Sasl {
                    mechanism,
                    username_file: username_file?,
                    password_file: password_file?,
                })
            }
        };
        Some(Self { tls: tls?, ca_file, sasl })
    }

    fn write(&self, variables: &mut Variables) {
        let Self { tls, ca_file, sasl } = self;
        put(variables, "KAFKA_TLS", tls);
        if let Some(path) = ca_file {
            put_path(variables, "KAFKA_CA_FILE", path);
        }
        if let Some(Sasl { mechanism, username_file, password_file }) = sasl {
            put(variables, "KAFKA_SASL_MECHANISM", mechanism.name());
            put_path(variables, "KAFKA_SASL_USERNAME_FILE", username_file);
            put_path(variables, "KAFKA_SASL_PASSWORD_FILE", password_file);
        }
    }
}
