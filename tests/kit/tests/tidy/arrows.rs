//! contract <- runtime <- services; contract <- operator; only `storefront` sees all, and what tries all of it.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

/// One dependency between two crates of the workspace.
struct Arrow {
    from: String,
    to: String,
    only_for_tests: bool,
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> impl Iterator<Item = (&str, &Value)> {
    metadata["packages"].as_array().unwrap().iter().map(|it| (it["name"].as_str().unwrap(), it))
}

fn arrows(metadata: &Value) -> Vec<Arrow> {
    let ours: BTreeSet<&str> = packages(metadata).map(|(name, _)| name).collect();
    let mut arrows = Vec::new();
    for (from, package) in packages(metadata) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            if ours.contains(to) && to != from {
                let only_for_tests = dependency["kind"] == "dev";
                arrows.push(Arrow { from: from.into(), to: to.into(), only_for_tests });
            }
        }
    }
    arrows
}

/// What a crate may see of the others. A crate that is not named is a service.
fn may_see(from: &str) -> Option<&'static [&'static str]> {
    match from {
        "storefront" | "storefront-properties" => None, // all
        "storefront-contract" | "storefront-broker" => Some(&[]),
        "storefront-telemetry" | "storefront-inspect" | "storefront-testkit" => {
            Some(&["storefront-contract"])
        }
        "storefront-runtime" => Some(&["storefront-contract", "storefront-telemetry"]),
        "storefront-operator" => {
            Some(&["storefront-contract", "storefront-inspect", "storefront-telemetry"])
        }
        "storefront-console" => {
            Some(&["storefront-contract", "storefront-inspect", "storefront-runtime"])
        }
        "storefront-e2e-tests" => Some(&["storefront-contract", "storefront-testkit"]),
        // The runtime for its lists of failpoints and guards, and for a floor that stands on its database.
        "storefront-bench" | "storefront-chaos" | "storefront-pipeline-tests" => {
            Some(&["storefront-contract", "storefront-runtime", "storefront-testkit"])
        }
        _ => Some(&["storefront-contract", "storefront-runtime"]),
    }
}

/// What tests may use beside that: stand-ins, not the other services.
const FOR_TESTS: [&str; 3] = ["storefront-broker", "storefront-sandbox", "storefront-testkit"];

fn is_allowed(Arrow { from, to, only_for_tests }: &Arrow) -> bool {
    may_see(from).is_none_or(|seen| seen.contains(&to.as_str()))
        || (*only_for_tests && FOR_TESTS.contains(&to.as_str()))
}

#[test]
fn dependencies_follow_the_arrows() {
    let metadata = metadata();
    let wrong: Vec<String> = arrows(&metadata)
        .into_iter()
        .filter(|arrow| !is_allowed(arrow))
        .map(|arrow| format!("{} must not depend on {}", arrow.from, arrow.to))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_contract_does_no_input_or_output() {
    let metadata = metadata();
    let (_, contract) =
        packages(&metadata).find(|(name, _)| *name == "storefront-contract").unwrap();
    for dependency in contract["dependencies"].as_array().unwrap() {
        let name = dependency["name"].as_str().unwrap();
        let io = ["axum", "hyper", "k8s-openapi", "kube", "rdkafka", "sqlx", "tokio"];
        assert!(!io.contains(&name), "the contract must not depend on {name}");
    }
}
