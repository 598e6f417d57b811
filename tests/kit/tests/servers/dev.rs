//! `storefront dev` as a child, here played by a script.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use storefront_testkit::{Dev, DevOptions};

/// Says what `storefront dev` says.
const SCRIPT: &str = r#"#!/bin/sh
echo "starting with $*" >&2
case "$*" in *--refuse*) echo "spec.currency: unknown" >&2; exit 2;; esac
trap 'exit 0' TERM
mkdir -p "${6}"
echo started >>"${6}/starts"
echo 'not the line'
echo "{\"ready\": true, \"gateway\": \"127.0.0.1:28080\", \"kafka\": \"127.0.0.1:29092\", \"sandbox\": \
\"http://127.0.0.1:22111/\", \"inbox\": \"x\", \"console\": \"c\", \"smtp\": \"smtp://y\", \
\"services\": {\"order\": 1}}"
case "$*" in *--crash*) exit 3;; esac
while :; do sleep 1 & wait $!; done
"#;

fn program(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("storefront");
    fs::write(&path, SCRIPT).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn it_is_started_killed_and_comes_back_with_the_same_ports_and_data() {
    let folder = tempfile::tempdir().unwrap();
    let options = DevOptions::new("apiVersion: storefront.dev/v1alpha1").with(&["--without", "x"]);
    let mut dev = Dev::start_program(program(&folder), options).await.unwrap();
    assert_eq!(dev.url("/catalog"), "http://127.0.0.1:28080/catalog");
    assert_eq!(dev.ready().sandbox, "http://127.0.0.1:22111");
    assert_eq!(dev.ready().smtp, "y");
    assert_eq!(dev.ready().services["order"], 1);
    // Free ports, out of the way of outgoing connections.
    let log = dev.log();
    let (_, rest) = log.split_once("--console-listen 127.0.0.1:").unwrap();
    let (port, rest) = rest.split_once(' ').unwrap();
    assert!((20_000..32_000).contains(&port.parse().unwrap()), "{log}");
    assert!(rest.starts_with("--without x"), "{log}");

    dev.kill().unwrap();
    assert!(dev.process_id().is_err());
    dev.options.arguments.clear();
    dev.restart().await.unwrap();
    assert_eq!(fs::read_to_string(dev.data().join("starts")).unwrap(), "started\nstarted\n");
    let said = "--listen 127.0.0.1:28080 --kafka-listen 127.0.0.1:29092";
    assert!(dev.log().contains(said), "{}", dev.log());
    dev.stop_by("TERM").await.unwrap();
}

#[tokio::test]
async fn how_it_ends_by_itself_is_told_and_it_can_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(20);
    let options = DevOptions::new("shop.yaml").with(&["--crash"]);
    let mut dev = Dev::start_program(program(&folder), options).await.unwrap();
    assert_eq!(dev.ended(limit).await.unwrap().code(), Some(3));
    dev.options.arguments.clear();
    dev.restart().await.unwrap();
    let error = dev.ended(Duration::ZERO).await.err().unwrap();
    assert!(error.to_string().contains("still runs"), "{error}");
}

#[tokio::test]
async fn what_it_says_is_in_the_error_when_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = DevOptions::new("shop.yaml").with(&["--refuse"]);
    let error = Dev::start_program(program(&folder), options).await.err().unwrap();
    assert!(format!("{error:#}").contains("spec.currency: unknown"), "{error:#}");
}
