//! An Apache Kafka that wants TLS and passwords, as hosted ones do: one broker, and a listener for each way.

use std::{collections::BTreeMap, fs};

use crate::{Authority, Kafka, folder::Folder, kafka::More, ports};

/// How a broker wants to be spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listener {
    /// TLS with a certificate for this machine.
    Tls,
    /// TLS with a certificate for another name.
    Misnamed,
    /// TLS, and the client must have a certificate, too.
    Mutual,
    /// TLS and a password: PLAIN and SCRAM.
    SaslTls,
    /// A password without TLS.
    SaslPlain,
}

const ALL: [(Listener, &str, &str); 5] = [
    (Listener::Tls, "TLS", "SSL"),
    (Listener::Misnamed, "MISNAMED", "SSL"),
    (Listener::Mutual, "MUTUAL", "SSL"),
    (Listener::SaslTls, "SASLTLS", "SASL_SSL"),
    (Listener::SaslPlain, "SASLPLAIN", "SASL_PLAINTEXT"),
];

/// The broker, with the authority that vouches for it and the only user that it knows.
pub struct SecuredKafka {
    kafka: Kafka,
    authority: Authority,
    ports: BTreeMap<Listener, u16>,
}

impl SecuredKafka {
    pub const USER: &str = "shop";
    pub const PASSWORD: &str = "correct-horse-battery";

    pub async fn start() -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let mut ports = BTreeMap::new();
        let kafka = Kafka::with(|folder| {
            let free: [u16; ALL.len()] = ports::free()?;
            ports = ALL.iter().map(|(listener, ..)| *listener).zip(free).collect();
            let listeners =
                ALL.iter().zip(free).map(|((_, name, protocol), port)| (*name, *protocol, port));
            let properties = properties(folder, &authority)?;
            let scram = |mechanism| {
                format!("{mechanism}=[name={},password={}]", Self::USER, Self::PASSWORD)
            };
            let users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(scram).to_vec();
            Ok(More { listeners: listeners.collect(), properties, users, ..More::default() })
        })
        .await?;
        Ok(Self { kafka, authority, ports })
    }

    /// The broker itself, and its plain listener.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// For clients' `bootstrap.servers`.
    pub fn bootstrap(&self, listener: Listener) -> String {
        format!("127.0.0.1:{}", self.ports[&listener])
    }

    /// Who vouches for it, and for clients.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

fn properties(folder: &Folder, authority: &Authority) -> anyhow::Result<String> {
    let write = |file: &str, names: &[&str]| {
        let (certificate, key) = authority.certificate(names)?;
        fs::write(folder.path().join(file), key + &certificate)?;
        anyhow::Ok(folder.text(file))
    };
    let ca = folder.text("ca.pem");
    authority.write(ca.as_ref())?;
    let (user, password) = (SecuredKafka::USER, SecuredKafka::PASSWORD);
    Ok(include_str!("secured.properties")
        .replace("{own}", &write("own.pem", &["127.0.0.1", "localhost"])?)
        .replace("{other}", &write("other.pem", &["broker.example.com"])?)
        .replace("{ca}", &ca)
        .replace("{user}", user)
        .replace("{password}", password))
}
