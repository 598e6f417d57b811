//! ConfigMaps: the settings of each service, the catalog, and what the managed parts start with.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Serialize;
use storefront_contract::{Product, ServiceId};

use super::{Context, Object, database, kafka, sandbox};
use crate::{
    names,
    plan::{CatalogSource, cluster::CATALOG_KEY},
};

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let plan = context.input.plan;
    let own = |part: &str| context.meta(part, part);
    let mut maps = Vec::new();
    for service in &plan.services {
        maps.push(config_map(own(service.id.name()), service.settings.write()));
    }
    if let CatalogSource::Products(products) = &plan.catalog
        && plan.service(ServiceId::Payment).is_some()
    {
        let metadata = context.meta(names::CATALOG, ServiceId::Payment.name());
        let data = BTreeMap::from([(CATALOG_KEY.to_owned(), catalog(products))]);
        maps.push(config_map(metadata, data));
    }
    if sandbox::runs(context) {
        maps.push(config_map(own(names::SANDBOX), sandbox::settings(context)));
    }
    if context.manages_database() {
        maps.push(config_map(own(names::DATABASE), database::files()));
    }
    if let Some(brokers) = context.spec.managed_brokers() {
        maps.push(config_map(own(names::KAFKA), kafka::files(context, brokers)));
    }
    if context.spec.strimzi().is_some() {
        let user = context.name(names::KAFKA_USER);
        let data = BTreeMap::from([("username".to_owned(), user)]);
        maps.push(config_map(own(names::KAFKA_USER), data));
    }
    maps
}

/// The file that payment reads.
fn catalog(products: &[Product]) -> String {
    #[derive(Serialize)]
    struct Catalog<'a> {
        products: &'a [Product],
    }
    // Strings and numbers under names that are strings: there is nothing that JSON could not hold.
    serde_json::to_string_pretty(&Catalog { products }).unwrap_or_default()
}

fn config_map(metadata: ObjectMeta, data: BTreeMap<String, String>) -> Object {
    ConfigMap { metadata, data: Some(data), ..Default::default() }.into()
}
