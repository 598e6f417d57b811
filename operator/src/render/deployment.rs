//! The Deployments of the services.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec},
        core::v1::{
            ConfigMapEnvSource, Container, ContainerPort, EnvFromSource, EnvVar, HTTPGetAction,
            Probe,
        },
    },
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};
use storefront_contract::{catalog::ADMIN_PORT, service};

use super::{
    Context, Object,
    context::hash,
    mounts,
    pod::{self, Pod, container_security, images},
    resources::{Defaults, resources},
};
use crate::plan::ServicePlan;

/// The user of our images.
pub(super) const USER: i64 = 65_532;
/// A service stops within 25 s; Kubernetes' own default is the same 30.
pub(super) const GRACE_S: i64 = 30;
pub(super) const REVISIONS: i32 = 3;
/// Annotation with a hash of what is only read at the start.
const SETTINGS_HASH: &str = "storefront.dev/settings-hash";
/// Annotation with a hash of what Kafka's clients read only when they connect.
pub const CREDENTIALS_HASH: &str = "storefront.dev/kafka-credentials-hash";
/// Measured with order, built for debugging, on SQLite: 26 MB at rest, 62 MB at most while it worked off
/// 60,000 events of 600 bytes. The rest up to the limit is an estimate of room for larger events, whose
/// queues are bounded.
const DEFAULTS: Defaults =
    Defaults { cpu_request: "50m", memory_request: "64Mi", memory_limit: "256Mi" };

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    context.input.plan.services.iter().map(|plan| deployment(context, plan).into()).collect()
}

fn deployment(context: &Context<'_>, plan: &ServicePlan) -> Deployment {
    let component = plan.id.name();
    let written = context.spec.service(plan.id);
    let settings = plan.settings.write();
    let mounts = mounts::of(context, &settings);
    let mut rolls = BTreeMap::from([(SETTINGS_HASH.to_owned(), hash(&settings))]);
    if let Some(hash) = &context.input.generated.kafka_credentials
        && settings.contains_key("KAFKA_BROKERS")
    {
        rolls.insert(CREDENTIALS_HASH.to_owned(), hash.clone());
    }
    let container = container(context, plan, mounts.mounts);
    let template = pod::template(
        context,
        Pod {
            component,
            containers: vec![container],
            init_containers: Vec::new(),
            volumes: mounts.volumes,
            placement: written.and_then(|service| service.placement.as_ref()),
            metadata: written.and_then(|service| service.pod_metadata.as_ref()),
            rolls,
            user: USER,
            grace_s: GRACE_S,
        },
    );
    Deployment {
        metadata: versioned(context, component),
        spec: Some(DeploymentSpec {
            // Left out when nothing is written: an autoscaler, ours or another, may decide it.
            replicas: plan.replicas.and_then(|replicas| i32::try_from(replicas).ok()),
            revision_history_limit: Some(REVISIONS),
            selector: context.selector(component),
            template,
            ..Default::default()
        }),
        status: None,
    }
}

/// Metadata with the version of what runs. It is no label of the pods: an upgrade of the operator
/// alone must not roll them.
pub(super) fn versioned(context: &Context<'_>, component: &str) -> ObjectMeta {
    let mut metadata = context.meta(component, component);
    let version = images(context).tag().to_owned();
    metadata.labels.get_or_insert_default().insert("app.kubernetes.io/version".into(), version);
    metadata
}

fn container(
    context: &Context<'_>,
    plan: &ServicePlan,
    mounts: Vec<k8s_openapi::api::core::v1::VolumeMount>,
) -> Container {
    let name = plan.id.name();
    let images = images(context);
    let written = context.spec.service(plan.id).and_then(|service| service.env.as_ref());
    let env: Vec<_> = written
        .into_iter()
        .flatten()
        .map(|variable| EnvVar {
            name: variable.name.clone(),
            value: Some(variable.value.clone()),
            value_from: None,
        })
        .collect();
    let ports = [("http", service(plan.id).http_port), ("admin", ADMIN_PORT)];
    Container {
        name: name.to_owned(),
        image: Some(plan.image.clone().unwrap_or_else(|| images.part(name))),
        image_pull_policy: Some(images.pull_policy().to_owned()),
        env: (!env.is_empty()).then_some(env),
        env_from: Some(vec![settings_of(context.name(name))]),
        ports: Some(ports.map(|(name, port)| container_port(name, port)).into()),
        // The admin port answers before anything else is done, migrations too, so that there is nothing for a startup
        // probe to wait for. Without one a kubelet asks for readiness as soon as it notices that the container runs.
        liveness_probe: Some(http_probe("/livez", 10, 3)),
        readiness_probe: Some(http_probe("/readyz", 1, 5)),
        resources: Some(resources(plan.resources.as_ref(), DEFAULTS)),
        security_context: Some(container_security()),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..Default::default()
    }
}

/// Every entry of a ConfigMap as a variable.
pub(super) fn settings_of(config_map: String) -> EnvFromSource {
    EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource { name: config_map, optional: None }),
        ..Default::default()
    }
}

pub(super) fn container_port(name: &str, port: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        protocol: Some("TCP".into()),
        ..Default::default()
    }
}

fn http_probe(path: &str, period_s: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("admin".into()),
            ..Default::default()
        }),
        period_seconds: Some(period_s),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Default::default()
    }
}
