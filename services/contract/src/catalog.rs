//! The catalog of services: one entry each, from which Deployments, topics, groups, routes and
//! dev mode follow. Adding a service is one crate and one entry here.

use serde::{Deserialize, Serialize};

use crate::topics::Topic;

/// A service of the checkout back end.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ServiceId {
    /// The shop's front door: the only service reachable from outside.
    Gateway,
    /// Checkout sessions, webhooks, and `payment-successful`.
    Payment,
    /// One order for each paid session, and `order-successful`.
    Order,
    /// Confirmation mails, and `email-successful`.
    Email,
    /// Aggregates over all three topics.
    Analytics,
}

impl ServiceId {
    /// Every service, in the order in which a payment meets them.
    pub const ALL: [Self; CATALOG.len()] = IDS;

    /// The name used in URLs, object names, schemas and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Payment => "payment",
            Self::Order => "order",
            Self::Email => "email",
            Self::Analytics => "analytics",
        }
    }
}

impl std::fmt::Display for ServiceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for ServiceId {
    type Err = UnknownService;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|id| id.name() == name)
            .ok_or_else(|| UnknownService(name.into()))
    }
}

/// A name that is no service's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no service {0:?}; the services are {names}", names = service_names())]
pub struct UnknownService(pub String);

fn service_names() -> String {
    ServiceId::ALL.map(ServiceId::name).join(", ")
}

/// Who may speak HTTP with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// The front door itself.
    Public,
    /// Reached through the gateway under these path prefixes, which it does not strip.
    Routed(&'static [&'static str]),
    /// Only other services and people with access to its port.
    Internal,
}

/// All that the operator and dev mode need to know about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceDef {
    pub id: ServiceId,
    /// Kafka consumer group, before the prefix.
    pub group: Option<&'static str>,
    pub consumes: &'static [Topic],
    pub produces: &'static [Topic],
    pub http: Http,
    /// Whether it keeps state in a database (one schema, or one SQLite file, of its own).
    pub database: bool,
    /// Default port for its own HTTP, in a cluster.
    pub http_port: u16,
}

/// Port of `/livez`, `/readyz` and `/metrics`, the same for every service in a cluster.
pub const ADMIN_PORT: u16 = 9000;

/// Every service, in the order of [`ServiceId`].
pub const CATALOG: &[ServiceDef] = &[
    ServiceDef {
        id: ServiceId::Gateway,
        group: None,
        consumes: &[],
        produces: &[],
        http: Http::Public,
        database: false,
        http_port: 8080,
    },
    ServiceDef {
        id: ServiceId::Payment,
        group: None,
        consumes: &[],
        produces: &[Topic::PaymentSuccessful],
        http: Http::Routed(&["/payment", "/catalog"]),
        database: true,
        http_port: 8000,
    },
    ServiceDef {
        id: ServiceId::Order,
        group: Some("order-service"),
        consumes: &[Topic::PaymentSuccessful],
        produces: &[Topic::OrderSuccessful],
        http: Http::Routed(&["/orders"]),
        database: true,
        http_port: 8001,
    },
    ServiceDef {
        id: ServiceId::Email,
        group: Some("email-service"),
        // Which of the two it acts on is the setting `sendOn`; by default only payments.
        consumes: &[Topic::PaymentSuccessful, Topic::OrderSuccessful],
        produces: &[Topic::EmailSuccessful],
        http: Http::Internal,
        database: true,
        http_port: 8002,
    },
    ServiceDef {
        id: ServiceId::Analytics,
        group: Some("analytic-service"),
        consumes: &[Topic::PaymentSuccessful, Topic::OrderSuccessful, Topic::EmailSuccessful],
        produces: &[],
        http: Http::Internal,
        database: true,
        http_port: 8003,
    },
];

/// The ids of the catalog. One out of place does not compile, as [`service`] finds an entry by its id.
const IDS: [ServiceId; CATALOG.len()] = {
    let mut ids = [ServiceId::Gateway; CATALOG.len()];
    let mut at = 0;
    while at < ids.len() {
        ids[at] = CATALOG[at].id;
        assert!(ids[at] as usize == at, "CATALOG is not in the order of ServiceId");
        at += 1;
    }
    ids
};

/// The entry of one service.
pub fn service(id: ServiceId) -> &'static ServiceDef {
    &CATALOG[id as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_by_its_id_and_by_its_name() {
        for id in ServiceId::ALL {
            assert_eq!(service(id).id, id);
            assert_eq!(id.name().parse(), Ok(id));
        }
    }

    #[test]
    fn every_topic_has_one_producer_and_a_consumer() {
        for topic in Topic::ALL {
            assert_eq!(
                CATALOG.iter().filter(|s| s.produces.contains(&topic)).count(),
                1,
                "{topic}"
            );
            assert!(CATALOG.iter().any(|s| s.consumes.contains(&topic)), "{topic}");
        }
        for entry in CATALOG {
            assert_eq!(entry.group.is_some(), !entry.consumes.is_empty(), "{}", entry.id);
        }
    }
}
