//! What a shop needs besides its own services: brokers with their topics and a page to look into them, a
//! database, an inbox, the stand-in for Stripe.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use storefront_contract::ServiceId;

use super::{Compose, confined, environment, files::Files, limits, published, verbatim};
use crate::plan::{
    TopicPlan,
    cluster::{INBOX_SMTP_PORT, KAFKA_PORT, SANDBOX_PORT},
    compose::{DATABASE, INBOX, KAFKA, KAFKA_INTERNAL_PORT, SANDBOX},
};

/// The job that makes the topics.
pub(super) const TOPICS: &str = "topics";
const KAFKA_UI: &str = "kafka-ui";
const KAFKA_IMAGE: &str = "docker.io/apache/kafka:4.1.0";
const KAFKA_UI_IMAGE: &str = "ghcr.io/kafbat/kafka-ui:v1.3.0";
const POSTGRES_IMAGE: &str = "docker.io/library/postgres:17.6";
const INBOX_IMAGE: &str = "docker.io/axllent/mailpit:v1.27";
const INBOX_PORT: u16 = 8025;
const KAFKA_UI_PORT: u16 = 8081;
/// Any UUID in base64url; a disk belongs to one.
const CLUSTER_ID: &str = "c3RvcmVmcm9udC1jb21wbw";

pub(super) fn healthy() -> Value {
    json!({"condition": "service_healthy"})
}

pub(super) fn add(input: &Compose<'_>, files: &mut Files, containers: &mut Map<String, Value>) {
    let mut add = |name: &str, container| containers.insert(name.to_owned(), container);
    if input.runs_kafka() {
        add(KAFKA, kafka());
        add(TOPICS, topics(&input.plan.topics));
        add(KAFKA_UI, kafka_ui(input));
    }
    if input.runs_database() {
        add(DATABASE, database());
    }
    if input.runs_inbox() {
        add(INBOX, inbox());
    }
    if input.spec.is_sandbox() {
        add(SANDBOX, sandbox(input, files));
    }
}

pub(super) fn volumes(input: &Compose<'_>) -> Value {
    let named = [
        ("kafka", input.runs_kafka()),
        ("database", input.runs_database()),
        ("inbox", input.runs_inbox()),
    ];
    let there = named.into_iter().filter(|(_, there)| *there);
    Value::Object(there.map(|(name, _)| (name.to_owned(), json!({}))).collect())
}

/// One KRaft node: a listener for containers and one for clients on this machine.
fn kafka() -> Value {
    let listeners =
        format!("CONTAINERS://:{KAFKA_INTERNAL_PORT},MACHINE://:{KAFKA_PORT},CONTROLLER://:9093");
    let advertised =
        format!("CONTAINERS://{KAFKA}:{KAFKA_INTERNAL_PORT},MACHINE://127.0.0.1:{KAFKA_PORT}");
    let address = format!("localhost:{KAFKA_INTERNAL_PORT}");
    json!({
        "image": KAFKA_IMAGE,
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
        "environment": {
            "CLUSTER_ID": CLUSTER_ID,
            "KAFKA_HEAP_OPTS": "-Xmx512m",
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": format!("1@{KAFKA}:9093"),
            "KAFKA_LISTENERS": listeners,
            "KAFKA_ADVERTISED_LISTENERS": advertised,
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP":
                "CONTAINERS:PLAINTEXT,MACHINE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "CONTAINERS",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
            // A mistyped topic is an error and no new topic.
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        },
        "ports": [published(KAFKA_PORT)],
        "volumes": ["kafka:/var/lib/kafka/data"],
        "healthcheck": {
            "test": ["CMD", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server", address, "--list"],
            "interval": "10s",
            "timeout": "10s",
            "retries": 6,
            "start_period": "60s",
            "start_interval": "2s",
        },
        "security_opt": ["no-new-privileges:true"],
        "deploy": limits("2.0", "1G"),
    })
}

/// Runs once at each start, and changes nothing that is there.
fn topics(topics: &[TopicPlan]) -> Value {
    let create = |topic: &TopicPlan| {
        let configs: Vec<_> =
            topic.config.iter().map(|(key, value)| format!(" --config '{key}={value}'")).collect();
        format!(
            "/opt/kafka/bin/kafka-topics.sh --bootstrap-server {KAFKA}:{KAFKA_INTERNAL_PORT} --create \
             --if-not-exists --topic '{}' --partitions {} --replication-factor {}{}\n",
            topic.name,
            topic.partitions,
            topic.replication_factor,
            configs.concat()
        )
    };
    let script: String = topics.iter().map(create).collect();
    json!({
        "image": KAFKA_IMAGE,
        "entrypoint": ["/bin/bash", "-ec"],
        "command": [verbatim(&script)],
        "depends_on": {KAFKA: healthy()},
        "security_opt": ["no-new-privileges:true"],
        "deploy": limits("1.0", "512M"),
    })
}

fn kafka_ui(input: &Compose<'_>) -> Value {
    json!({
        "image": KAFKA_UI_IMAGE,
        "restart": "unless-stopped",
        "environment": {
            "KAFKA_CLUSTERS_0_NAME": input.plan.shop.name(),
            "KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS": format!("{KAFKA}:{KAFKA_INTERNAL_PORT}"),
        },
        "ports": [format!("127.0.0.1:{KAFKA_UI_PORT}:8080")],
        "depends_on": {KAFKA: healthy()},
        "security_opt": ["no-new-privileges:true"],
        "deploy": limits("1.0", "768M"),
    })
}

fn database() -> Value {
    json!({
        "image": POSTGRES_IMAGE,
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
        "environment": {
            "POSTGRES_USER": "storefront",
            "POSTGRES_DB": "storefront",
            "POSTGRES_PASSWORD": "${POSTGRES_PASSWORD:-storefront}",
        },
        "volumes": ["database:/var/lib/postgresql/data"],
        "healthcheck": {
            "test": ["CMD", "pg_isready", "--username=storefront", "--host=127.0.0.1"],
            "interval": "5s",
            "timeout": "3s",
            "retries": 6,
            "start_period": "60s",
            "start_interval": "500ms",
        },
        "security_opt": ["no-new-privileges:true"],
        "deploy": limits("1.0", "512M"),
    })
}

/// Mailpit keeps what is sent, and sends nothing on.
fn inbox() -> Value {
    let mut container = json!({
        "image": INBOX_IMAGE,
        "restart": "unless-stopped",
        "environment": {"MP_DATABASE": "/data/mailpit.db", "MP_MAX_MESSAGES": "5000"},
        "ports": [published(INBOX_PORT), published(INBOX_SMTP_PORT)],
        "volumes": ["inbox:/data"],
        "healthcheck": {
            "test": ["CMD", "/mailpit", "readyz"],
            "interval": "5s",
            "timeout": "3s",
            "retries": 6,
            "start_period": "10s",
            "start_interval": "500ms",
        },
        "deploy": limits("0.5", "128M"),
    });
    for (field, value) in [
        ("read_only", json!(true)),
        ("tmpfs", json!(["/tmp"])),
        ("cap_drop", json!(["ALL"])),
        ("security_opt", json!(["no-new-privileges:true"])),
    ] {
        container[field] = value;
    }
    container
}

/// The stand-in for Stripe. What was paid is in payment's database, so it keeps nothing.
fn sandbox(input: &Compose<'_>, files: &mut Files) -> Value {
    let placement = input.placement;
    let secret = |file: Option<&std::path::PathBuf>| {
        file.map(|file| file.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let mut settings: BTreeMap<String, String> = [
        ("SANDBOX_STRIPE_LISTEN", format!("0.0.0.0:{SANDBOX_PORT}")),
        ("PUBLIC_URL", placement.public_url.as_str().trim_end_matches('/').to_owned()),
        ("STRIPE_API_KEY_FILE", secret(Some(&placement.stripe.api_key_file))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    // As Stripe does: through the front door, where there is one.
    let door = [ServiceId::Gateway, ServiceId::Payment];
    let door = door.into_iter().find(|id| input.plan.service(*id).is_some());
    if let Some(place) = door.and_then(|id| placement.services.get(&id)) {
        let url = place.url.as_str().trim_end_matches('/');
        settings.insert("SANDBOX_WEBHOOK_URL".into(), format!("{url}/payment/webhook"));
        let file = secret(placement.stripe.webhook_secret_files.first());
        settings.insert("SANDBOX_WEBHOOK_SECRET_FILE".into(), file);
    }
    let mut container = json!({
        "image": input.image(SANDBOX),
        "restart": "unless-stopped",
        "ports": [published(SANDBOX_PORT)],
    });
    files.mount(input, &mut settings, &mut container);
    container["environment"] = environment(settings);
    container["healthcheck"] = json!({
        "test": ["CMD", "storefront-sandbox", "ready"],
        "interval": "5s",
        "timeout": "3s",
        "retries": 3,
        "start_period": "10s",
        "start_interval": "500ms",
    });
    container["deploy"] = limits("0.5", "128M");
    confined(&mut container);
    container
}
