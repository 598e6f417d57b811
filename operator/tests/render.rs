//! Everything that the operator creates: one manifest a case, one reviewed snapshot each of the whole
//! stream; and what holds for every pod, whatever the manifest says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde::Deserialize;
use serde_json::{Value, json};
use storefront_operator::{
    Storefront, manifest,
    plan::{Placement, Plan, plan},
    render::{Apis, Generated, Input, Object, Options, render, yaml},
};

struct Case {
    storefront: Storefront,
    placement: Placement,
    plan: Plan,
}

fn load(path: &Path) -> Case {
    let text = fs::read_to_string(path).unwrap();
    let file = path.file_name().unwrap().to_string_lossy();
    let manifest = manifest::load(&file, &text).unwrap_or_else(|error| panic!("{error}"));
    let mut storefront = manifest.storefront;
    storefront.metadata.uid = Some("6e1f7a52-0000-4000-8000-000000000000".into());
    let namespace = storefront.metadata.namespace.clone().unwrap_or_else(|| "default".into());
    let placement = Placement::cluster(&storefront, &namespace).unwrap();
    let plan = plan(&storefront, &placement).unwrap_or_else(|error| panic!("{file}: {error}"));
    Case { storefront, placement, plan }
}

fn options() -> Options {
    Options {
        tag: "1.2.3".into(),
        namespace: Some("storefront-system".into()),
        ..Options::default()
    }
}

fn objects(case: &Case) -> Vec<Object> {
    objects_with(case, &options(), &Generated::placeholders(), &Apis::all())
}

fn objects_with(case: &Case, options: &Options, generated: &Generated, apis: &Apis) -> Vec<Object> {
    let Case { storefront, placement, plan } = case;
    render(&Input { storefront, plan, placement, options, generated, apis })
}

/// Every case, loaded once: the rules are evaluated, which takes its time.
static CASES: LazyLock<BTreeMap<String, Case>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| (path.file_stem().unwrap().to_string_lossy().into(), load(&path));
    paths.map(named).collect()
});

/// What is no object: the topics, and what people are told.
fn header(plan: &Plan) -> String {
    let topics = plan.topics.iter().map(|topic| {
        let (partitions, copies) = (topic.partitions, topic.replication_factor);
        let config: Vec<_> =
            topic.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let config = config.join(" ");
        format!("# topic {}: {partitions} partitions, {copies} copies, {config}\n", topic.name)
    });
    let notes = plan.notes.iter().map(|note| format!("# note {note}\n"));
    topics.chain(notes).collect()
}

/// The stream that people get, without what every object has: labels, namespace and owner are tested
/// below, and would be half of each snapshot.
fn shown(name: &str, objects: &[Object]) -> String {
    let text = yaml(objects).unwrap();
    if name == "minimal" {
        return text;
    }
    let mut shown = String::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let mut object = serde_yaml::Value::deserialize(document).unwrap();
        let metadata = object["metadata"].as_mapping_mut().unwrap();
        for same in ["labels", "namespace", "ownerReferences"] {
            metadata.remove(same);
        }
        if let Some(template) = object["spec"]["template"]["metadata"].as_mapping_mut() {
            let labels = template["labels"].as_mapping_mut().unwrap();
            labels.retain(|key, _| !key.as_str().unwrap().starts_with("app.kubernetes.io/"));
        }
        shown.push_str("---\n");
        shown.push_str(&serde_yaml::to_string(&object).unwrap());
    }
    shown
}

#[test]
fn what_a_manifest_becomes_in_a_cluster() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::glob!("cases/*.yaml", |path| {
            let name = path.file_stem().unwrap().to_string_lossy();
            let case = &CASES[&*name];
            let shown = shown(&name, &objects(case));
            insta::assert_snapshot!(format!("{}{shown}", header(&case.plan)));
        });
    });
}

/// Every pod of an object that makes pods, with the object's name.
fn pods(objects: &[Object]) -> Vec<(String, PodSpec)> {
    let pod = |object: &Object| {
        let template = match object {
            Object::Deployment(deployment) => &deployment.spec.as_ref()?.template,
            Object::StatefulSet(set) => &set.spec.as_ref()?.template,
            _ => return None,
        };
        Some((object.name().to_owned(), template.spec.clone()?))
    };
    objects.iter().filter_map(pod).collect()
}

fn containers(pod: &PodSpec) -> impl Iterator<Item = &Container> {
    pod.containers.iter().chain(pod.init_containers.iter().flatten())
}

/// The rules of the standard, one by one:
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
#[test]
fn every_pod_meets_the_restricted_standard() {
    for (name, case) in &*CASES {
        for (pod_name, pod) in pods(&objects(case)) {
            let at = format!("{name}: {pod_name}");
            for shared in [pod.host_network, pod.host_pid, pod.host_ipc] {
                assert_ne!(shared, Some(true), "{at}");
            }
            let security = pod.security_context.clone().unwrap();
            assert_eq!(security.run_as_non_root, Some(true), "{at}");
            assert!(security.run_as_user.is_some_and(|user| user > 0), "{at}");
            assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault", "{at}");
            assert_eq!((security.sysctls, security.se_linux_options), (None, None), "{at}");
            assert_eq!(
                (security.app_armor_profile, security.windows_options),
                (None, None),
                "{at}"
            );
            for volume in pod.volumes.iter().flatten() {
                let sources = serde_json::to_value(volume).unwrap();
                let allowed = ["name", "projected", "emptyDir"];
                let used: Vec<_> = sources.as_object().unwrap().keys().collect();
                assert!(used.iter().all(|key| allowed.contains(&key.as_str())), "{at}: {used:?}");
            }
            for container in containers(&pod) {
                let security = container.security_context.clone().unwrap();
                assert_eq!(security.allow_privilege_escalation, Some(false), "{at}");
                let capabilities = security.capabilities.unwrap();
                assert_eq!((capabilities.drop, capabilities.add), (Some(vec!["ALL".into()]), None));
                assert_eq!((security.privileged, security.proc_mount), (None, None), "{at}");
                assert_eq!((security.run_as_user, security.run_as_non_root), (None, None), "{at}");
                assert_eq!((security.seccomp_profile, security.se_linux_options), (None, None));
                let ports = container.ports.iter().flatten();
                assert!(ports.clone().all(|port| port.host_port.is_none()), "{at}");
            }
        }
    }
}

#[test]
fn every_pod_is_small_and_closed_and_watched() {
    for (name, case) in &*CASES {
        for (pod_name, pod) in pods(&objects(case)) {
            let at = format!("{name}: {pod_name}");
            assert_eq!(pod.automount_service_account_token, Some(false), "{at}");
            assert_eq!(pod.service_account_name.as_deref(), Some(pod_name.as_str()), "{at}");
            assert!(pod.termination_grace_period_seconds >= Some(30), "{at}");
            assert!(!pod.topology_spread_constraints.unwrap_or_default().is_empty(), "{at}");
            for container in &pod.containers {
                assert!(container.liveness_probe.is_some(), "{at}");
                assert!(container.readiness_probe.is_some(), "{at}");
                // Servers recover before they answer; programs of our own answer first.
                let server = ["kafka", "postgres"].contains(&container.name.as_str());
                assert_eq!(container.startup_probe.is_some(), server, "{at}");
            }
            for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
                let security = container.security_context.as_ref().unwrap();
                assert_eq!(security.read_only_root_filesystem, Some(true), "{at}");
                let resources = container.resources.clone().unwrap();
                let (requests, limits) = (resources.requests.unwrap(), resources.limits.unwrap());
                assert!(requests.contains_key("cpu") && requests.contains_key("memory"), "{at}");
                assert!(limits.contains_key("memory"), "{at}");
                // The node's own disk.
                let disk = "ephemeral-storage";
                assert!(requests.contains_key(disk) && limits.contains_key(disk), "{at}");
            }
            for volume in pod.volumes.iter().flatten() {
                let limit = volume.empty_dir.as_ref().map(|empty| empty.size_limit.is_some());
                assert_ne!(limit, Some(false), "{at}: {} has no limit", volume.name);
            }
        }
    }
}

/// Secrets are files. A variable can be read by everybody who may look at a pod.
#[test]
fn no_secret_is_a_variable_or_in_a_config_map() {
    let secret = |what: &str| format!("sk_test_never-shown-{what}");
    let generated = Generated {
        kafka_cluster_id: "never-shown-id".into(),
        database_password: "never-shown-password".into(),
        sandbox_api_key: secret("key"),
        sandbox_webhook_secret: secret("webhook"),
        kafka_credentials: Some("a-hash".into()),
    };
    for (name, case) in &*CASES {
        let objects = objects_with(case, &options(), &generated, &Apis::all());
        for object in &objects {
            let text = serde_json::to_string(object).unwrap();
            // A Secret's data is in base64.
            assert!(!text.contains("never-shown"), "{name}: {}", object.name());
        }
        for (name, pod) in pods(&objects) {
            for container in containers(&pod) {
                for variable in container.env.iter().flatten() {
                    let from = variable.value_from.as_ref();
                    assert!(from.is_none_or(|f| f.secret_key_ref.is_none()), "{name}");
                }
                let sources = container.env_from.iter().flatten();
                assert!(sources.clone().all(|source| source.secret_ref.is_none()), "{name}");
            }
        }
    }
}

#[test]
fn names_are_unique_and_short_and_owned() {
    for (name, case) in &*CASES {
        let mut seen = BTreeSet::new();
        for object in objects(case) {
            let at = format!("{name}: {} {}", object.kind(), object.name());
            assert!(seen.insert((object.kind().to_owned(), object.name().to_owned())), "{at}");
            // What others look up in labels and in DNS has at most 63 characters.
            assert!(object.kind() == "KafkaTopic" || object.name().len() <= 52, "{at}");
            let owned = object.metadata().owner_references.is_some();
            assert_eq!(owned, !object.is_retained(), "{at}");
            let labels = object.metadata().labels.clone().unwrap();
            for label in ["name", "instance", "component", "part-of", "managed-by"] {
                assert!(labels.contains_key(&format!("app.kubernetes.io/{label}")), "{at}");
            }
        }
    }
}

/// Each policy selects pods that are there, and each edge leads to a part that lets it in.
#[test]
fn every_edge_has_two_ends() {
    for (name, case) in &*CASES {
        let policies: BTreeMap<_, _> = objects(case)
            .into_iter()
            .filter_map(|object| match object {
                Object::NetworkPolicy(policy) => policy.spec,
                _ => None,
            })
            .map(|spec| (spec.pod_selector.clone().unwrap().match_labels.unwrap(), spec))
            .collect();
        for (from, policy) in &policies {
            for rule in policy.egress.iter().flatten() {
                for peer in rule.to.iter().flatten() {
                    let Some(to) = peer.pod_selector.as_ref().and_then(|s| s.match_labels.clone())
                    else {
                        continue;
                    };
                    let Some(other) = policies.get(&to) else {
                        assert!(to.contains_key("strimzi.io/cluster"), "{name}: {to:?}");
                        continue;
                    };
                    let wanted = rule.ports.clone().unwrap();
                    let lets_in = other.ingress.iter().flatten().any(|rule| {
                        let everybody = rule.from.is_none();
                        let named = rule.from.iter().flatten().any(|peer| {
                            peer.pod_selector.as_ref().and_then(|s| s.match_labels.as_ref())
                                == Some(from)
                        });
                        let ports = rule.ports.clone().unwrap();
                        (everybody || named) && wanted.iter().all(|port| ports.contains(port))
                    });
                    assert!(lets_in, "{name}: {from:?} -> {to:?}");
                }
            }
        }
    }
}

/// Whoever may create pods somewhere can give them the operator's label.
#[test]
fn the_operator_reaches_brokers_from_its_own_namespace_only() {
    let operators = |namespace: Option<&str>| -> Vec<Value> {
        let options = Options { namespace: namespace.map(str::to_owned), ..options() };
        let (generated, apis) = (Generated::placeholders(), Apis::all());
        let objects = objects_with(&CASES["minimal"], &options, &generated, &apis);
        let policies = objects.into_iter().filter_map(|object| match object {
            Object::NetworkPolicy(policy) => policy.spec,
            _ => None,
        });
        let rules = policies.flat_map(|spec| spec.ingress.unwrap_or_default());
        let peers = rules.flat_map(|rule| rule.from.unwrap_or_default());
        let peers = peers.map(|peer| serde_json::to_value(peer).unwrap());
        peers.filter(|peer| peer.to_string().contains("storefront-operator")).collect()
    };
    let pods = json!({"matchLabels": {"app.kubernetes.io/name": "storefront-operator"}});
    let home = json!({"matchLabels": {"kubernetes.io/metadata.name": "platform"}});
    assert_eq!(
        operators(Some("platform")),
        [json!({"namespaceSelector": home, "podSelector": pods})]
    );
    // Not known: no other namespace than the shop's own.
    assert_eq!(operators(None), [json!({"podSelector": pods})]);
}

/// Kubernetes takes an empty list of peers for everybody.
#[test]
fn no_rule_has_an_empty_list_of_peers() {
    for (name, case) in &*CASES {
        for object in objects(case) {
            let Object::NetworkPolicy(policy) = object else { continue };
            let spec = policy.spec.unwrap();
            let from = spec.ingress.iter().flatten().filter_map(|rule| rule.from.as_ref());
            let to = spec.egress.iter().flatten().filter_map(|rule| rule.to.as_ref());
            assert!(from.chain(to).all(|peers| !peers.is_empty()), "{name}");
        }
    }
}

/// An operator that is upgraded leaves alone what is rendered the same.
#[test]
fn an_upgrade_of_the_operator_rolls_nothing_whose_tag_is_written() {
    let newer = Options { tag: "9.9.9".into(), ..options() };
    let render = |case: &Case, options: &Options| {
        objects_with(case, options, &Generated::placeholders(), &Apis::all())
    };
    let (written, minimal) = (&CASES["pods"], &CASES["minimal"]);
    assert_eq!(render(written, &options()), render(written, &newer));
    assert_ne!(render(minimal, &options()), render(minimal, &newer));
}

/// What a cluster does not serve is left out, and everything else stays the same.
#[test]
fn an_api_that_is_not_served_is_not_needed() {
    for (name, case) in &*CASES {
        let without = objects_with(case, &options(), &Generated::placeholders(), &Apis::default());
        assert!(without.iter().all(|object| !matches!(object, Object::Dynamic(_))));
        let expected: Vec<_> = objects(case)
            .into_iter()
            .filter(|object| !matches!(object, Object::Dynamic(_)))
            .collect();
        assert_eq!(without, expected, "{name}");
    }
}
