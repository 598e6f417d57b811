//! The HTTP of a shop as one OpenAPI 3.1 document: each service says what its routes take and answer, the
//! gateway what it may answer in their place.

use serde_json::{Map, Value, json};
use storefront_contract::{CATALOG, Http, ServiceId, catalog::ADMIN_PORT, service};
use storefront_runtime::{
    admin,
    http::Refusal,
    openapi::{Operation, Schemas},
};

const DESCRIPTION: &str = "\
What browsers, Stripe and other services may ask of a shop. Amounts are integers in the currency's minor \
unit (paise, cents; whole yen); `currency` is the ISO 4217 code in capitals. Every error is a problem of RFC \
9457; each answer of the gateway carries its trace as `x-request-id`.

Anything that is not here is a 404 that names what is. The built-in pages (`/`, `/success`) and, in sandbox \
mode, the stand-in's pages below `/sandbox` are for people and not part of this document.";

/// The whole document.
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for entry in CATALOG {
        let routed = matches!(entry.http, Http::Routed(_));
        let tag = if routed { "shop" } else { entry.id.name() };
        for operation in operations(entry.id) {
            let (operation, servers) = if routed {
                let problems = storefront_gateway::documented::problems(entry.id.name());
                (operation.problems(problems), None)
            } else {
                (operation, Some(internal_servers(entry.id)))
            };
            add(&mut paths, operation, tag, servers, &mut schemas);
        }
    }
    for operation in admin::operations() {
        add(&mut paths, operation, "admin", Some(admin_servers()), &mut schemas);
    }
    for operation in storefront_payment::audit_operations() {
        add(&mut paths, operation, "audit", Some(audit_servers()), &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Storefront",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "http://127.0.0.1:8080", "description": "The gateway of `storefront dev`"},
            {
                "url": "https://{host}",
                "description": "`spec.gateway.host`",
                "variables": {"host": {"default": "shop.example.com"}},
            },
        ],
        "security": [],
        "tags": [
            {"name": "shop", "description": "Through the gateway"},
            {"name": "email", "description": "For other services only: never through the gateway"},
            {"name": "analytics", "description": "For the shop's owner: never through the gateway"},
            {"name": "admin", "description": "Of every service, on a port of its own"},
            {
                "name": "audit",
                "description": "Of payment, on its admin port, and answered on the same machine only: \
                    what `storefront audit` asks",
            },
        ],
        "paths": paths,
        "components": {
            "responses": refusals(&mut schemas),
            "schemas": schemas.into_definitions(),
        },
    })
}

fn operations(id: ServiceId) -> Vec<Operation> {
    match id {
        ServiceId::Gateway => Vec::new(),
        ServiceId::Payment => storefront_payment::operations(),
        ServiceId::Order => storefront_order::operations(),
        ServiceId::Email => storefront_email::operations(),
        ServiceId::Analytics => storefront_analytics::operations(),
    }
}

/// What every server answers before a handler is asked, by name.
fn refusals(schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    for refusal in Refusal::ALL {
        let name = response_name(refusal);
        if !responses.contains_key(&name) {
            responses.insert(name, schemas.response(vec![refusal.problem()]));
        }
    }
    responses
}

/// `RequestTimeout` for a 408.
fn response_name(refusal: Refusal) -> String {
    refusal.status().canonical_reason().unwrap_or_default().replace(' ', "")
}

fn add(
    paths: &mut Map<String, Value>,
    operation: Operation,
    tag: &str,
    servers: Option<Value>,
    schemas: &mut Schemas,
) {
    let (path, method) = (operation.path(), operation.method());
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(servers) = servers {
        item["servers"] = servers;
    }
    let mut operation = operation.into_json(tag, schemas);
    for refusal in Refusal::ALL {
        let answer = &mut operation["responses"][refusal.status().as_str()];
        if answer.is_null() {
            *answer = json!({
                "$ref": format!("#/components/responses/{}", response_name(refusal)),
            });
        }
    }
    item[method] = operation;
}

fn internal_servers(id: ServiceId) -> Value {
    json!([{
        "url": format!("http://{{shop}}-{id}:{}", service(id).http_port),
        "description": "In the cluster; `storefront dev` tells its address at the start",
        "variables": {"shop": {"default": "demo", "description": "Name of the Storefront"}},
    }])
}

fn admin_servers() -> Value {
    json!([{
        "url": format!("http://{{shop}}-{{service}}:{ADMIN_PORT}"),
        "description": "In the cluster; `storefront dev` tells its addresses at the start",
        "variables": {
            "shop": {"default": "demo", "description": "Name of the Storefront"},
            "service": {"default": "gateway", "enum": ServiceId::ALL.map(ServiceId::name)},
        },
    }])
}

fn audit_servers() -> Value {
    json!([{
        "url": format!("http://127.0.0.1:{ADMIN_PORT}"),
        "description": "After `kubectl port-forward deployment/demo-payment 9000`; of `storefront dev` the \
            console tells the address",
    }])
}
