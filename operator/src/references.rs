//! Secrets and ConfigMaps of others that a shop needs, with the keys, and what is missing of them. Pure:
//! looking into the cluster is `observe`'s.

use std::collections::{BTreeMap, BTreeSet};

use storefront_contract::ServiceId;

use crate::{
    names,
    plan::{CatalogSource, Plan, cluster},
};

/// Something that is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Secret,
    ConfigMap,
}

impl Kind {
    /// Its name, as people know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// One object with the keys that are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub kind: Kind,
    pub name: String,
    pub keys: BTreeSet<String>,
    /// Services that read it.
    pub services: BTreeSet<ServiceId>,
    /// Strimzi's `Kafka` that it comes with; the others are made by people.
    pub strimzi: Option<String>,
}

/// What is wrong with a reference. The keys are those that are needed and not there, or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub reference: Reference,
    /// The object itself is there.
    pub exists: bool,
    pub keys: BTreeSet<String>,
}

/// What a plan needs of others. What the operator makes itself, or Strimzi does, is not among it.
pub fn references(plan: &Plan) -> Vec<Reference> {
    let shop = plan.shop.name();
    let own = [names::DATABASE, names::SANDBOX, names::KAFKA_USER];
    let own: BTreeSet<_> = own.iter().map(|part| names::object(shop, part)).collect();
    let mut found: BTreeMap<(Kind, String), Reference> = BTreeMap::new();
    let mut add = |kind: Kind, name: &str, key: &str, service: ServiceId| {
        let reference = found.entry((kind, name.to_owned())).or_insert_with(|| Reference {
            kind,
            name: name.to_owned(),
            keys: BTreeSet::new(),
            services: BTreeSet::new(),
            strimzi: plan.strimzi.clone().filter(|it| name == names::strimzi_authority(it)),
        });
        reference.keys.insert(key.to_owned());
        reference.services.insert(service);
    };
    for service in &plan.services {
        for (secret, keys) in cluster::secret_keys(&service.settings.write()) {
            let needed = keys.iter().filter(|key| !cluster::OPTIONAL_KEYS.contains(&key.as_str()));
            for key in needed.filter(|_| !own.contains(&secret)) {
                add(Kind::Secret, &secret, key, service.id);
            }
        }
    }
    if let CatalogSource::ConfigMap { name, key } = &plan.catalog
        && plan.service(ServiceId::Payment).is_some()
    {
        add(Kind::ConfigMap, name, key, ServiceId::Payment);
    }
    found.into_values().collect()
}

/// What is missing of a reference, from the object's keys (`None` without the object). A key counts
/// when there is something in it.
pub fn missing(reference: &Reference, filled: Option<&BTreeSet<String>>) -> Option<Missing> {
    let keys: BTreeSet<_> = match filled {
        None => reference.keys.clone(),
        Some(filled) => reference.keys.difference(filled).cloned().collect(),
    };
    let wrong = filled.is_none() || !keys.is_empty();
    wrong.then(|| Missing { reference: reference.clone(), exists: filled.is_some(), keys })
}

impl std::fmt::Display for Missing {
    /// What is missing, and how to have it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reference, exists, keys } = self;
        let Reference { kind, name, services, .. } = reference;
        let list = |words: Vec<&str>| words.join(", ");
        let keys = list(keys.iter().map(String::as_str).collect());
        let need = if services.len() == 1 { "needs" } else { "need" };
        let services = list(services.iter().map(|id| id.name()).collect());
        let object = format!("{} {name}", kind.name());
        let what = match exists {
            false => format!("{object} is missing"),
            true => format!("{object} has nothing in {keys}"),
        };
        let remedy = match (&reference.strimzi, exists) {
            (Some(kafka), _) => {
                format!("Strimzi makes it with Kafka {kafka}, which has to be there")
            }
            (None, false) => format!("create it with the keys {keys}"),
            (None, true) => "add what is missing".to_owned(),
        };
        write!(f, "{what}, which {services} {need}: {remedy}")
    }
}
