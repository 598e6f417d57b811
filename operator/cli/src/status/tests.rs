//! Shops as the cluster has them, and the pages that people read.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use storefront_operator::{reading, status::reasons};

use super::{
    Shown,
    facts::{Around, Shop},
};
use crate::terminal::Terminal;

fn now() -> Timestamp {
    "2026-11-25T10:00:00Z".parse().unwrap()
}

/// A Storefront, and what stands around it.
fn read(text: &str) -> Shop {
    let (mut around, mut storefront) = (Around::default(), None);
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document).unwrap();
        let from = |value: Value| serde_json::from_value(value).unwrap();
        match value["kind"].as_str().unwrap() {
            "Storefront" => {
                storefront = Some(reading::read(serde_json::from_value(value).unwrap()));
            }
            "Deployment" => around.deployments.push(from(value)),
            "StatefulSet" => around.sets.push(serde_json::from_value(value).unwrap()),
            "Event" => around.events.push(serde_json::from_value(value).unwrap()),
            other => panic!("{other}"),
        }
    }
    Shop::new(&storefront.unwrap(), &around, "kubectl", now())
}

fn case(name: &str) -> Shop {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/status/cases");
    read(&std::fs::read_to_string(format!("{folder}/{name}.yaml")).unwrap())
}

#[test]
fn a_shop_is_shown_with_what_is_wrong_and_what_to_do() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::glob!("cases/*.yaml", |path| {
            let shop = read(&std::fs::read_to_string(path).unwrap());
            insta::assert_snapshot!(Shown::One(Box::new(shop)).text(Terminal::default()));
        });
    });
}

#[test]
fn shops_are_listed_one_a_line() {
    let names = ["converged", "missing-secret", "older-edit", "not-observed", "deleting", "newer"];
    let list = |everywhere, namespace: &str, names: &[&str]| {
        let storefronts = names.iter().map(|name| Shop { name: (*name).into(), ..case(name) });
        let shown = Shown::All {
            storefronts: storefronts.collect(),
            everywhere,
            namespace: namespace.to_owned(),
        };
        shown.text(Terminal { width: Some(120), colours: false })
    };
    insta::assert_snapshot!(
        [
            list(false, "shops", &names),
            list(true, "shops", &names[..1]),
            list(false, "shops", &[]),
            list(true, "shops", &[]),
        ]
        .join("\n")
    );
}

#[test]
fn a_namespace_without_shops_is_not_ready() {
    let nothing = |everywhere| Shown::All {
        storefronts: Vec::new(),
        everywhere,
        namespace: "shosp".to_owned(),
    };
    assert!(!nothing(false).is_ready() && !nothing(true).has_settled());
    let waits = [nothing(false), nothing(true)].map(|nothing| nothing.waits_for());
    assert_eq!(waits, ["no Storefronts in namespace shosp", "no Storefronts"]);
}

#[test]
fn a_shop_is_ready_when_the_newest_edit_runs_and_says_what_it_waits_for() {
    let ready: Vec<_> =
        ["converged", "paused"].iter().filter(|name| case(name).is_ready()).collect();
    assert_eq!(ready.len(), 2);
    assert!(case("runs-as-before").is_ready() && !case("runs-as-before").has_settled());
    assert!(case("converged").has_settled());
    let waits = [
        "runs-as-before",
        "older-edit",
        "deleting",
        "missing-secret",
        "not-observed",
        "rolling-out",
    ];
    let waits: Vec<_> = waits.iter().filter_map(|name| case(name).waits_for()).collect();
    insta::assert_snapshot!(waits.join("\n"));
}

#[test]
fn programs_get_the_same_facts() {
    let json = serde_json::to_value(Shown::One(Box::new(case("missing-secret")))).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["reason"], "Missing");
    assert_eq!(json["since"], "2026-11-25T09:57:00Z");
    assert_eq!(json["parts"][0]["component"], "gateway");
    assert_eq!(
        json["problems"][0]["commands"][0],
        "kubectl -n shops create secret generic stripe --from-file=api-key --from-file=webhook-secret"
    );
    assert_eq!(json["topics"][0]["partitions"], 3);
}

/// Whoever reads of a problem learns what to do, by its message, by words beside it, or by a command.
#[test]
fn every_reason_has_a_remedy() {
    let mut shop = case("converged");
    let storefront = serde_json::json!({
        "metadata": {"name": "demo", "namespace": "shops"}, "spec": {"payment": {"sandbox": {}}},
    });
    let storefront = serde_json::from_value(storefront).unwrap();
    let reasons = [
        reasons::STARTING,
        reasons::NOT_CREATED,
        reasons::SCALED_TO_ZERO,
        reasons::UNREACHABLE,
        reasons::LEADERLESS,
        reasons::NOT_ASKED,
        "ImagePullBackOff",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "Unschedulable",
        "ReadFailed",
        "ApplyFailed",
        "SomethingNew",
    ];
    for reason in reasons {
        let part = shop.conditions.iter_mut().find(|it| it.type_ == "OrderReady").unwrap();
        part.status = "False".to_owned();
        part.reason = reason.to_owned();
        let problems = super::advice::problems(&shop, &storefront, "kubectl");
        let problem = problems.iter().find(|problem| problem.reason == reason).unwrap();
        assert!(!problem.remedy.is_empty() || !problem.commands.is_empty(), "{reason}");
    }
}
