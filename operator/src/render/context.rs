//! What every object has: its name, its labels, its owner.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;
use sha2::{Digest, Sha256};

use super::{Input, RETAIN};
use crate::{api::StorefrontSpec, names, plan::cluster};

/// `app.kubernetes.io/name` and `part-of` of everything.
const NAME: &str = "storefront";
/// `app.kubernetes.io/managed-by` of everything.
const MANAGED_BY: &str = "storefront-operator";

/// The input, with what is derived from it.
pub(super) struct Context<'a> {
    pub input: &'a Input<'a>,
    pub spec: &'a StorefrontSpec,
    /// Name of the Storefront.
    pub shop: &'a str,
}

impl<'a> Context<'a> {
    pub fn new(input: &'a Input<'a>) -> Self {
        let shop = input.storefront.metadata.name.as_deref().unwrap_or_default();
        Self { input, spec: &input.storefront.spec, shop }
    }

    pub fn name(&self, part: &str) -> String {
        names::object(self.shop, part)
    }

    pub fn namespace(&self) -> &'a str {
        &self.input.placement.namespace
    }

    /// Labels that find the pods of a part. They never change: a selector cannot.
    pub fn selector_labels(&self, component: &str) -> BTreeMap<String, String> {
        labels([("name", NAME), ("instance", self.shop), ("component", component)])
    }

    pub fn selector(&self, component: &str) -> LabelSelector {
        LabelSelector { match_labels: Some(self.selector_labels(component)), ..Default::default() }
    }

    pub fn labels(&self, component: &str) -> BTreeMap<String, String> {
        let mut all = self.selector_labels(component);
        all.extend(labels([("part-of", NAME), ("managed-by", MANAGED_BY)]));
        all
    }

    /// Metadata of an object that goes when its Storefront goes.
    pub fn meta(&self, part: &str, component: &str) -> ObjectMeta {
        let owner = self.input.storefront.controller_owner_ref(&());
        ObjectMeta {
            name: Some(self.name(part)),
            namespace: Some(self.namespace().to_owned()),
            labels: Some(self.labels(component)),
            owner_references: owner.map(|owner| vec![owner]),
            ..Default::default()
        }
    }

    /// Metadata of an object that stays, with the volume that it belongs to.
    pub fn retained_meta(&self, part: &str, component: &str) -> ObjectMeta {
        ObjectMeta {
            owner_references: None,
            annotations: Some(BTreeMap::from([(RETAIN.to_owned(), "true".to_owned())])),
            ..self.meta(part, component)
        }
    }

    /// Whether the operator runs the database.
    pub fn manages_database(&self) -> bool {
        self.spec.manages_database()
    }

    /// Path of one key of a mounted Secret.
    pub fn secret_path(&self, part: &str, key: &str) -> String {
        format!("{}/{}/{key}", cluster::SECRETS, self.name(part))
    }
}

fn labels<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    let label = |(key, value): (&str, &str)| (format!("app.kubernetes.io/{key}"), value.to_owned());
    entries.map(label).into()
}

/// A hash of what a pod reads only at its start: an annotation that rolls the pods when it changes.
pub(super) fn hash(data: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (key, value) in data {
        // Lengths first, so that no two maps run into the same bytes.
        for text in [key, value] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
    }
    hex::encode(&hasher.finalize()[..8])
}
