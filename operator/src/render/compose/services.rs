//! The services of the plan, with the settings that a pod would get.

use serde_json::{Map, Value, json};
use storefront_contract::ServiceId;

use super::{
    Compose, confined, environment,
    files::Files,
    limits,
    others::{TOPICS, healthy},
    published,
};
use crate::plan::{
    ServicePlan,
    compose::{DATABASE, GATEWAY_PORT, INBOX, SANDBOX},
};

pub(super) fn add(input: &Compose<'_>, files: &mut Files, containers: &mut Map<String, Value>) {
    for service in &input.plan.services {
        containers.insert(service.id.name().into(), container(input, service, files));
    }
}

fn container(input: &Compose<'_>, service: &ServicePlan, files: &mut Files) -> Value {
    let program = format!("storefront-{}", service.id);
    let image = service.image.clone().unwrap_or_else(|| input.image(service.id.name()));
    let mut settings = service.settings.write();
    let mut container = json!({
        "image": image,
        "restart": "unless-stopped",
        "stop_grace_period": "30s",
    });
    files.mount(input, &mut settings, &mut container);
    container["environment"] = environment(settings);
    // The image holds nothing but the program: it asks itself.
    container["healthcheck"] = json!({
        "test": ["CMD", program, "ready"],
        "interval": "5s",
        "timeout": "3s",
        "retries": 3,
        "start_period": "60s",
        "start_interval": "500ms",
    });
    container["depends_on"] = depends_on(input, service.id);
    if service.id == ServiceId::Gateway {
        container["ports"] = json!([published(GATEWAY_PORT)]);
    }
    container["deploy"] = limits("1.0", "256M");
    confined(&mut container);
    container
}

fn depends_on(input: &Compose<'_>, id: ServiceId) -> Value {
    let mut conditions = Map::new();
    let mut needs = |name: &str, condition: Value| conditions.insert(name.to_owned(), condition);
    if id == ServiceId::Gateway {
        // In front of everything: it comes when the others can answer.
        for service in input.plan.services.iter().filter(|service| service.id != id) {
            needs(service.id.name(), healthy());
        }
        return conditions.into();
    }
    if input.runs_kafka() {
        needs(TOPICS, json!({"condition": "service_completed_successfully"}));
    }
    if input.runs_database() {
        needs(DATABASE, healthy());
    }
    if id == ServiceId::Payment && input.spec.is_sandbox() {
        needs(SANDBOX, healthy());
    }
    if id == ServiceId::Email && input.runs_inbox() {
        needs(INBOX, healthy());
    }
    conditions.into()
}
