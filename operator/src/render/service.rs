//! The Services: how the parts find one another.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use storefront_contract::service;

use super::{Context, Object, sandbox};
use crate::{
    names,
    plan::cluster::{INBOX_SMTP_PORT, KAFKA_PORT, SANDBOX_PORT},
};

pub(super) const CONTROLLER_PORT: u16 = 9093;
pub(super) const POSTGRES_PORT: u16 = 5432;

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let mut services: Vec<Object> = Vec::new();
    for plan in &context.input.plan.services {
        let name = plan.id.name();
        services.push(of(context, name, name, &[("http", service(plan.id).http_port)]).into());
    }
    if sandbox::runs(context) {
        let ports =
            [("stripe", SANDBOX_PORT), ("inbox", sandbox::INBOX_PORT), ("smtp", INBOX_SMTP_PORT)];
        services.push(of(context, names::SANDBOX, names::SANDBOX, &ports).into());
    }
    if context.manages_database() {
        let ports = [("postgres", POSTGRES_PORT)];
        services.push(of(context, names::DATABASE, names::DATABASE, &ports).into());
    }
    if context.spec.managed_brokers().is_some() {
        let clients = [("clients", KAFKA_PORT)];
        services.push(of(context, names::KAFKA, names::KAFKA, &clients).into());
        let all = [("clients", KAFKA_PORT), ("controller", CONTROLLER_PORT)];
        services.push(headless(of(context, names::KAFKA_NODES, names::KAFKA, &all)).into());
    }
    services
}

fn of(context: &Context<'_>, part: &str, component: &str, ports: &[(&str, u16)]) -> Service {
    let port = |(name, port): &(&str, u16)| ServicePort {
        name: Some((*name).to_owned()),
        port: (*port).into(),
        target_port: Some(IntOrString::String((*name).to_owned())),
        protocol: Some("TCP".into()),
        app_protocol: (*name == "http").then(|| "http".to_owned()),
        ..Default::default()
    };
    Service {
        metadata: context.meta(part, component),
        spec: Some(ServiceSpec {
            ports: Some(ports.iter().map(port).collect()),
            selector: Some(context.selector_labels(component)),
            ..Default::default()
        }),
        status: None,
    }
}

/// Brokers find one another before any of them is ready.
fn headless(mut service: Service) -> Service {
    let spec = service.spec.get_or_insert_default();
    spec.cluster_ip = Some("None".into());
    spec.publish_not_ready_addresses = Some(true);
    service
}
