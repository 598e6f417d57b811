//! The file under version control is what the types say, and its rules stay within the API
//! server's limits.

use std::{fs, path::Path};

use serde_json::Value;
use storefront_operator::crd;

#[test]
fn the_file_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/storefront.yaml");
    let expected = crd::yaml().unwrap();
    assert!(
        fs::read_to_string(&path).unwrap() == expected,
        "{} differs from operator/src/api.rs: run `make generate`",
        path.display()
    );
    // `kubectl apply` keeps a copy, as JSON, in an annotation of at most 256 KiB.
    let copy = serde_json::to_string(&crd::definition().unwrap()).unwrap();
    assert!(copy.len() < 200_000, "{} bytes", copy.len());
}

/// Every list, map and text has a bound: the API server multiplies by them when it estimates what a
/// rule costs, and refuses the definition when that is too much.
#[test]
fn everything_is_bounded_and_documented() {
    let definition = serde_json::to_value(crd::definition().unwrap()).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut faults = Vec::new();
    walk(&schema["properties"]["spec"], "spec", &mut faults);
    walk(&schema["properties"]["status"], "status", &mut faults);
    assert_eq!(faults, Vec::<String>::new());
}

fn walk(node: &Value, path: &str, faults: &mut Vec<String>) {
    let mut need = |condition: bool, what: &str| {
        if !condition {
            faults.push(format!("{path}: {what}"));
        }
    };
    need(node.get("nullable").is_none(), "is nullable");
    need(node.get("pattern").is_none(), "has a pattern, whose message nobody understands");
    need(path.ends_with("[]") || node["description"].is_string(), "has no description");
    match node["type"].as_str() {
        Some("array") => need(node["maxItems"].is_u64(), "is a list without a bound"),
        Some("string") => {
            need(
                node["maxLength"].is_u64() || node["enum"].is_array(),
                "is a text without a bound",
            );
        }
        Some("object") if node["additionalProperties"].is_object() => {
            need(node["maxProperties"].is_u64(), "is a map without a bound");
        }
        _ => {}
    }
    for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
        need(rule["message"].is_string(), "has a rule without a message");
    }
    for (name, child) in node["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), faults);
    }
    if node["items"].is_object() {
        walk(&node["items"], &format!("{path}[]"), faults);
    }
}
