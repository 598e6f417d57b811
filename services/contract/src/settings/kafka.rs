//! How to reach the brokers.

use std::path::PathBuf;

use super::{
    Field, Need, Reader, Variable, Variables,
    declare::{OptionalFile, Or, Part, put_path},
};
use crate::{section, topics::Names};

section! {
    /// How to reach the brokers.
    pub struct KafkaSettings {
        /// `host:port`, separated by commas.
        pub brokers: Vec<String> = Brokers("KAFKA_BROKERS"),
        /// Goes before every topic and group, so that shops can share brokers.
        pub prefix: String = Or("KAFKA_PREFIX", String::new()),
        pub security: KafkaSecurity = Part,
    }
}

section! {
    /// How connections to the brokers are protected.
    #[derive(Default)]
    pub struct KafkaSecurity {
        /// Encrypt, and check the broker's certificate and name.
        pub tls: bool = Or("KAFKA_TLS", false),
        /// Certificates (PEM) to trust instead of the system's.
        pub ca_file: Option<PathBuf> = OptionalFile("KAFKA_CA_FILE"),
        pub sasl: Option<Sasl> = SaslFields,
    }
}

impl KafkaSecurity {
    /// What librdkafka calls `security.protocol`.
    pub const fn protocol(&self) -> &'static str {
        match (self.tls, self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }
}

/// Credentials of a Kafka user, in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sasl {
    pub mechanism: SaslMechanism,
    pub username_file: PathBuf,
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
}

struct Brokers(&'static str);

impl Field<Vec<String>> for Brokers {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Vec<String>> {
        let brokers = reader.list::<String>(self.0).filter(|list| !list.is_empty());
        if brokers.is_none() {
            reader.problem(self.0, "is missing: write host:port, separated by commas");
        }
        for broker in brokers.iter().flatten() {
            if !broker.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            }) {
                reader.problem(self.0, format!("has {broker:?}; write host:port"));
            }
        }
        brokers
    }

    fn write(&self, value: &Vec<String>, variables: &mut Variables) {
        variables.insert(self.0.into(), value.join(","));
    }

    fn describe(&self, meaning: &'static str, list: &mut Vec<Variable>) {
        let meaning = meaning.trim().to_owned();
        list.push(Variable { name: self.0, meaning, need: Need::Required, limits: None });
    }
}

/// Three variables: the mechanism decides whether the others are looked at.
struct SaslFields;

const MECHANISM: &str = "KAFKA_SASL_MECHANISM";
const USERNAME_FILE: &str = "KAFKA_SASL_USERNAME_FILE";
const PASSWORD_FILE: &str = "KAFKA_SASL_PASSWORD_FILE";

impl Field<Option<Sasl>> for SaslFields {
    fn read(&self, reader: &mut Reader<'_>) -> Option<Option<Sasl>> {
        let Some(mechanism) = reader.optional(MECHANISM)? else { return Some(None) };
        let username_file = reader.path(USERNAME_FILE);
        let password_file = reader.path(PASSWORD_FILE);
        let (username_file, password_file) = (username_file?, password_file?);
        Some(Some(Sasl { mechanism, username_file, password_file }))
    }

    fn write(&self, value: &Option<Sasl>, variables: &mut Variables) {
        if let Some(Sasl { mechanism, username_file, password_file }) = value {
            variables.insert(MECHANISM.into(), mechanism.name().into());
            put_path(variables, USERNAME_FILE, username_file);
            put_path(variables, PASSWORD_FILE, password_file);
        }
    }

    fn describe(&self, _: &'static str, list: &mut Vec<Variable>) {
        let mechanisms = SaslMechanism::ALL.map(SaslMechanism::name).join("`, `");
        for (name, meaning) in [
            (MECHANISM, format!("How to log in: `{mechanisms}`.")),
            (
                USERNAME_FILE,
                format!("File with the user's name; with `{MECHANISM}` it must be given."),
            ),
            (
                PASSWORD_FILE,
                format!("File with the password; with `{MECHANISM}` it must be given."),
            ),
        ] {
            list.push(Variable { name, meaning, need: Need::Optional, limits: None });
        }
    }
}
