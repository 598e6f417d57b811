//! Evaluates the CEL rules as the API server does on creation: every rule but the transition rules,
//! with the same message.

use kube::core::cel::{RootContext, Validator};
use serde_json::Value;

use super::schema::Finding;
use crate::api::{API_VERSION, KIND};

/// Every rule that does not hold. The object's shape has been checked before.
pub(super) fn check(schema: &Value, object: &Value) -> Vec<Finding> {
    let (group, _) = API_VERSION.split_once('/').unwrap_or((API_VERSION, ""));
    let root =
        RootContext { api_version: API_VERSION.into(), api_group: group.into(), kind: KIND.into() };
    let failures = Validator::new().validate_with_context(schema, object, None, Some(&root));
    failures
        .err()
        .into_iter()
        .flatten()
        .map(|failure| Finding::about(object, &failure.field_path, &failure.message))
        .collect()
}
