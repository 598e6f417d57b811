//! The files that a container reads: keys of Secrets and ConfigMaps at the paths that its settings name.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{
        ConfigMapProjection, EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource,
        SecretProjection, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::Context;
use crate::{
    names,
    plan::{CatalogSource, cluster},
};

/// Its owner and the pod's group can read a file, nobody else.
const MODE: i32 = 0o440;
const SECRETS_VOLUME: &str = "secrets";
const CATALOG_VOLUME: &str = "catalog";

/// Volumes of a pod with where its container has them.
#[derive(Default)]
pub(super) struct Mounts {
    pub volumes: Vec<Volume>,
    pub mounts: Vec<VolumeMount>,
}

impl Mounts {
    pub fn add(&mut self, volume: Volume, path: &str, read_only: bool) {
        self.mounts.push(VolumeMount {
            name: volume.name.clone(),
            mount_path: path.to_owned(),
            read_only: read_only.then_some(true),
            ..Default::default()
        });
        self.volumes.push(volume);
    }
}

/// What settings name below the folders for Secrets and for the catalog; only the keys that are named.
pub(super) fn of(context: &Context<'_>, settings: &BTreeMap<String, String>) -> Mounts {
    let mut mounts = Mounts::default();
    let keys = cluster::secret_keys(settings);
    if !keys.is_empty() {
        let sources = keys.iter().flat_map(|(secret, keys)| sources(context, secret, keys));
        mounts.add(projected(SECRETS_VOLUME, sources.collect()), cluster::SECRETS, true);
    }
    let reads_catalog = settings.values().any(|path| path.starts_with(cluster::CATALOG_FOLDER));
    if reads_catalog {
        mounts.add(catalog(context), cluster::CATALOG_FOLDER, true);
    }
    mounts
}

/// The needed keys of one Secret, and separately those that may be missing.
fn sources(context: &Context<'_>, secret: &str, keys: &BTreeSet<String>) -> Vec<VolumeProjection> {
    // Strimzi's Secret of a user holds the password alone; its name is the user's.
    let elsewhere = |key: &str| key == "username" && secret == context.name(names::KAFKA_USER);
    let is_optional = |key: &str| cluster::OPTIONAL_KEYS.contains(&key);
    let item =
        |key: &String| KeyToPath { key: key.clone(), path: format!("{secret}/{key}"), mode: None };
    let items = |wanted: bool| -> Vec<KeyToPath> {
        let keys = keys.iter().filter(|key| !elsewhere(key) && is_optional(key) != wanted);
        keys.map(item).collect()
    };
    let from_secret = |items: Vec<KeyToPath>, optional: bool| {
        (!items.is_empty()).then(|| VolumeProjection {
            secret: Some(SecretProjection {
                name: secret.to_owned(),
                items: Some(items),
                optional: optional.then_some(true),
            }),
            ..Default::default()
        })
    };
    let username: Vec<_> = keys.iter().filter(|key| elsewhere(key)).map(item).collect();
    let from_config_map = (!username.is_empty()).then(|| VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: secret.to_owned(),
            items: Some(username),
            optional: None,
        }),
        ..Default::default()
    });
    let sources =
        [from_secret(items(true), false), from_secret(items(false), true), from_config_map];
    sources.into_iter().flatten().collect()
}

fn catalog(context: &Context<'_>) -> Volume {
    let (name, key) = match &context.input.plan.catalog {
        CatalogSource::ConfigMap { name, key } => (name.clone(), key.clone()),
        CatalogSource::Products(_) => {
            (context.name(names::CATALOG), cluster::CATALOG_KEY.to_owned())
        }
    };
    let items = Some(vec![KeyToPath { path: key.clone(), key, mode: None }]);
    let source = VolumeProjection {
        config_map: Some(ConfigMapProjection { name, items, optional: None }),
        ..Default::default()
    };
    projected(CATALOG_VOLUME, vec![source])
}

pub(super) fn projected(name: &str, sources: Vec<VolumeProjection>) -> Volume {
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { default_mode: Some(MODE), sources: Some(sources) }),
        ..Default::default()
    }
}

/// One ConfigMap as a whole.
pub(super) fn config_map(volume: &str, name: String) -> Volume {
    let source = VolumeProjection {
        config_map: Some(ConfigMapProjection { name, ..Default::default() }),
        ..Default::default()
    };
    projected(volume, vec![source])
}

/// One key of a Secret of ours, at `secret/key`.
pub(super) fn secret_key(context: &Context<'_>, part: &str, key: &str) -> Volume {
    let name = context.name(part);
    projected(SECRETS_VOLUME, sources(context, &name, &BTreeSet::from([key.to_owned()])))
}

/// Space on the node's disk that goes with the pod. A pod that fills more than `size` is ended, before it
/// fills the node.
pub(super) fn scratch(name: &str, size: &str) -> Volume {
    empty(name, None, size)
}

/// Space in memory, which counts against the memory of the container that fills it: for what is tiny, or
/// must not touch a disk.
pub(super) fn memory(name: &str, size: &str) -> Volume {
    empty(name, Some("Memory"), size)
}

fn empty(name: &str, medium: Option<&str>, size: &str) -> Volume {
    let source = EmptyDirVolumeSource {
        medium: medium.map(str::to_owned),
        size_limit: Some(Quantity(size.to_owned())),
    };
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Default::default() }
}
