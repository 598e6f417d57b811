//! Brokers and topics.

use super::{
    Brokers, Observed,
    condition::Finding,
    reasons::{
        AS_PLANNED, KAFKA_READY, LEADERLESS, MISSING, NOT_ASKED, REACHABLE, TOPICS_READY,
        UNDER_REPLICATED, UNREACHABLE,
    },
};
use crate::{
    api::{Storefront, StorefrontStatus},
    names,
    plan::Plan,
};

pub(super) fn brokers(
    storefront: &Storefront,
    observed: &Observed,
    before: &StorefrontStatus,
) -> Finding {
    // A managed broker that is starting does not answer: its own state says more than that.
    if storefront.spec.managed_brokers().is_some() {
        let managed = super::parts::workload(KAFKA_READY, names::KAFKA, observed);
        if managed.holds != Some(true) {
            return managed;
        }
    }
    match &observed.brokers {
        Brokers::Seen(facts) => {
            let message = format!("brokers that answer: {}", facts.brokers);
            Finding::new(KAFKA_READY, true, REACHABLE, message)
        }
        Brokers::Unreachable(trouble) => {
            Finding::new(KAFKA_READY, false, &trouble.reason, &trouble.message)
        }
        Brokers::NotAsked => as_before(before, KAFKA_READY, NOT_ASKED),
    }
}

pub(super) fn topics(plan: &Plan, observed: &Observed, before: &StorefrontStatus) -> Finding {
    if let Some(first) = observed.topics.first() {
        let all: Vec<_> = observed.topics.iter().map(ToString::to_string).collect();
        return Finding::new(TOPICS_READY, false, first.reason(), all.join("; "));
    }
    let facts = match &observed.brokers {
        Brokers::Seen(facts) => facts,
        // That they do not answer is said of them, and not of topics that are known.
        Brokers::Unreachable(_) => return as_before(before, TOPICS_READY, UNREACHABLE),
        Brokers::NotAsked => return as_before(before, TOPICS_READY, NOT_ASKED),
    };
    let missing = facts.missing(plan);
    if !missing.is_empty() {
        let message = format!("not there yet: {}", missing.join(", "));
        return Finding::new(TOPICS_READY, false, MISSING, message);
    }
    let names = |wrong: fn(&crate::api::TopicStatus) -> bool| {
        let topics = facts.topics.iter().filter(|topic| wrong(topic));
        topics.map(|topic| topic.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let leaderless = names(|topic| topic.leaderless > 0);
    if !leaderless.is_empty() {
        let message = format!("nobody leads partitions of {leaderless}: look after the brokers");
        return Finding::new(TOPICS_READY, false, LEADERLESS, message);
    }
    let behind = names(|topic| topic.under_replicated > 0);
    if !behind.is_empty() {
        let message = format!("copies of {behind} are not up to date: look after the brokers");
        // Everything works; one more broker lost, and it does not.
        return Finding::new(TOPICS_READY, true, UNDER_REPLICATED, message);
    }
    let message = format!("{} topics are as planned", facts.topics.len());
    Finding::new(TOPICS_READY, true, AS_PLANNED, message)
}

fn as_before(before: &StorefrontStatus, type_: &str, unknown: &str) -> Finding {
    let nothing = || {
        let message = match unknown {
            UNREACHABLE => "the brokers do not answer",
            _ => "the brokers have not been asked yet",
        };
        Finding::new(type_, None, unknown, message)
    };
    // What was unknown may be unknown for another reason now.
    Finding::as_before(before, type_).filter(|known| known.holds.is_some()).unwrap_or_else(nothing)
}
