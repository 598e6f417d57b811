//! Evaluates the CEL rules as the API server does, with the same messages: on creation every rule but the
//! transition rules, and those, too, for an edit.

use kube::core::cel::{ErrorKind, RootContext, Validator};
use serde_json::Value;

use super::{finding::Finding, schema};
use crate::api::{API_VERSION, KIND};

/// Every rule that does not hold, but for those over fields whose shape is wrong already.
pub(super) fn check(schema: &Value, object: &Value, shape: &[Finding]) -> Vec<Finding> {
    let object = &schema::within_limits(schema, object);
    let failures = Validator::new().validate_with_context(schema, object, None, Some(&root()));
    failures
        .err()
        .into_iter()
        .flatten()
        .filter(|failure| {
            // A rule that cannot even be evaluated stumbles over a wrong shape.
            shape.is_empty()
                || (failure.kind == ErrorKind::ValidationFailure
                    && shape.iter().all(|wrong| wrong.leaves(&failure.rule, &failure.field_path)))
        })
        .map(|failure| Finding::about(object, &failure.field_path, &failure.message))
        .collect()
}

/// Every rule that does not hold for an edit of an object, both of which are right by themselves.
pub(super) fn check_edit(schema: &Value, before: &Value, after: &Value) -> Vec<Finding> {
    let failures =
        Validator::new().validate_with_context(schema, after, Some(before), Some(&root()));
    let failures = failures.err().into_iter().flatten();
    failures.map(|failure| Finding::about(after, &failure.field_path, &failure.message)).collect()
}

fn root() -> RootContext {
    let (group, _) = API_VERSION.split_once('/').unwrap_or((API_VERSION, ""));
    RootContext { api_version: API_VERSION.into(), api_group: group.into(), kind: KIND.into() }
}
