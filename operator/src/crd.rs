//! The `CustomResourceDefinition`, generated from the types in `api`. It is written to
//! `crds/storefront.yaml`, where a test holds it equal to the types.

use std::sync::OnceLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::api::Storefront;

/// Why the definition cannot be written. Only a change of the types can cause it.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    #[error("the generated schema is no CustomResourceDefinition")]
    Schema(#[from] serde_json::Error),
    #[error("the CustomResourceDefinition cannot be written as YAML")]
    Yaml(#[from] serde_yaml::Error),
}

impl CrdError {
    /// A fixed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Schema(_) => "Schema",
            Self::Yaml(_) => "Yaml",
        }
    }
}

/// The definition that is installed in a cluster.
pub fn definition() -> Result<CustomResourceDefinition, CrdError> {
    let mut definition = serde_json::to_value(Storefront::crd())?;
    simplify(&mut definition);
    Ok(serde_json::from_value(definition)?)
}

/// The definition as the file that is under version control.
pub fn yaml() -> Result<String, CrdError> {
    let body = serde_yaml::to_string(&definition()?)?;
    Ok(format!("# Generated from operator/src/api.rs by `make generate`; do not edit.\n{body}"))
}

/// The schema of one Storefront object (OpenAPI v3, as in the definition). Made once: the types are many.
pub(crate) fn schema() -> Result<&'static Value, CrdError> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    if let Some(schema) = SCHEMA.get() {
        return Ok(schema);
    }
    let mut definition = serde_json::to_value(definition()?)?;
    let schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
    Ok(SCHEMA.get_or_init(|| schema))
}

/// Drops `nullable`: without it the API server reads `kafka:` with nothing behind it as absent, and
/// a rule's `has(self.kafka)` means what people think. Bounds numbers, which the API server does not do
/// by their format: one that we cannot hold would stop the watch of all Storefronts.
fn simplify(node: &mut Value) {
    match node {
        Value::Object(fields) => {
            let has_rules = fields.contains_key("x-kubernetes-validations");
            if fields.get("format") == Some(&Value::from("int32")) && !has_rules {
                fields.insert("minimum".into(), i32::MIN.into());
                fields.insert("maximum".into(), i32::MAX.into());
            }
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
                if let Some(Value::Array(allowed)) = fields.get_mut("enum") {
                    allowed.retain(|value| !value.is_null());
                }
            }
            fields.values_mut().for_each(simplify);
        }
        Value::Array(entries) => entries.iter_mut().for_each(simplify),
        _ => {}
    }
}
