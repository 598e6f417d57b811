//! The parts of a shop one by one, and the shop as a whole.

use storefront_contract::CATALOG;

use super::{
    Observed, Outcome, TopicTrouble, Workload,
    condition::{Finding, Findings},
    reasons::{
        API_MISSING, AS_EXPECTED, COMPLETE, CONTESTED, DATABASE_READY, DEGRADED, EXTERNAL, FOUND,
        KAFKA_READY, MISSING, NOT_CREATED, PAUSED, PROGRESSING, READY, RETRYING, ROLLING_OUT,
        RUNNING, RUNS_AS_BEFORE, SCALED_TO_ZERO, SECRETS_READY, STARTING, TOPICS_READY,
        UNDER_REPLICATED, UNREACHABLE, service_ready,
    },
};
use crate::{
    api::{Storefront, StorefrontStatus, TopicStatus},
    names,
    plan::Plan,
};

/// Conditions of the shop as a whole.
pub(super) const WHOLE: &[&str] = &[READY, PROGRESSING, DEGRADED];

pub(super) fn secrets(observed: &Observed) -> Finding {
    let Some(_) = observed.missing.first() else {
        let message = "every Secret and ConfigMap that is referred to has what is needed";
        return Finding::new(SECRETS_READY, true, FOUND, message);
    };
    let all: Vec<_> = observed.missing.iter().map(ToString::to_string).collect();
    let message = format!("{}; what runs already goes on", all.join("; "));
    Finding::new(SECRETS_READY, false, MISSING, message)
}

pub(super) fn database(storefront: &Storefront, observed: &Observed) -> Finding {
    let external = storefront.spec.database.as_ref().is_some_and(|d| d.external.is_some());
    if external {
        let message = "somebody else runs it; a service that cannot reach it is not ready";
        return Finding::new(DATABASE_READY, true, EXTERNAL, message);
    }
    workload(DATABASE_READY, names::DATABASE, observed)
}

/// One condition for each service, and one for the stand-in where it runs.
pub(super) fn services(plan: &Plan, observed: &Observed) -> Vec<Finding> {
    let services = plan.services.iter().map(|service| service.id.name());
    let sandbox = observed.workload(names::SANDBOX).map(|_| names::SANDBOX);
    let of = |component: &str| workload(&service_ready(component), component, observed);
    services.chain(sandbox).map(of).collect()
}

/// Where an attempt did not get to everything: what was said before, anew for services that were seen.
pub(super) fn known(observed: &Observed, before: &StorefrontStatus) -> Findings {
    let mut findings = Findings::default();
    findings.keep(before);
    for finding in &mut findings.0 {
        let services = CATALOG.iter().map(|entry| entry.id.name()).chain([names::SANDBOX]);
        let mut services = services.filter(|service| observed.workload(service).is_some());
        if let Some(service) = services.find(|service| service_ready(service) == finding.type_) {
            *finding = workload(&service_ready(service), service, observed);
        }
    }
    findings
}

pub(super) fn workload(type_: &str, component: &str, observed: &Observed) -> Finding {
    let Some(workload) = observed.workload(component) else {
        let message = format!("{component} has not been created yet");
        return Finding::new(type_, false, NOT_CREATED, message);
    };
    let Workload { wanted, ready, .. } = workload;
    if *wanted == 0 {
        let message = format!("{component} is scaled to 0: its events wait");
        return Finding::new(type_, false, SCALED_TO_ZERO, message);
    }
    let counts = format!("{ready} of {wanted} instances are ready");
    // An old instance that serves is as good as a new one, to shoppers.
    if *ready >= *wanted && workload.is_current {
        return Finding::new(type_, true, RUNNING, counts);
    }
    match &workload.trouble {
        Some(trouble) => {
            let message = format!("{counts}; {}", trouble.message);
            Finding::new(type_, false, &trouble.reason, message)
        }
        None => Finding::new(type_, false, STARTING, counts),
    }
}

/// Ready, progressing, degraded. Whether the shop serves follows from its parts alone: an attempt that
/// fails changes nothing of what runs.
pub(super) fn overall(findings: &mut Findings, outcome: &Outcome<'_>, facts: &Facts<'_>) {
    let ready = match outcome {
        Outcome::Invalid { reason, message } => unchanged(findings, facts, reason, message),
        Outcome::Failed { reason, message, passing: false, .. } => {
            unchanged(findings, facts, reason, message)
        }
        // Nothing has ever been seen of this shop, which may run or not.
        Outcome::Failed { reason, message, .. } if findings.0.is_empty() => {
            Finding::new(READY, None, *reason, message)
        }
        Outcome::Failed { .. } | Outcome::Paused(_) | Outcome::Applied(_) => {
            readiness(findings, facts)
        }
    };
    let progressing = match outcome {
        Outcome::Invalid { reason, .. } => {
            Finding::new(PROGRESSING, false, *reason, "an edit of the Storefront is needed")
        }
        Outcome::Failed { message, .. } => {
            let message = format!("{message}; it is tried again");
            Finding::new(PROGRESSING, true, RETRYING, message)
        }
        Outcome::Paused(_) => {
            Finding::new(PROGRESSING, false, PAUSED, "write paused: false to go on")
        }
        Outcome::Applied(_) => progress(facts.observed),
    };
    let degraded = degraded(findings, outcome, facts.observed);
    findings.lead([ready, progressing, degraded]);
}

/// What the shop as a whole is judged by, besides its parts.
pub(super) struct Facts<'a> {
    pub observed: &'a Observed,
    pub plan: Option<&'a Plan>,
    /// Topics as they are known now.
    pub topics: &'a [TopicStatus],
}

/// Nothing can be applied until somebody has done something: what was applied last may serve all the same.
fn unchanged(findings: &Findings, facts: &Facts<'_>, reason: &str, message: &str) -> Finding {
    let was_applied = findings.0.iter().any(|finding| finding.reason == RUNNING);
    let ready = readiness(findings, facts);
    if !was_applied {
        return Finding::new(READY, false, reason, message);
    }
    if ready.holds == Some(true) {
        let message = "what was applied last runs; why the operator cannot go on is in Degraded";
        return Finding::new(READY, true, RUNS_AS_BEFORE, message);
    }
    ready
}

/// Every service and the database run, and the topics can be used. Brokers that do not answer the operator
/// are told by the services, none of which is ready without them; a missing Secret stops what starts, and
/// not what runs.
fn readiness(findings: &Findings, facts: &Facts<'_>) -> Finding {
    let is_missing = |finding: &Finding| match finding.type_.as_str() {
        SECRETS_READY => false,
        KAFKA_READY => finding.holds == Some(false) && finding.reason != UNREACHABLE,
        TOPICS_READY => !topics_work(finding, facts),
        _ => finding.holds != Some(true),
    };
    if !findings.0.iter().any(is_missing) {
        return Finding::new(READY, true, RUNNING, "everything that is asked for runs");
    }
    // In the order in which a shop comes up: what is wrong first explains the rest.
    let first = findings.0.iter().find(|finding| finding.holds != Some(true));
    let part = first.or_else(|| findings.0.iter().find(|finding| is_missing(finding)));
    part.map_or_else(
        || Finding::new(READY, false, NOT_CREATED, "nothing has been created yet"),
        |part| {
            Finding::new(READY, false, &part.reason, format!("{}: {}", part.type_, part.message))
        },
    )
}

/// Every topic is there, ours, and led. Fewer partitions than asked for, or more, are as good to a shop.
fn topics_work(finding: &Finding, facts: &Facts<'_>) -> bool {
    let Some(plan) = facts.plan else { return finding.holds == Some(true) };
    let foreign = |trouble: &TopicTrouble| matches!(trouble, TopicTrouble::Foreign { .. });
    let works = |name: &str| {
        let known = facts.topics.iter().find(|topic| topic.name == name);
        known.is_some_and(|topic| topic.leaderless == 0)
    };
    !facts.observed.topics.iter().any(foreign) && plan.topics.iter().all(|topic| works(&topic.name))
}

fn progress(observed: &Observed) -> Finding {
    let workloads = observed.workloads.iter().flatten();
    let rolling = workloads.filter(|(_, workload)| !workload.is_complete());
    let rolling: Vec<_> = rolling.map(|(component, _)| component.as_str()).collect();
    if rolling.is_empty() {
        return Finding::new(PROGRESSING, false, COMPLETE, "everything is applied");
    }
    Finding::new(PROGRESSING, true, ROLLING_OUT, format!("{} on the way", rolling.join(", ")))
}

/// What does not go away by waiting.
fn degraded(findings: &Findings, outcome: &Outcome<'_>, observed: &Observed) -> Finding {
    if let Outcome::Invalid { reason, message }
    | Outcome::Failed { reason, message, passing: false, .. } = outcome
    {
        return Finding::new(DEGRADED, true, *reason, message);
    }
    // No other condition says it, and it may be why a part does not run.
    if !observed.contested.is_empty() {
        return Finding::new(DEGRADED, true, CONTESTED, observed.contested.join("; "));
    }
    let is_wrong = |finding: &&Finding| {
        let waits = [STARTING, NOT_CREATED, SCALED_TO_ZERO].contains(&finding.reason.as_str());
        let warns = finding.type_ == TOPICS_READY && finding.reason == UNDER_REPLICATED;
        warns || (finding.holds == Some(false) && !waits)
    };
    if let Some(part) = findings.0.iter().find(is_wrong) {
        let message = format!("{}: {}", part.type_, part.message);
        return Finding::new(DEGRADED, true, &part.reason, message);
    }
    if let Some(missing) = observed.missing_apis.first() {
        let message = format!(
            "{} needs {}, which this cluster does not serve: install it, or leave the field out",
            missing.field, missing.api
        );
        return Finding::new(DEGRADED, true, API_MISSING, message);
    }
    Finding::new(DEGRADED, false, AS_EXPECTED, "nothing is wrong")
}
