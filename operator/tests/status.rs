//! What people read in a status: a situation in, a table of conditions out.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use storefront_contract::CATALOG;
use storefront_operator::{
    Storefront,
    api::{GroupStatus, StorefrontStatus, TopicStatus},
    plan::{Placement, Plan, plan},
    references::{self, Missing},
    status::{
        BrokerFacts, Brokers, MissingApi, Observed, Outcome, TopicTrouble, Trouble, Workload,
        coarse, events, reasons::service_ready, says_the_same, status,
    },
};

struct Shop {
    storefront: Storefront,
    plan: Plan,
}

impl Shop {
    fn new(spec: &Value) -> Self {
        let mut storefront: Storefront = serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": "demo", "generation": 3},
            "spec": spec,
        }))
        .unwrap();
        storefront.metadata.namespace = Some("shops".into());
        let placement = Placement::cluster(&storefront, "shops").unwrap();
        let plan = plan(&storefront, &placement).unwrap();
        Self { storefront, plan }
    }

    fn sandbox() -> Self {
        Self::new(&json!({"payment": {"sandbox": {}}}))
    }

    /// The next status, from the one that the Storefront has.
    fn status(&self, observed: &Observed, outcome: &Outcome<'_>) -> StorefrontStatus {
        status(&self.storefront, observed, outcome, at("2026-11-25T10:00:00.123Z"))
    }

    fn applied(&self, observed: &Observed) -> StorefrontStatus {
        self.status(observed, &Outcome::Applied(&self.plan))
    }

    /// Everything runs.
    fn well(&self) -> Observed {
        let running =
            Workload { wanted: 1, updated: 1, ready: 1, total: 1, is_current: true, trouble: None };
        let services = CATALOG.iter().map(|entry| entry.id.name());
        let parts = services.chain(["kafka", "database"]);
        let topic = |topic: &storefront_operator::plan::TopicPlan| TopicStatus {
            name: topic.name.clone(),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            ..TopicStatus::default()
        };
        let group = |name: &str| GroupStatus { name: name.into(), members: 1, lag: 0 };
        Observed {
            url: Some("http://demo-gateway.shops:8080/".into()),
            workloads: parts.map(|part| (part.to_owned(), running.clone())).collect(),
            brokers: Brokers::Seen(BrokerFacts {
                brokers: 1,
                topics: self.plan.topics.iter().map(topic).collect(),
                groups: Some(CATALOG.iter().filter_map(|entry| entry.group).map(group).collect()),
            }),
            ..Observed::default()
        }
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn shown(status: &StorefrontStatus) -> String {
    let lines = status.conditions.iter().map(|condition| {
        let (type_, value, reason) = (&condition.type_, &condition.status, &condition.reason);
        format!("{type_:<15} {value:<7} {reason:<15} {}", condition.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn workload<'a>(observed: &'a mut Observed, part: &str) -> &'a mut Workload {
    observed.workloads.get_mut(part).unwrap()
}

#[test]
fn a_shop_that_runs() {
    let shop = Shop::sandbox();
    let status = shop.applied(&shop.well());
    insta::assert_snapshot!(shown(&status));
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.lag, Some(0));
    assert_eq!(status.topics.len(), shop.plan.topics.len());
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(3)));
}

#[test]
fn a_shop_that_comes_up() {
    let shop = Shop::sandbox();
    let mut observed = shop.well();
    observed.brokers = Brokers::NotAsked;
    observed.workloads.remove("payment");
    *workload(&mut observed, "kafka") =
        Workload { wanted: 1, updated: 1, is_current: true, ..Workload::default() };
    insta::assert_snapshot!(shown(&shop.applied(&observed)));
}

#[test]
fn pods_that_do_not_come_up_say_why() {
    let shop = Shop::sandbox();
    let mut observed = shop.well();
    workload(&mut observed, "order").ready = 0;
    workload(&mut observed, "order").trouble = Some(Trouble {
        reason: "ImagePullBackOff".into(),
        message: "demo-order-7d9f-x2x4b cannot fetch ghcr.io/storefront-dev/storefront-order:0.1.0"
            .into(),
    });
    insta::assert_snapshot!(shown(&shop.applied(&observed)));
}

#[test]
fn a_secret_without_a_key_is_named_with_the_remedy() {
    let shop = Shop::new(&json!({
        "currency": "INR",
        "catalog": {"configMapRef": {"name": "products"}},
        "payment": {"stripe": {"secretRef": {"name": "stripe"}}},
        "email": {"smtp": {"host": "smtp.gmail.com", "secretRef": {"name": "gmail"}}, "from": "a@b.example"},
    }));
    let filled = BTreeMap::from([("stripe", BTreeSet::from(["api-key".to_owned()]))]);
    let missing: Vec<Missing> = references::references(&shop.plan)
        .iter()
        .filter_map(|reference| references::missing(reference, filled.get(&*reference.name)))
        .collect();
    let observed = Observed { missing, ..shop.well() };
    insta::assert_snapshot!(shown(&shop.applied(&observed)));
}

#[test]
fn topics_that_are_not_as_planned_say_what_to_do() {
    let shop = Shop::sandbox();
    let topic = || "payment-successful".to_owned();
    let troubles = [
        TopicTrouble::Foreign { topic: topic() },
        TopicTrouble::FewerPartitions { topic: topic(), has: 1, wanted: 3 },
        TopicTrouble::MorePartitions { topic: topic(), has: 12, wanted: 3 },
        TopicTrouble::TooFewBrokers { wanted: 3, brokers: 1 },
        TopicTrouble::Refused { topic: topic(), message: "PolicyViolation".into() },
    ];
    let lines = troubles.map(|trouble| {
        let observed = Observed { topics: vec![trouble], ..shop.well() };
        let status = shop.applied(&observed);
        let of = |type_| status.conditions.iter().find(|c| c.type_ == type_).unwrap();
        assert_eq!((&*of("Ready").status, &*of("Degraded").status), ("False", "True"));
        let topics = of("TopicsReady");
        assert_eq!(of("Ready").reason, topics.reason);
        format!("{}: {}", topics.reason, topics.message)
    });
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn brokers_that_do_not_answer_leave_what_is_known() {
    let mut shop = Shop::new(&json!({
        "payment": {"sandbox": {}},
        "kafka": {"external": {"bootstrapServers": "b:9092"}},
    }));
    shop.storefront.status = Some(shop.applied(&shop.well()));
    let trouble = Trouble {
        reason: "Unreachable".into(),
        message: "nobody answers at b:9092: check spec.kafka.external.bootstrapServers".into(),
    };
    let observed = Observed { brokers: Brokers::Unreachable(trouble), ..shop.well() };
    let status = shop.applied(&observed);
    insta::assert_snapshot!(shown(&status));
    assert_eq!(status.topics.len(), shop.plan.topics.len());
}

#[test]
fn copies_that_are_behind_degrade_a_shop_that_works() {
    let shop = Shop::sandbox();
    let mut observed = shop.well();
    let Brokers::Seen(facts) = &mut observed.brokers else { unreachable!() };
    facts.topics[0].under_replicated = 2;
    let status = shop.applied(&observed);
    let of = |type_: &str| status.conditions.iter().find(|c| c.type_ == type_).unwrap();
    assert_eq!((&*of("Ready").status, &*of("Degraded").status), ("True", "True"));
    assert_eq!(of("Degraded").reason, "UnderReplicated");
}

#[test]
fn a_spec_that_cannot_work_waits_for_an_edit() {
    let mut shop = Shop::sandbox();
    shop.storefront.status = Some(shop.applied(&shop.well()));
    let outcome = Outcome::Invalid {
        reason: "ReservedVariable",
        message: "spec.services.order.env[0].name: KAFKA_BROKERS is computed".into(),
    };
    insta::assert_snapshot!(shown(&shop.status(&Observed::default(), &outcome)));
}

#[test]
fn what_failed_is_tried_again() {
    let mut shop = Shop::sandbox();
    shop.storefront.status = Some(shop.applied(&shop.well()));
    let outcome = Outcome::Failed {
        plan: Some(&shop.plan),
        reason: "ApplyFailed",
        message: "could not apply Deployment demo-order: quota exceeded".into(),
    };
    insta::assert_snapshot!(shown(&shop.status(&shop.well(), &outcome)));
}

#[test]
fn a_paused_shop_says_so() {
    let shop = Shop::sandbox();
    let status = shop.status(&shop.well(), &Outcome::Paused(&shop.plan));
    let progressing = status.conditions.iter().find(|c| c.type_ == "Progressing").unwrap();
    assert_eq!(progressing.reason, "Paused");
}

#[test]
fn an_api_that_is_not_served_degrades_a_shop() {
    let shop = Shop::sandbox();
    let missing = MissingApi { field: "spec.gateway.httpRoute", api: "HTTPRoute" };
    let observed = Observed { missing_apis: vec![missing], ..shop.well() };
    let status = shop.applied(&observed);
    let degraded = status.conditions.iter().find(|c| c.type_ == "Degraded").unwrap();
    assert_eq!((&*degraded.status, &*degraded.reason), ("True", "ApiMissing"));
}

#[test]
fn a_time_changes_only_with_its_status() {
    let mut shop = Shop::sandbox();
    let first = shop.applied(&shop.well());
    shop.storefront.status = Some(first.clone());
    let later = |observed: &Observed| {
        let outcome = Outcome::Applied(&shop.plan);
        status(&shop.storefront, observed, &outcome, at("2026-11-25T11:00:00Z"))
    };
    assert!(says_the_same(Some(&first), &later(&shop.well())));
    let mut worse = shop.well();
    workload(&mut worse, "email").ready = 0;
    let second = later(&worse);
    assert!(!says_the_same(Some(&first), &second));
    for condition in &second.conditions {
        let old = first.conditions.iter().find(|old| old.type_ == condition.type_).unwrap();
        let changed = old.status != condition.status;
        let moved = old.last_transition_time != condition.last_transition_time;
        assert_eq!(changed, moved, "{}", condition.type_);
    }
    // It comes back from the API server as it was written.
    let written = serde_json::to_value(&second).unwrap();
    assert_eq!(serde_json::from_value::<StorefrontStatus>(written).unwrap(), second);
}

#[test]
fn an_event_is_told_once() {
    let mut shop = Shop::sandbox();
    let first = shop.applied(&shop.well());
    let notes = |before: Option<&StorefrontStatus>, after| -> Vec<String> {
        events(before, after).into_iter().map(|event| event.note).collect()
    };
    assert!(notes(None, &first).contains(&"Ready: everything that is asked for runs".to_owned()));
    assert_eq!(notes(Some(&first), &first), Vec::<String>::new());
    shop.storefront.status = Some(first.clone());
    let foreign = TopicTrouble::Foreign { topic: "order-successful".into() };
    let second = shop.applied(&Observed { topics: vec![foreign], ..shop.well() });
    let told = events(Some(&first), &second);
    assert!(told.iter().all(|event| event.warning && event.reason == "Conflict"), "{told:#?}");
    assert_eq!(told.len(), 2);
}

#[test]
fn lag_is_told_in_coarse_steps() {
    for (exact, told) in [(0, 0), (1, 1), (4, 2), (9, 5), (10, 10), (19, 10), (4_999, 2_000)] {
        assert_eq!(coarse(exact), told, "{exact}");
    }
    assert_eq!(coarse(-1), 0);
    assert_eq!(coarse(i64::MAX), 5_000_000_000_000_000_000);
}

#[test]
fn a_service_has_a_condition_of_its_name() {
    assert_eq!(service_ready("payment"), "PaymentReady");
}
