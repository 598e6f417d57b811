//! The managed brokers: KRaft nodes that are broker and controller at once, one or three of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector};

use super::{
    Context, Object,
    context::hash,
    deployment::container_port,
    mounts::{self, Mounts},
    pod::{self, Pod, images},
    resources::{Defaults, resources},
    sandbox::tcp_probe,
    service::CONTROLLER_PORT,
    stateful_set::{self, DISK, DISK_PATH, Set, script, stateful_set},
};
use crate::{
    api::{ManagedKafka, Storage},
    names,
    plan::cluster::{self, KAFKA_PORT},
};

/// The user of the image `apache/kafka`.
const USER: i64 = 1000;
/// A broker hands over its partitions before it stops.
const GRACE_S: i64 = 120;
const FILES: &str = "/etc/kafka/storefront";
const CONFIG_HASH: &str = "storefront.dev/settings-hash";
/// Measured: 270 MB with a heap of 256 MB and a shop under load.
const DEFAULTS: Defaults =
    Defaults { cpu_request: "200m", memory_request: "512Mi", memory_limit: "768Mi" };

fn managed<'a>(context: &Context<'a>) -> Option<&'a ManagedKafka> {
    context.spec.kafka.as_ref()?.managed.as_ref()
}

fn storage<'a>(context: &Context<'a>) -> Option<&'a Storage> {
    managed(context)?.storage.as_ref()
}

pub(super) fn is_retained(context: &Context<'_>) -> bool {
    stateful_set::is_retained(storage(context))
}

/// What follows a pod's name in its address: full enough to be found from other namespaces, too.
fn nodes_domain(context: &Context<'_>) -> String {
    format!("{}.{}.svc", context.name(names::KAFKA_NODES), context.namespace())
}

/// What the brokers start with. Node id and address are added by the script in each pod.
pub(super) fn files(context: &Context<'_>, brokers: i32) -> BTreeMap<String, String> {
    let files = [
        ("format.sh", include_str!("files/kafka-format.sh").to_owned()),
        ("log4j2.properties", include_str!("files/kafka-log4j2.properties").to_owned()),
        ("server.properties", properties(context, brokers)),
        ("start.sh", include_str!("files/kafka-start.sh").to_owned()),
    ];
    files.map(|(name, text)| (name.to_owned(), text)).into()
}

fn properties(context: &Context<'_>, brokers: i32) -> String {
    let (set, domain) = (context.name(names::KAFKA), nodes_domain(context));
    let voter = |node| format!("{node}@{set}-{node}.{domain}:{CONTROLLER_PORT}");
    let voters: Vec<_> = (0..brokers).map(voter).collect();
    // Of three copies two must have a message before it counts as written.
    let min_in_sync = if brokers >= 3 { 2 } else { 1 };
    let lines = [
        ("process.roles", "broker,controller".to_owned()),
        ("controller.quorum.voters", voters.join(",")),
        ("controller.listener.names", "CONTROLLER".into()),
        ("listeners", format!("CLIENTS://:{KAFKA_PORT},CONTROLLER://:{CONTROLLER_PORT}")),
        ("listener.security.protocol.map", "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT".into()),
        ("inter.broker.listener.name", "CLIENTS".into()),
        ("log.dirs", format!("{DISK_PATH}/kafka")),
        // The operator makes the topics; a mistyped one is an error and no new topic.
        ("auto.create.topics.enable", "false".into()),
        ("default.replication.factor", brokers.to_string()),
        ("min.insync.replicas", min_in_sync.to_string()),
        ("unclean.leader.election.enable", "false".into()),
        ("offsets.topic.num.partitions", "12".into()),
        ("offsets.topic.replication.factor", brokers.to_string()),
        ("transaction.state.log.num.partitions", "12".into()),
        ("transaction.state.log.replication.factor", brokers.to_string()),
        ("transaction.state.log.min.isr", min_in_sync.to_string()),
        ("share.coordinator.state.topic.num.partitions", "12".into()),
        ("share.coordinator.state.topic.replication.factor", brokers.to_string()),
        ("share.coordinator.state.topic.min.isr", min_in_sync.to_string()),
        ("group.initial.rebalance.delay.ms", "500".into()),
        // Set aside in the heap from the start; by default 128 MB of it.
        ("log.cleaner.dedupe.buffer.size", (16 << 20).to_string()),
    ];
    lines.map(|(key, value)| format!("{key}={value}\n")).concat()
}

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let Some(brokers) = context.spec.managed_brokers() else { return Vec::new() };
    let managed = managed(context);
    let mounts = mounts(context);
    let template = pod::template(
        context,
        Pod {
            component: names::KAFKA,
            containers: vec![broker(context, &mounts)],
            init_containers: vec![format(context, &mounts)],
            volumes: mounts.volumes,
            placement: managed.and_then(|managed| managed.placement.as_ref()),
            metadata: None,
            rolls: BTreeMap::from([(CONFIG_HASH.to_owned(), hash(&files(context, brokers)))]),
            user: USER,
            grace_s: GRACE_S,
        },
    );
    let set = Set {
        component: names::KAFKA,
        service_name: context.name(names::KAFKA_NODES),
        replicas: brokers,
        storage: storage(context),
        template,
    };
    vec![stateful_set(context, set)]
}

fn mounts(context: &Context<'_>) -> Mounts {
    let mut mounts = Mounts::default();
    let files = mounts::config_map("files", context.name(names::KAFKA));
    mounts.add(files, FILES, true);
    let id = mounts::secret_key(context, names::KAFKA, "cluster-id");
    mounts.add(id, cluster::SECRETS, true);
    // Its properties, Java's counters, and the libraries that compression unpacks: some megabytes.
    mounts.add(mounts::scratch("tmp", "100Mi"), "/tmp", false);
    // The claim's volume is the StatefulSet's to add.
    mounts.mounts.push(k8s_openapi::api::core::v1::VolumeMount {
        name: DISK.to_owned(),
        mount_path: DISK_PATH.to_owned(),
        ..Default::default()
    });
    mounts
}

fn format(context: &Context<'_>, mounts: &Mounts) -> Container {
    let images = images(context);
    let path = format!("{FILES}/format.sh");
    Container {
        env: Some(vec![
            pod_name(),
            variable("CLUSTER_ID_FILE", context.secret_path(names::KAFKA, "cluster-id")),
        ]),
        resources: Some(container_resources(context)),
        // What it refuses is told by the pod, and so by the shop's condition.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts.mounts.clone()),
        ..script("format", images.kafka(), images.pull_policy(), path)
    }
}

fn broker(context: &Context<'_>, mounts: &Mounts) -> Container {
    let images = images(context);
    let ports = [("clients", KAFKA_PORT), ("controller", CONTROLLER_PORT)];
    Container {
        env: Some(vec![pod_name(), variable("NODES_DOMAIN", nodes_domain(context))]),
        ports: Some(ports.map(|(name, port)| container_port(name, port)).into()),
        // A broker with much to recover may take minutes.
        startup_probe: Some(tcp_probe("clients", 1, 600)),
        liveness_probe: Some(tcp_probe("clients", 10, 6)),
        readiness_probe: Some(tcp_probe("clients", 5, 3)),
        resources: Some(container_resources(context)),
        volume_mounts: Some(mounts.mounts.clone()),
        ..script("kafka", images.kafka(), images.pull_policy(), format!("{FILES}/start.sh"))
    }
}

fn container_resources(context: &Context<'_>) -> k8s_openapi::api::core::v1::ResourceRequirements {
    resources(managed(context).and_then(|managed| managed.resources.as_ref()), DEFAULTS)
}

pub(super) fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

fn pod_name() -> EnvVar {
    let field =
        ObjectFieldSelector { api_version: Some("v1".into()), field_path: "metadata.name".into() };
    let source = EnvVarSource { field_ref: Some(field), ..Default::default() };
    EnvVar { name: "POD_NAME".into(), value: None, value_from: Some(source) }
}
