//! What the two parts with a disk have in common.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec},
        core::v1::{
            Container, PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec,
            VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};

use super::{Context, Object, deployment::REVISIONS, pod::container_security};
use crate::api::Storage;

/// Name of the claim of each pod's disk, and of its volume.
pub(super) use crate::names::DISK;

/// Where the disk is. Images declare volumes of their own at `/var/lib/kafka/data` and
/// `/var/lib/postgresql/data`: a container engine would put an empty one over a disk that is mounted
/// above these, and everything would be gone with the container. What is kept is in a folder of it, as
/// a file system has a `lost+found` at its root.
pub(super) const DISK_PATH: &str = "/var/lib/storefront";
const DEFAULT_SIZE: &str = "10Gi";

/// What differs.
pub(super) struct Set<'a> {
    pub component: &'a str,
    /// The Service that gives each pod a name of its own.
    pub service_name: String,
    pub replicas: i32,
    pub storage: Option<&'a Storage>,
    pub template: PodTemplateSpec,
}

pub(super) fn is_retained(storage: Option<&Storage>) -> bool {
    storage.and_then(|storage| storage.retain).unwrap_or(true)
}

pub(super) fn stateful_set(context: &Context<'_>, set: Set<'_>) -> Object {
    let deleted = if is_retained(set.storage) { "Retain" } else { "Delete" };
    StatefulSet {
        metadata: context.meta(set.component, set.component),
        spec: Some(StatefulSetSpec {
            persistent_volume_claim_retention_policy: Some(
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(deleted.into()),
                    when_scaled: Some("Retain".into()),
                },
            ),
            // Brokers wait for one another, and their disks tell them apart.
            pod_management_policy: Some("Parallel".into()),
            replicas: Some(set.replicas),
            revision_history_limit: Some(REVISIONS),
            selector: context.selector(set.component),
            service_name: Some(set.service_name),
            template: set.template,
            volume_claim_templates: Some(vec![claim(context, set.component, set.storage)]),
            ..Default::default()
        }),
        status: None,
    }
    .into()
}

fn claim(
    context: &Context<'_>,
    component: &str,
    storage: Option<&Storage>,
) -> PersistentVolumeClaim {
    let size = storage.and_then(|storage| storage.size.as_ref());
    let size = size.map_or_else(|| DEFAULT_SIZE.to_owned(), ToString::to_string);
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(DISK.to_owned()),
            // The API server would add it, and then hold another object than we applied.
            labels: Some(context.selector_labels(component)),
            ..Default::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".into()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(size))])),
                limits: None,
            }),
            storage_class_name: storage.and_then(|storage| storage.storage_class_name.clone()),
            ..Default::default()
        }),
        status: None,
    }
}

/// A container that runs one of our scripts by the shell of its image.
pub(super) fn script(name: &str, image: String, pull_policy: &str, path: String) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image),
        image_pull_policy: Some(pull_policy.to_owned()),
        command: Some(vec!["/bin/sh".into(), path]),
        security_context: Some(container_security()),
        ..Default::default()
    }
}
