//! How requests come into the cluster: an Ingress, an `HTTPRoute`, or both while one takes over.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
    IngressServiceBackend, IngressSpec, IngressTLS, ServiceBackendPort,
};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;
use storefront_contract::{ServiceId, service};

use super::{Context, Object};
use crate::api;

pub(super) fn all(context: &Context<'_>) -> Vec<Object> {
    let gateway = context.spec.gateway.as_ref();
    let runs = context.input.plan.service(ServiceId::Gateway).is_some();
    let (Some(gateway), Some(host), true) = (gateway, context.spec.host(), runs) else {
        return Vec::new();
    };
    let route = gateway.http_route.as_ref().filter(|_| context.input.apis.http_route);
    let route = route.map(|route| http_route(context, route, host));
    let ingress = gateway.ingress.as_ref().map(|written| ingress(context, written, host).into());
    route.into_iter().chain(ingress).collect()
}

fn ingress(context: &Context<'_>, written: &api::Ingress, host: &str) -> Ingress {
    let name = ServiceId::Gateway.name();
    let mut metadata = context.meta(name, name);
    metadata.annotations.clone_from(&written.annotations);
    let path = HTTPIngressPath {
        path: Some("/".into()),
        path_type: "Prefix".into(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: context.name(name),
                port: Some(ServiceBackendPort { name: Some("http".into()), number: None }),
            }),
            resource: None,
        },
    };
    let tls = written.tls_secret_ref.as_ref().map(|secret| {
        vec![IngressTLS {
            hosts: Some(vec![host.to_owned()]),
            secret_name: Some(secret.name.clone()),
        }]
    });
    Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: written.class_name.clone(),
            rules: Some(vec![IngressRule {
                host: Some(host.to_owned()),
                http: Some(HTTPIngressRuleValue { paths: vec![path] }),
            }]),
            tls,
            default_backend: None,
        }),
        status: None,
    }
}

fn http_route(context: &Context<'_>, written: &api::HttpRoute, host: &str) -> Object {
    let name = ServiceId::Gateway.name();
    let parents: Vec<_> = written
        .parent_refs
        .iter()
        .map(|parent| {
            let mut reference = json!({
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": parent.name,
            });
            if let Some(namespace) = &parent.namespace {
                reference["namespace"] = json!(namespace);
            }
            if let Some(section) = &parent.section_name {
                reference["sectionName"] = json!(section);
            }
            reference
        })
        .collect();
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    let mut route = DynamicObject::new("", &ApiResource::from_gvk(&kind)).data(json!({"spec": {
        "parentRefs": parents,
        "hostnames": [host],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "backendRefs": [{
                "group": "",
                "kind": "Service",
                "name": context.name(name),
                "port": service(ServiceId::Gateway).http_port,
                "weight": 1,
            }],
        }],
    }}));
    route.metadata = context.meta(name, name);
    route.metadata.annotations.clone_from(&written.annotations);
    route.into()
}
