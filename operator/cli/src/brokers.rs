//! From flags to brokers and to the shop on them.

use storefront_contract::Names;
use storefront_inspect::{Connection, ConnectionError, DEFAULT_BROKERS, Scope, Session};

use crate::{args::BrokerArguments, manifest};

/// Brokers, and which topics and groups on them are the shop's.
#[derive(Debug)]
pub struct Brokers {
    pub connection: Connection,
    pub scope: Scope,
}

impl BrokerArguments {
    /// Reads the files that the flags name.
    pub fn read(&self) -> anyhow::Result<Brokers> {
        Ok(Brokers { connection: self.connection()?, scope: self.scope()? })
    }

    fn connection(&self) -> Result<Connection, ConnectionError> {
        let brokers = self.kafka.as_deref();
        match &self.kafka_config {
            Some(file) => Connection::from_file(file, brokers),
            None => Ok(Connection::new(brokers.unwrap_or(DEFAULT_BROKERS))),
        }
    }

    fn scope(&self) -> Result<Scope, manifest::Error> {
        let Some(file) = &self.manifest else {
            let names = Names::new(self.prefix.as_deref().unwrap_or_default());
            return Ok(Scope { names, ..Scope::default() });
        };
        let spec = manifest::load(file)?.storefront.spec;
        Ok(Scope { names: Names::new(spec.prefix()), send_on: spec.send_on() })
    }
}

impl Brokers {
    pub fn open(&self) -> anyhow::Result<Session> {
        Ok(self.connection.open()?)
    }
}
