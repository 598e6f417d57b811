//! What people develop and release with: the Tiltfile, run in Tilt's interpreter with Tilt's functions played; the
//! configuration of kind, read by kind's own loader; scripts, with Docker and others played. What they name has
//! to be there: services, parts, ports, commands and their flags.
#![expect(clippy::unwrap_used, reason = "helpers of tests, too")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, OnceLock},
};

use serde::Deserialize;
use serde_json::Value;
use storefront_contract::ServiceId;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Both readers, built once.
fn reader(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("development");
        fs::create_dir_all(&folder).unwrap();
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(format!("{}/", folder.display()))
            .arg("./...")
            .current_dir(format!("{ROOT}/tests/development"))
            .status()
            .expect("Go is needed, as for the embedded broker");
        assert!(built.success());
        folder
    });
    folder.join(name)
}

/// What a program printed, or what it said is wrong.
fn printed(output: &Output) -> Result<String, String> {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// What a Tiltfile asks for.
fn evaluated(text: &str, settings: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Tiltfile");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(reader("tiltfile"));
    command.arg(file).arg(storefront_testkit::helm_program().unwrap()).arg(settings);
    printed(&command.current_dir(ROOT).env_remove("CARGO_TARGET_DIR").output().unwrap())
}

#[derive(Deserialize)]
struct Found {
    images: Vec<Named>,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    delete: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    port_forwards: Vec<PortForward>,
    #[serde(default)]
    buttons: Vec<Button>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortForward {
    container_port: u64,
}

#[derive(Deserialize)]
struct Button {
    command: Vec<String>,
    #[serde(default)]
    inputs: Vec<String>,
}

/// Runs a Tiltfile, and compares what it names with what there is.
fn check(text: &str) -> Result<(), String> {
    let found: Found = serde_json::from_str(&evaluated(text, "{}")?).unwrap();
    let expected = programs();
    let built: BTreeSet<String> =
        found.images.iter().map(|it| it.name.replace("ghcr.io/storefront-dev/", "")).collect();
    if built != expected {
        return Err(format!("images of {built:?}, and not of {expected:?}"));
    }
    for it in &found.resources {
        if !it.delete.is_empty() {
            part_is_there(it)?;
        }
        scripts_are_there(&it.command)?;
        if it.name == "lag" {
            flags_are_known(&it.arguments)?;
        }
        for button in &it.buttons {
            works(button)?;
        }
    }
    Ok(())
}

/// Every program that has an image.
fn programs() -> BTreeSet<String> {
    let services = ServiceId::ALL.map(|id| format!("storefront-{id}"));
    let others = ["storefront", "storefront-operator", "storefront-sandbox"].map(str::to_owned);
    services.into_iter().chain(others).collect()
}

/// What the operator makes of the demo shop.
fn rendered() -> &'static [Value] {
    static OBJECTS: OnceLock<Vec<Value>> = OnceLock::new();
    OBJECTS.get_or_init(|| {
        let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args(["render", &format!("{ROOT}/examples/demo.yaml")])
            .output()
            .unwrap();
        let text = printed(&output).unwrap();
        serde_yaml::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).unwrap())
            .collect()
    })
}

/// A part is looked at in the cluster: `kubectl get deployment/demo-order`, and its ports.
fn part_is_there(it: &Resource) -> Result<(), String> {
    let script = it.command.last().unwrap();
    let (kind, name) = script.rsplit(' ').next().unwrap().split_once('/').unwrap();
    let object = rendered()
        .iter()
        .find(|object| {
            object["metadata"]["name"] == name
                && object["kind"].as_str().unwrap().eq_ignore_ascii_case(kind)
        })
        .ok_or_else(|| format!("the operator makes no {kind} {name}"))?;
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let ports = containers.iter().flat_map(|it| it["ports"].as_array().unwrap());
    let ports: Vec<u64> = ports.map(|port| port["containerPort"].as_u64().unwrap()).collect();
    match it.port_forwards.iter().find(|forward| !ports.contains(&forward.container_port)) {
        Some(forward) => Err(format!("{name} has no port {}", forward.container_port)),
        None => Ok(()),
    }
}

fn scripts_are_there(command: &[String]) -> Result<(), String> {
    let words = command.iter().flat_map(|text| text.split(' '));
    let mut scripts = words.filter(|word| word.starts_with("images/"));
    match scripts.find(|script| !Path::new(ROOT).join(script).is_file()) {
        Some(script) => Err(format!("there is no {script}")),
        None => Ok(()),
    }
}

/// A button's command is this program's, with what is written into its fields.
fn works(button: &Button) -> Result<(), String> {
    let mut line = button.command.join(" ");
    for input in &button.inputs {
        line = line.replace(&format!("\"${input}\""), "1");
    }
    if let Some(at) = line.find('$') {
        return Err(format!("nobody fills in {}", &line[at..]));
    }
    let own = line.rsplit_once("storefront ").map(|(_, own)| own);
    let own = own.ok_or_else(|| format!("{line} is no command of storefront"))?;
    flags_are_known(&own.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

fn flags_are_known(words: &[String]) -> Result<(), String> {
    // Most lines are the same in every Tiltfile that is tried.
    static RIGHT: Mutex<BTreeSet<Vec<String>>> = Mutex::new(BTreeSet::new());
    if RIGHT.lock().unwrap().contains(words) {
        return Ok(());
    }
    let output = Command::new(env!("CARGO_BIN_EXE_storefront")).args(words).arg("--help").output();
    printed(&output.unwrap())?;
    RIGHT.lock().unwrap().insert(words.to_vec());
    Ok(())
}

fn tiltfile() -> String {
    fs::read_to_string(format!("{ROOT}/Tiltfile")).unwrap()
}

#[test]
fn tilt_is_asked_for_this() {
    check(&tiltfile()).unwrap();
    let found = evaluated(&tiltfile(), "{}").unwrap();
    let mut found: Value = serde_json::from_str(&found).unwrap();
    // The chart's own objects are seen in its own tests.
    let first = found.as_object_mut().unwrap().remove("first").unwrap();
    let first: BTreeSet<String> = serde_json::from_value(first).unwrap();
    for object in ["namespace/storefront", "customresourcedefinition/storefronts.storefront.dev"] {
        assert!(first.contains(object), "{object} is not applied before what needs it: {first:?}");
    }
    for it in found["resources"].as_array_mut().unwrap() {
        it.as_object_mut().unwrap().remove("arguments");
    }
    insta::assert_snapshot!(serde_yaml::to_string(&found).unwrap());
}

#[test]
fn another_cluster_has_to_be_named() {
    let found = evaluated(
        &tiltfile(),
        r#"{"allow-context": ["dev"], "registry": "registry.example.com/me"}"#,
    );
    let found: Value = serde_json::from_str(&found.unwrap()).unwrap();
    assert_eq!(found["allowedContexts"], serde_json::json!(["dev"]));
    assert_eq!(found["registry"], "registry.example.com/me");
    let error = evaluated(&tiltfile(), r#"{"context": "dev"}"#).unwrap_err();
    assert!(error.contains("unknown flag: --context"), "{error}");
}

#[test]
fn a_mistake_in_the_tiltfile_is_found() {
    let right = tiltfile();
    for (from, to, words) in [
        ("docker_build(", "docker_biuld(", "undefined: docker_biuld"),
        ("pod_readiness=", "pod_ready=", "unexpected keyword argument"),
        ("pod_readiness='ignore'", "pod_readiness='ignored'", "want one of"),
        (".keys())\n", ".keys())[1:]\n", "and not of"),
        ("'charts/storefront-operator'", "'charts/storefront'", "no such file"),
        ("'rust-toolchain.toml'", "'rust-toolchain'", "no such file"),
        ("'images/Containerfile'", "'images/Dockerfile'", "no such file"),
        ("images/roots", "images/root-folders", "there is no images/root-folders"),
        ("'PROGRAM': program", "'PROGRAMM': program", "has no ARG PROGRAMM"),
        ("compile('programs'", "compile('build'", "needs programs, which is no resource"),
        ("resource='gateway'", "resource='gate'", "there is no resource gate"),
        ("'{.spec.images.sandbox}'", "'{.spec.image.sandbox}'", "nothing is at"),
        ("service: {'image': image", "service: {'images': image", "nothing is at"),
        ("part('database', kind='statefulset')", "part('database')", "no deployment demo-database"),
        ("port_forward(8080, 8080", "port_forward(8080, 8081", "demo-gateway has no port 8081"),
        ("port_forward(8025, 8025", "port_forward(8080, 8025", "both want port 8080"),
        ("--count", "--cont", "unexpected argument '--cont'"),
        ("'replay', '--all'", "'replay', '--every'", "unexpected argument '--every'"),
        ("'--watch=10s'", "'--watch=soon'", "invalid value 'soon'"),
        ("text_input('CARTS'", "text_input('COUNT'", "nobody fills in"),
    ] {
        assert!(right.contains(from), "{from}");
        let error = check(&right.replace(from, to)).expect_err(to);
        assert!(error.contains(words), "{to}: {error}");
    }
}

/// What kind would start for a configuration.
fn started(text: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kind.yaml");
    fs::write(&file, text).unwrap();
    printed(&Command::new(reader("kind")).arg(file).output().unwrap())
}

#[test]
fn kind_starts_the_kubernetes_that_the_tests_use() {
    let right = fs::read_to_string(format!("{ROOT}/kind-config.yaml")).unwrap();
    let node = started(&right).unwrap();
    let modules = fs::read_to_string(format!("{ROOT}/tests/cluster/tools/go.mod")).unwrap();
    let version = modules.lines().find_map(|it| it.strip_prefix("require k8s.io/kubernetes v"));
    let (minor, _) = version.unwrap().rsplit_once('.').unwrap();
    let image = format!("storefront-control-plane kindest/node:v{minor}.");
    assert!(node.starts_with(&image) && node.contains("@sha256:"), "{node}");
    let registries = r#"{"registry":{"config_path":"/etc/containerd/certs.d"}}"#;
    let plugin =
        format!(r#"containerd {{"plugins":{{"io.containerd.grpc.v1.cri":{registries}}}}}"#);
    assert!(node.lines().any(|line| line == plugin), "{node}");
    for (from, to, words) in [
        ("role:", "rule:", "field rule not found"),
        ("control-plane", "control", "\"control\" is not a valid node role"),
        ("v1alpha4", "v1alpha5", "unknown apiVersion"),
        ("config_path =", "config_path", "containerdConfigPatches"),
    ] {
        assert!(right.contains(from), "{from}");
        let error = started(&right.replace(from, to)).expect_err(to);
        assert!(error.contains(words), "{to}: {error}");
    }
}

/// Notes what it is told, with what is written to it, in the place of a program.
const PLAYED: &str = r#"#!/usr/bin/env bash
echo "${0##*/} $*" >> "$RECORD"
case "${0##*/} $*" in
  "kind get nodes"*) echo storefront-control-plane ;;
  "docker inspect --format {{.State"* | "docker start"*) exit 1 ;;
  *"--filename -" | *" /dev/stdin "*) cat >> "$RECORD" ;;
esac
"#;

#[test]
fn a_registry_stands_beside_the_cluster() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["docker", "kind", "kubectl"] {
        let file = folder.path().join(name);
        fs::write(&file, PLAYED).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let record = folder.path().join("record");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let output = Command::new(format!("{ROOT}/tests/cluster/kind"))
        .env("PATH", path)
        .env("RECORD", &record)
        .output()
        .unwrap();
    printed(&output).unwrap();
    insta::assert_snapshot!(fs::read_to_string(record).unwrap());
}

/// Asks what would be released.
fn planned(tag: &str) -> Result<String, String> {
    printed(&Command::new(format!("{ROOT}/.github/release-plan")).arg(tag).output().unwrap())
}

#[test]
fn a_release_has_every_program_and_one_version() {
    let plan = planned("").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let listed = plan.strip_prefix(&format!("version={version}\nprograms=")).unwrap();
    assert_eq!(serde_json::from_str::<BTreeSet<String>>(listed).unwrap(), programs());
    let error = planned("v99.0.0").unwrap_err();
    assert!(error.contains(&format!("the tag says 99.0.0, Cargo.toml says {version}")), "{error}");
}

#[test]
fn images_are_built_by_the_compiler_of_the_workspace() {
    let toolchain = fs::read_to_string(format!("{ROOT}/rust-toolchain.toml")).unwrap();
    let version = toolchain.split('"').nth(1).unwrap();
    let recipe = fs::read_to_string(format!("{ROOT}/images/Containerfile")).unwrap();
    assert!(recipe.contains(&format!("library/rust:{version}-bookworm")), "{version}");
    assert!(recipe.contains(&format!("RUSTUP_TOOLCHAIN={version}\n")), "{version}");
}
