//! The compose file: in step with the demo shop, read by Docker Compose's own loader, and full of settings
//! that the services take.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use serde_json::Value;
use storefront_contract::ServiceId;
use storefront_operator::plan::ServiceSettings;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn rendered(manifest: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(["render", &format!("{ROOT}/{manifest}"), "--compose", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What Docker Compose's loader makes of a file: the names of its services, or what is wrong.
fn loaded(text: &str) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("compose.yaml");
    fs::write(&file, text).unwrap();
    let output = Command::new("go")
        .args(["run", "."])
        .arg(&file)
        .current_dir(format!("{ROOT}/tests/compose"))
        .output()
        .expect("Go is needed, as for the embedded broker");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout).lines().map(str::to_owned).collect())
    } else {
        Err(text(output.stderr))
    }
}

#[test]
fn the_example_is_in_step() {
    let kept = fs::read_to_string(format!("{ROOT}/examples/compose.yaml")).unwrap_or_default();
    assert!(kept == rendered("examples/demo.yaml"), "it is not in step: run `make generate`");
}

#[test]
fn compose_takes_every_kind_of_shop() {
    let names = loaded(&rendered("examples/demo.yaml")).unwrap();
    let all = [
        "analytics",
        "database",
        "email",
        "gateway",
        "inbox",
        "kafka",
        "kafka-ui",
        "order",
        "payment",
        "sandbox",
        "topics",
    ];
    assert_eq!(names, all);
    // Stripe, brokers and a mail server of somebody else: their keys are files beside it.
    let live = rendered("operator/tests/cases/live.yaml");
    let names = loaded(&live).unwrap();
    assert!(!names.contains(&"sandbox".into()) && !names.contains(&"inbox".into()), "{names:?}");
    assert!(live.contains("${STOREFRONT_SECRETS:-./secrets}/stripe/api-key"), "{live}");
}

#[test]
fn compose_refuses_what_is_broken() {
    let right = rendered("examples/demo.yaml");
    for (from, to, word) in [
        ("service_healthy", "service_happy", "depends_on"),
        ("read_only: true", "read_only: [yes]", "read_only"),
        ("source: catalog", "source: catalogue", "catalogue"),
    ] {
        assert!(right.contains(from), "{from}");
        let error = loaded(&right.replace(from, to)).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn services_read_their_environment() {
    let document: Value = serde_yaml::from_str(&rendered("examples/demo.yaml")).unwrap();
    for id in ServiceId::ALL {
        let environment = document["services"][id.name()]["environment"].as_object().unwrap();
        let variables: BTreeMap<String, String> = environment
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().replace("$$", "$")))
            .collect();
        let settings = ServiceSettings::read(id, &variables).unwrap();
        assert_eq!(settings.write(), variables, "{id}");
    }
}
