//! Checks of what people write about pods. They are no CEL rules: the API server could not tell what
//! a rule over the keys of a map costs, and it does not know a service's settings.

use std::collections::BTreeMap;

use storefront_contract::{CATALOG, ServiceId};

use super::{Fault, ServiceSettings, checks::Checks};
use crate::api::{PodMetadata, Service, StorefrontSpec};

/// Groups of labels and annotations that are the operator's, and those that would say something about
/// a pod's security.
const RESERVED: &[&str] = &[
    "app.kubernetes.io",
    "storefront.dev",
    "container.apparmor.security.beta.kubernetes.io",
    "seccomp.security.alpha.kubernetes.io",
    "container.seccomp.security.alpha.kubernetes.io",
];

impl Checks {
    /// Labels and annotations, wherever they can be written.
    pub(super) fn pod_metadata(&mut self, spec: &StorefrontSpec) {
        self.metadata(spec.pod_metadata.as_ref(), "spec.podMetadata");
        for entry in CATALOG {
            let metadata = spec.service(entry.id).and_then(|service| service.pod_metadata.as_ref());
            self.metadata(metadata, &format!("spec.services.{}.podMetadata", entry.id));
        }
    }

    fn metadata(&mut self, metadata: Option<&PodMetadata>, field: &str) {
        let Some(PodMetadata { labels, annotations }) = metadata else { return };
        for (key, value) in labels.iter().flatten() {
            let field = format!("{field}.labels");
            self.key(key, &field);
            if !is_label_value(value) {
                self.add(field, Fault::LabelValue { key: key.clone(), value: value.clone() });
            }
        }
        for key in annotations.iter().flat_map(BTreeMap::keys) {
            self.key(key, &format!("{field}.annotations"));
        }
    }

    fn key(&mut self, key: &str, field: &str) {
        let (prefix, name) = key.split_once('/').unwrap_or(("", key));
        let reserved = |group: &str| prefix == group || prefix.ends_with(&format!(".{group}"));
        if RESERVED.iter().any(|group| reserved(group)) {
            self.add(field, Fault::ReservedKey { key: key.to_owned() });
        } else if name.is_empty()
            || !is_label_value(name)
            || (key.contains('/') && !super::checks::is_object_name(prefix))
        {
            self.add(field, Fault::LabelKey { key: key.to_owned() });
        }
    }

    /// A variable must not replace a setting: what runs would differ from what was planned.
    pub(super) fn env(
        &mut self,
        id: ServiceId,
        service: Option<&Service>,
        settings: &ServiceSettings,
    ) {
        let written = service.and_then(|service| service.env.as_ref());
        let settings = settings.write();
        for (index, variable) in written.into_iter().flatten().enumerate() {
            if settings.contains_key(&variable.name) {
                self.add(
                    format!("spec.services.{id}.env[{index}].name"),
                    Fault::Setting { name: variable.name.clone() },
                );
            }
        }
    }
}

/// As Kubernetes has it, for values of labels and for the last part of keys.
fn is_label_value(value: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let end = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63 && value.bytes().all(legal) && end(bytes.first()) && end(bytes.last())
}
