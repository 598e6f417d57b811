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
            workloads: Some(parts.map(|part| (part.to_owned(), running.clone())).collect()),
            brokers: Brokers::Seen(BrokerFacts {
                cluster_id: Some("main".into()),
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

/// Status and reason of a condition.
fn told<'a>(status: &'a StorefrontStatus, type_: &str) -> (&'a str, &'a str) {
    let condition = status.conditions.iter().find(|c| c.type_ == type_).unwrap();
    (&condition.status, &condition.reason)
}

fn workload<'a>(observed: &'a mut Observed, part: &str) -> &'a mut Workload {
    observed.workloads.as_mut().unwrap().get_mut(part).unwrap()
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
    observed.workloads.as_mut().unwrap().remove("payment");
    *workload(&mut observed, "kafka") =
        Workload { wanted: 1, updated: 1, is_current: true, ..Workload::default() };
    insta::assert_snapshot!(shown(&shop.applied(&observed)));
}

#[test]
fn topics_that_were_just_made_may_not_be_known_yet() {
    let shop = Shop::sandbox();
    let mut observed = shop.well();
    let Brokers::Seen(facts) = &mut observed.brokers else { panic!("brokers that answer") };
    facts.topics.truncate(8);
    let status = shop.applied(&observed);
    assert_eq!(told(&status, "TopicsReady"), ("False", "Missing"));
    assert_eq!(told(&status, "Ready"), ("False", "Missing"));
    let message = &status.conditions.iter().find(|c| c.type_ == "TopicsReady").unwrap().message;
    assert_eq!(message, "not there yet: email-successful.analytic-service.dlq");
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
    let mut observed = Observed { missing, ..shop.well() };
    // What ran before the Secret went goes on.
    assert_eq!(told(&shop.applied(&observed), "Ready"), ("True", "Running"));
    assert_eq!(told(&shop.applied(&observed), "Degraded"), ("True", "Missing"));
    // What starts without it does not.
    workload(&mut observed, "payment").ready = 0;
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
        let topics = status.conditions.iter().find(|c| c.type_ == "TopicsReady").unwrap();
        assert_eq!(told(&status, "Degraded"), ("True", &*topics.reason));
        format!("Ready {} {}: {}", told(&status, "Ready").0, topics.reason, topics.message)
    });
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_topic_that_is_not_there_or_not_led_stops_a_shop() {
    let shop = Shop::sandbox();
    let ready = |change: fn(&mut Vec<TopicStatus>)| {
        let mut observed = shop.well();
        let Brokers::Seen(facts) = &mut observed.brokers else { unreachable!() };
        change(&mut facts.topics);
        told(&shop.applied(&observed), "Ready").0.to_owned()
    };
    assert_eq!(ready(|_| {}), "True");
    assert_eq!(ready(|topics| topics[1].leaderless = 1), "False");
    assert_eq!(ready(|topics| drop(topics.pop())), "False");
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
fn what_was_not_asked_again_is_about_the_edit_that_it_was_asked_for() {
    let mut shop = Shop::sandbox();
    shop.storefront.status = Some(shop.applied(&shop.well()));
    let of = |status: &StorefrontStatus| {
        let types = ["KafkaReady", "TopicsReady", "OrderReady", "SecretsReady", "Ready"];
        types.map(|type_| status.condition(type_).unwrap().observed_generation.unwrap())
    };
    assert_eq!(of(shop.storefront.status.as_ref().unwrap()), [3; 5]);
    shop.storefront.metadata.generation = Some(4);
    let not_asked = Observed { brokers: Brokers::NotAsked, ..shop.well() };
    assert_eq!(of(&shop.applied(&not_asked)), [3, 3, 4, 4, 4]);
    // They were asked, and said nothing: that is known of this edit, and the topics are as they were.
    let trouble = Trouble { reason: "Unreachable".into(), message: "nobody answers".into() };
    let silent = Observed { brokers: Brokers::Unreachable(trouble), ..shop.well() };
    assert_eq!(of(&shop.applied(&silent)), [4, 3, 4, 4, 4]);
    assert_eq!(of(&shop.applied(&shop.well())), [4; 5]);
    // Nothing was ever known: that is so of this edit.
    shop.storefront.status = None;
    assert_eq!(of(&shop.applied(&not_asked)), [4; 5]);
}

#[test]
fn what_other_brokers_have_said_is_not_told_of_these() {
    let external = Shop::new(&json!({
        "payment": {"sandbox": {}}, "kafka": {"external": {"bootstrapServers": "b:9092"}},
    }));
    let mut managed = Shop::sandbox();
    managed.storefront.status = Some(external.applied(&external.well()));
    let mut observed = managed.well();
    workload(&mut observed, "kafka").ready = 0;
    observed.brokers = Brokers::NotAsked;
    let status = managed.applied(&observed);
    assert_eq!(told(&status, "TopicsReady"), ("Unknown", "NotAsked"));
    assert_eq!((status.topics, status.groups, status.lag), (vec![], vec![], None));
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

/// The shop itself says whether it serves: `Ready` is about that, and neither about an attempt nor about
/// what the operator alone cannot reach.
#[test]
fn what_fails_beside_a_shop_that_runs_leaves_it_ready() {
    let mut shop = Shop::sandbox();
    let first = shop.applied(&shop.well());
    shop.storefront.status = Some(first.clone());
    shop.storefront.metadata.generation = Some(4);
    let failed = |reason, passing| {
        let message = format!("what {reason} says");
        Outcome::Failed { plan: Some(&shop.plan), reason, message, passing }
    };
    let unseen = Observed::default();
    let seen = shop.well();
    let cases = [
        ("the API server does not answer", &unseen, failed("ReadFailed", true)),
        ("it goes on not answering", &unseen, failed("ReadFailed", false)),
        ("a write is not answered", &seen, failed("ApplyFailed", true)),
        ("a write is forbidden", &seen, failed("ApplyFailed", false)),
        ("an object is somebody else's", &seen, failed("Conflict", false)),
        (
            "an edit cannot work",
            &seen,
            Outcome::Invalid { reason: "ReservedVariable", message: "spec.services: …".into() },
        ),
    ];
    let lines = cases.map(|(what, observed, outcome)| {
        let status = shop.status(observed, &outcome);
        let whole = ["Ready", "Progressing", "Degraded"].map(|type_| {
            let (value, reason) = told(&status, type_);
            format!("{type_}={value}/{reason}")
        });
        // Who waits for the edit to be ready goes on waiting.
        let ready = &status.conditions[0];
        assert_eq!((&*ready.type_, ready.observed_generation), ("Ready", Some(3)), "{what}");
        assert_eq!(status.observed_generation, Some(4));
        assert_eq!(status.conditions[3..], first.conditions[3..], "{what}");
        format!("{what}\n    {}", whole.join(" "))
    });
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_part_that_fails_is_told_whatever_became_of_the_attempt() {
    let mut shop = Shop::sandbox();
    shop.storefront.status = Some(shop.applied(&shop.well()));
    let mut observed = shop.well();
    workload(&mut observed, "order").ready = 0;
    let outcomes = [
        Outcome::Invalid { reason: "ReservedVariable", message: "an edit is needed".into() },
        Outcome::Failed {
            plan: Some(&shop.plan),
            reason: "ApplyFailed",
            message: "quota exceeded".into(),
            passing: false,
        },
    ];
    for outcome in outcomes {
        let status = shop.status(&observed, &outcome);
        assert_eq!(told(&status, "OrderReady"), ("False", "Starting"), "{outcome:?}");
        assert_eq!(told(&status, "Ready"), ("False", "Starting"), "{outcome:?}");
    }
}

#[test]
fn a_shop_that_never_came_up_says_why() {
    let shop = Shop::sandbox();
    let failed = |passing| Outcome::Failed {
        plan: Some(&shop.plan),
        reason: "ReadFailed",
        message: "could not read services".into(),
        passing,
    };
    let ready = |outcome: &Outcome<'_>| {
        let status = shop.status(&Observed::default(), outcome);
        let (value, reason) = told(&status, "Ready");
        format!("{value} {reason}")
    };
    // It may run all the same.
    assert_eq!(ready(&failed(true)), "Unknown ReadFailed");
    assert_eq!(ready(&failed(false)), "False ReadFailed");
    let invalid = Outcome::Invalid { reason: "NotANumber", message: String::new() };
    assert_eq!(ready(&invalid), "False NotANumber");
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
fn what_somebody_else_changes_each_time_degrades_a_shop_that_works() {
    let shop = Shop::sandbox();
    let contested = vec!["somebody changes spec.replicas of Deployment demo-order".to_owned()];
    let status = shop.applied(&Observed { contested, ..shop.well() });
    assert_eq!(told(&status, "Degraded"), ("True", "Contested"));
    assert_eq!(told(&status, "Ready"), ("True", "Running"));
    let event = &events(Some(&shop.applied(&shop.well())), &status)[0];
    assert!(event.warning && event.note.contains("somebody changes spec.replicas"), "{event:?}");
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

/// No part says that an attempt has failed, so the shop as a whole does.
#[test]
fn an_attempt_that_fails_for_long_is_an_event_and_so_is_its_end() {
    let mut shop = Shop::sandbox();
    let first = shop.applied(&shop.well());
    shop.storefront.status = Some(first.clone());
    let failed = |passing| Outcome::Failed {
        plan: Some(&shop.plan),
        reason: "ApplyFailed",
        message: "quota exceeded".into(),
        passing,
    };
    let notes = |before, after: &StorefrontStatus| -> Vec<(bool, String)> {
        events(Some(before), after).into_iter().map(|e| (e.warning, e.reason)).collect()
    };
    let once = shop.status(&shop.well(), &failed(true));
    assert_eq!(notes(&first, &once), []);
    let lasting = shop.status(&shop.well(), &failed(false));
    let told = [(false, "RunsAsBefore".to_owned()), (true, "ApplyFailed".to_owned())];
    assert_eq!(notes(&once, &lasting), told);
    let told = [(false, "Running".to_owned()), (false, "AsExpected".to_owned())];
    assert_eq!(notes(&lasting, &first), told);
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
