//! From a Storefront and a placement to everything that runs: typed settings of each service, topics,
//! the catalog. Pure, and every check is here or in a CEL rule: what renders or starts a plan cannot
//! find the manifest wrong any more.

mod checks;
pub(crate) mod cluster;
pub(crate) mod compose;
mod demo;
mod error;
mod local;
mod placement;
mod pods;
mod settings;
mod spec;
mod topics;

use std::collections::BTreeMap;

use storefront_contract::{
    CATALOG, Currency, Names, Product, ServiceId, Shop,
    settings::{
        AnalyticsSettings, EmailSettings, GatewaySettings, OrderSettings, PaymentSettings,
        Settings, SettingsError, Source,
    },
};

use crate::api::{DeletionPolicy, Resources, Storefront};
use checks::Checks;
pub use demo::products as demo_products;
pub use error::{Fault, Invalid, PlanError};
pub use local::{Difference, Local, LocalAddress};
pub use placement::{Placement, PlacementError, ServicePlace, SmtpPlace, StripePlace};
pub use topics::{BrokerTopic, TopicChange, TopicPlan, topic_changes};

/// Everything that runs for one Storefront.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub shop: Shop,
    pub names: Names,
    pub currency: Currency,
    pub catalog: CatalogSource,
    /// Source topics in the order of the flow, then dead-letter topics.
    pub topics: Vec<TopicPlan>,
    pub topic_policy: TopicPolicy,
    /// The services that run, in the order in which a payment meets them.
    pub services: Vec<ServicePlan>,
    /// Strimzi's `Kafka` of the same namespace, whose certificate the services trust.
    pub strimzi: Option<String>,
    /// What is allowed but likely not meant, for people.
    pub notes: Vec<String>,
}

impl Plan {
    /// The plan of one service, if it runs.
    pub fn service(&self, id: ServiceId) -> Option<&ServicePlan> {
        self.services.iter().find(|service| service.id == id)
    }
}

/// Where the products come from.
#[derive(Clone, Debug, PartialEq)]
pub enum CatalogSource {
    /// Written in the manifest, or the demo catalog.
    Products(Vec<Product>),
    /// Kept by somebody else in a ConfigMap.
    ConfigMap { name: String, key: String },
}

/// How topics are dealt with beyond being created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicPolicy {
    pub deletion: DeletionPolicy,
    pub adopt: bool,
    pub allow_partition_growth: bool,
}

/// One service that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePlan {
    pub id: ServiceId,
    /// Instances; `None` leaves the number to an autoscaler, or to Kubernetes' one.
    pub replicas: Option<u32>,
    pub image: Option<String>,
    pub resources: Option<Resources>,
    pub settings: ServiceSettings,
}

/// The settings of one service, of whichever kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSettings {
    Gateway(GatewaySettings),
    Payment(PaymentSettings),
    Order(OrderSettings),
    Email(EmailSettings),
    Analytics(AnalyticsSettings),
}

impl ServiceSettings {
    /// Reads the settings of a service back from its variables.
    pub fn read(id: ServiceId, source: &dyn Source) -> Result<Self, SettingsError> {
        match id {
            ServiceId::Gateway => Settings::read(source).map(Self::Gateway),
            ServiceId::Payment => Settings::read(source).map(Self::Payment),
            ServiceId::Order => Settings::read(source).map(Self::Order),
            ServiceId::Email => Settings::read(source).map(Self::Email),
            ServiceId::Analytics => Settings::read(source).map(Self::Analytics),
        }
    }

    /// The variables that a pod gets, and that dev mode reads back in its own process.
    pub fn write(&self) -> BTreeMap<String, String> {
        match self {
            Self::Gateway(settings) => settings.write(),
            Self::Payment(settings) => settings.write(),
            Self::Order(settings) => settings.write(),
            Self::Email(settings) => settings.write(),
            Self::Analytics(settings) => settings.write(),
        }
    }
}

/// Computes the plan, or everything that is wrong with the Storefront.
pub fn plan(storefront: &Storefront, placement: &Placement) -> Result<Plan, Invalid> {
    let spec = &storefront.spec;
    let mut checks = Checks::default();
    let shop = checks.shop(storefront, &placement.namespace);
    let branding = checks.branding(storefront);
    let currency = checks.currency(spec);
    checks.choices(spec);
    checks.references(spec);
    let products = checks.products(spec, currency);
    let topics = checks.topics(spec, placement);
    let gateway = checks.gateway(spec);
    let email = checks.email(storefront);
    let replicas = checks.replicas(spec);
    checks.pod_metadata(spec);
    let (Some(shop), Some(currency), Some(topics), Some(gateway)) =
        (shop, currency, topics, gateway)
    else {
        return Err(checks.into_invalid());
    };
    let checked = settings::Checked { shop: &shop, branding, currency, gateway, email };
    let mut services = Vec::new();
    for entry in CATALOG.iter().filter(|entry| placement.runs(spec, entry.id)) {
        let Some(settings) = checks.place(settings::of(entry.id, spec, placement, &checked)) else {
            continue;
        };
        let written = spec.service(entry.id);
        checks.env(entry.id, written, &settings);
        services.push(ServicePlan {
            id: entry.id,
            replicas: replicas.get(&entry.id).copied(),
            image: written.and_then(|service| service.image.clone()),
            resources: written.and_then(|service| service.resources.clone()),
            settings,
        });
    }
    let notes = checks::notes(spec, &services);
    let names = Names::new(spec.prefix());
    let catalog = match spec.catalog_config_map() {
        Some((name, key)) => CatalogSource::ConfigMap { name, key },
        None => CatalogSource::Products(products.unwrap_or_else(|| demo::products(currency))),
    };
    let topic_policy = spec.topic_policy();
    let strimzi = spec.strimzi().map(|strimzi| strimzi.cluster.clone());
    checks.finish(Plan {
        shop,
        names,
        currency,
        catalog,
        topics,
        topic_policy,
        services,
        strimzi,
        notes,
    })
}
