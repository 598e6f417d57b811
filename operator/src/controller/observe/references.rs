//! Looks at Secrets and ConfigMaps of others: which needed keys have something in them, and a hash of
//! those that Kafka's clients use. Values stay here.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::core::DynamicObject;
use sha2::{Digest, Sha256};

use super::Live;
use crate::{
    controller::{cluster::Cluster, error::Error, kinds},
    plan::{Plan, cluster},
    references::{self, Kind, Missing},
    render::CREDENTIALS_HASH,
};

/// Settings that name what Kafka's clients read once for each connection.
const KAFKA_FILES: &[&str] =
    &["KAFKA_CA_FILE", "KAFKA_SASL_PASSWORD_FILE", "KAFKA_SASL_USERNAME_FILE"];

/// What was found.
#[derive(Default)]
pub struct References {
    pub missing: Vec<Missing>,
    /// Of the Secrets that Kafka's clients use, when they use some.
    pub kafka_credentials: Option<String>,
    /// Their values, by Secret and key: for the operator's own client.
    pub kafka_secrets: BTreeMap<(String, String), String>,
    kafka_names: BTreeSet<String>,
}

impl References {
    /// Whether Kafka's clients use that Secret.
    fn needs_for_kafka(&self, secret: &str) -> bool {
        self.kafka_names.contains(secret)
    }

    /// Whether all is there that Kafka's clients need.
    pub fn are_complete_for_kafka(&self) -> bool {
        !self.missing.iter().any(|missing| self.needs_for_kafka(&missing.reference.name))
    }

    /// The hash for the pods of those who use Kafka. While something is missing it is the one that they have:
    /// pods that run go on, and none is made that could not start.
    pub fn credentials(&self, live: &Live) -> Option<String> {
        let kept = (!self.are_complete_for_kafka()).then(|| credentials_as_they_are(live));
        kept.flatten().or_else(|| self.kafka_credentials.clone())
    }
}

/// The hash that the pods have now.
pub fn credentials_as_they_are(live: &Live) -> Option<String> {
    let hash = |object: &DynamicObject| {
        let annotations = object.data.pointer("/spec/template/metadata/annotations")?;
        annotations.get(CREDENTIALS_HASH)?.as_str().map(str::to_owned)
    };
    live.objects.iter().find_map(hash)
}

pub(super) async fn look(
    cluster: &Cluster,
    namespace: &str,
    plan: &Plan,
) -> Result<References, Error> {
    let mut found = References::default();
    for reference in references::references(plan) {
        let resource = kinds::resource("v1", reference.kind.name());
        let object = cluster.get(namespace, &resource, &reference.name).await?;
        let filled = object.as_ref().map(|object| filled(reference.kind, object));
        found.missing.extend(references::missing(&reference, filled.as_ref()));
    }
    let kafka = kafka_keys(plan);
    let secrets = kinds::resource("v1", "Secret");
    for (secret, keys) in &kafka {
        let object = cluster.get(namespace, &secrets, secret).await?;
        for key in keys {
            if let Some(value) = object.as_ref().and_then(|object| text(object, key)) {
                found.kafka_secrets.insert((secret.clone(), key.clone()), value);
            }
        }
    }
    found.kafka_names = kafka.keys().cloned().collect();
    found.kafka_credentials = (!kafka.is_empty()).then(|| hash(&found.kafka_secrets));
    Ok(found)
}

fn kafka_keys(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for service in &plan.services {
        let settings = service.settings.write();
        let files = settings.into_iter().filter(|(name, _)| KAFKA_FILES.contains(&name.as_str()));
        for (secret, more) in cluster::secret_keys(&files.collect()) {
            keys.entry(secret).or_default().extend(more);
        }
    }
    keys
}

/// Keys with something in them.
fn filled(kind: Kind, object: &DynamicObject) -> BTreeSet<String> {
    let keys = |field: &str| {
        let entries = object.data.get(field).and_then(|data| data.as_object());
        let entries = entries.into_iter().flatten();
        entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
    };
    match kind {
        Kind::Secret => {
            let filled = keys("data")
                .filter(|(key, _)| text(object, key).is_some_and(|text| !text.trim().is_empty()));
            filled.map(|(key, _)| key).collect()
        }
        Kind::ConfigMap => {
            let filled = keys("data").chain(keys("binaryData"));
            filled.filter(|(_, text)| !text.trim().is_empty()).map(|(key, _)| key).collect()
        }
    }
}

/// One value of a Secret.
pub(super) fn text(secret: &DynamicObject, key: &str) -> Option<String> {
    let value = secret.data.get("data")?.get(key)?.as_str()?;
    String::from_utf8(STANDARD.decode(value).ok()?).ok()
}

fn hash(values: &BTreeMap<(String, String), String>) -> String {
    let mut hasher = Sha256::new();
    for ((secret, key), value) in values {
        for part in [secret, key, value] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hex::encode(&hasher.finalize()[..8])
}
