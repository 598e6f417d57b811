//! The frame of every pod: it meets the `restricted` Pod Security Standard, gets no token, and is
//! placed and marked as the manifest says.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, LocalObjectReference, PodSecurityContext, PodSpec,
        PodTemplateSpec, SeccompProfile, SecurityContext, TopologySpreadConstraint, Volume,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{Context, Images};
use crate::api::{PodMetadata, PodPlacement};

/// What differs from pod to pod.
pub(super) struct Pod<'a> {
    pub component: &'a str,
    pub containers: Vec<Container>,
    pub init_containers: Vec<Container>,
    pub volumes: Vec<Volume>,
    /// Where this part runs, before `spec.placement`.
    pub placement: Option<&'a PodPlacement>,
    pub metadata: Option<&'a PodMetadata>,
    /// Annotations that roll the pods when they change.
    pub rolls: BTreeMap<String, String>,
    /// Id of user and group, the owner of volumes, too.
    pub user: i64,
    pub grace_s: i64,
}

/// The template of a pod.
pub(super) fn template(context: &Context<'_>, pod: Pod<'_>) -> PodTemplateSpec {
    let spec_metadata = context.spec.pod_metadata.as_ref();
    let metadata = [spec_metadata, pod.metadata];
    let merged = |field: fn(&PodMetadata) -> &Option<BTreeMap<String, String>>| {
        let entries = metadata.iter().flatten().filter_map(|metadata| field(metadata).clone());
        entries.flatten().collect::<BTreeMap<_, _>>()
    };
    let mut labels = merged(|metadata| &metadata.labels);
    labels.extend(context.labels(pod.component));
    let mut annotations = merged(|metadata| &metadata.annotations);
    annotations.extend(pod.rolls);
    let images = images(context);
    let pull_secrets: Vec<_> =
        images.pull_secrets().map(|name| LocalObjectReference { name: name.to_owned() }).collect();
    let of = Placed { part: pod.placement, all: context.spec.placement.as_ref() };
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..Default::default()
        }),
        spec: Some(PodSpec {
            affinity: of.field(|placement| &placement.affinity),
            automount_service_account_token: Some(false),
            containers: pod.containers,
            // No variables for each Service of the namespace: nobody reads them, and one named `KAFKA`
            // would look like a setting.
            enable_service_links: Some(false),
            image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
            init_containers: (!pod.init_containers.is_empty()).then_some(pod.init_containers),
            node_selector: of.field(|placement| &placement.node_selector),
            priority_class_name: of.field(|placement| &placement.priority_class_name),
            security_context: Some(pod_security(pod.user)),
            service_account_name: Some(context.name(pod.component)),
            termination_grace_period_seconds: Some(pod.grace_s),
            tolerations: of.field(|placement| &placement.tolerations),
            topology_spread_constraints: Some(spread(context, &of, pod.component)),
            volumes: (!pod.volumes.is_empty()).then_some(pod.volumes),
            ..Default::default()
        }),
    }
}

/// What is written for one part goes before what is written for all, field by field.
struct Placed<'a> {
    part: Option<&'a PodPlacement>,
    all: Option<&'a PodPlacement>,
}

impl Placed<'_> {
    fn field<T: Clone>(&self, field: fn(&PodPlacement) -> &Option<T>) -> Option<T> {
        let mut written = [self.part, self.all].into_iter().flatten();
        written.find_map(|placement| field(placement).clone())
    }
}

/// Over zones, then over nodes, where there are enough; a shop on one node must run all the same.
fn spread(
    context: &Context<'_>,
    placed: &Placed<'_>,
    component: &str,
) -> Vec<TopologySpreadConstraint> {
    let soft = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        ..Default::default()
    };
    let written = placed.field(|placement| &placement.topology_spread_constraints);
    let mut constraints = written.unwrap_or_else(|| {
        vec![soft("topology.kubernetes.io/zone"), soft("kubernetes.io/hostname")]
    });
    for constraint in &mut constraints {
        constraint.label_selector.get_or_insert_with(|| context.selector(component));
    }
    constraints
}

pub(super) fn images<'a>(context: &Context<'a>) -> Images<'a> {
    Images { spec: context.spec, options: context.input.options }
}

fn pod_security(user: i64) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(user),
        run_as_group: Some(user),
        fs_group: Some(user),
        fs_group_change_policy: Some("OnRootMismatch".into()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..Default::default()
    }
}

/// Of every container: nothing may be gained, and nothing written outside of volumes.
pub(super) fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        read_only_root_filesystem: Some(true),
        ..Default::default()
    }
}
