//! The files that containers read, at the paths of their settings: Secrets of the manifest from files
//! beside the compose file, the rest written into it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Compose, verbatim};
use crate::{
    names,
    plan::{
        CatalogSource,
        cluster::{CATALOG_FOLDER, SECRETS},
        compose::DATABASE,
    },
};

/// Keys of the stand-in: they open nothing.
const SANDBOX_API_KEY: &str = "sk_test_compose4eC39HqLyjWDarjtT1zdp7dc";
const SANDBOX_WEBHOOK_SECRET: &str = "whsec_compose5WbX5kEWLlfzsGNjyGIcyPzX";
/// Only there while a secret is being replaced: compose cannot leave a missing file out.
const OPTIONAL_KEY: &str = "webhook-secret-old";

/// What containers refer to, collected while they are made.
pub(super) struct Files {
    pub configs: Map<String, Value>,
    pub secrets: Map<String, Value>,
    /// Paths below the folder of secrets whose content is written into the file.
    made: BTreeMap<String, &'static str>,
}

impl Files {
    pub fn new(input: &Compose<'_>) -> Self {
        let shop = input.plan.shop.name();
        let mut files = Self { configs: Map::new(), secrets: Map::new(), made: BTreeMap::new() };
        let mut made = |secret: &str, key: &str, config: &'static str, content: String| {
            files.configs.insert(config.to_owned(), json!({"content": content}));
            files.made.insert(format!("{}/{key}", names::object(shop, secret)), config);
        };
        if input.spec.is_sandbox() {
            made(names::SANDBOX, "api-key", "sandbox-api-key", SANDBOX_API_KEY.into());
            made(
                names::SANDBOX,
                "webhook-secret",
                "sandbox-webhook-secret",
                SANDBOX_WEBHOOK_SECRET.into(),
            );
        }
        if input.runs_database() {
            // No port of the database is published; whoever wants another password sets the variable.
            let url = format!(
                "postgres://storefront:${{POSTGRES_PASSWORD:-storefront}}@{DATABASE}:5432/storefront"
            );
            made(names::DATABASE, "url", "database-url", url);
        }
        if let CatalogSource::Products(products) = &input.plan.catalog {
            let catalog = json!({"products": products});
            let text = serde_json::to_string_pretty(&catalog).unwrap_or_default();
            files.configs.insert("catalog".into(), json!({"content": verbatim(&text)}));
        }
        files
    }

    /// Gives a container the files that its settings name.
    pub fn mount(
        &mut self,
        input: &Compose<'_>,
        settings: &mut BTreeMap<String, String>,
        container: &mut Value,
    ) {
        for value in settings.values_mut() {
            leave_out_optional(value);
        }
        let paths: BTreeSet<&str> = settings.values().flat_map(|value| value.split(',')).collect();
        let (mut configs, mut secrets) = (Vec::new(), Vec::new());
        for path in paths {
            if path.starts_with(CATALOG_FOLDER) {
                configs.push(json!({"source": self.catalog(input), "target": path}));
            }
            let Some(key) = path.strip_prefix(SECRETS).and_then(|key| key.strip_prefix('/')) else {
                continue;
            };
            if let Some(config) = self.made.get(key) {
                configs.push(json!({"source": config, "target": path}));
            } else {
                let name = key.replace('/', "-");
                let file = format!("${{STOREFRONT_SECRETS:-./secrets}}/{key}");
                self.secrets.insert(name.clone(), json!({"file": file}));
                secrets.push(json!({"source": name, "target": path}));
            }
        }
        for (field, list) in [("configs", configs), ("secrets", secrets)] {
            if !list.is_empty() {
                container[field] = list.into();
            }
        }
    }

    /// A ConfigMap's content is the shop owner's to put beside the compose file.
    fn catalog(&mut self, input: &Compose<'_>) -> &'static str {
        if let CatalogSource::ConfigMap { key, .. } = &input.plan.catalog {
            self.configs.insert("catalog".into(), json!({"file": format!("./{key}")}));
        }
        "catalog"
    }
}

/// Removes the paths of files that need not be there from a list of paths.
fn leave_out_optional(value: &mut String) {
    if value.ends_with(OPTIONAL_KEY) && value.contains(',') {
        let kept: Vec<_> = value.split(',').filter(|path| !path.ends_with(OPTIONAL_KEY)).collect();
        *value = kept.join(",");
    }
}
