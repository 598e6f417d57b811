//! The parts of a shop one by one, and the shop as a whole.

use super::{
    Observed, Outcome, Workload,
    condition::{Finding, Findings},
    reasons::{
        API_MISSING, AS_EXPECTED, COMPLETE, DATABASE_READY, DEGRADED, EXTERNAL, FOUND, MISSING,
        NOT_CREATED, PAUSED, PROGRESSING, READY, RETRYING, ROLLING_OUT, RUNNING, SCALED_TO_ZERO,
        SECRETS_READY, STARTING, TOPICS_READY, UNDER_REPLICATED, service_ready,
    },
};
use crate::{api::Storefront, names, plan::Plan};

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
    let sandbox = observed.workloads.contains_key(names::SANDBOX).then_some(names::SANDBOX);
    let of = |component: &str| workload(&service_ready(component), component, observed);
    services.chain(sandbox).map(of).collect()
}

pub(super) fn workload(type_: &str, component: &str, observed: &Observed) -> Finding {
    let Some(workload) = observed.workloads.get(component) else {
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

/// Ready, progressing, degraded: from how the attempt ended, and from the parts.
pub(super) fn overall(findings: &mut Findings, outcome: &Outcome<'_>, observed: &Observed) {
    let unready = findings.0.iter().find(|finding| finding.holds != Some(true)).cloned();
    let (ready, progressing) = match outcome {
        Outcome::Invalid { reason, message } => (
            Finding::new(READY, false, *reason, message),
            Finding::new(PROGRESSING, false, *reason, "an edit of the Storefront is needed"),
        ),
        Outcome::Failed { reason, message, .. } => (
            Finding::new(READY, false, *reason, message),
            Finding::new(PROGRESSING, true, RETRYING, "it is tried again, later each time"),
        ),
        Outcome::Paused(_) => (
            readiness(unready.as_ref()),
            Finding::new(PROGRESSING, false, PAUSED, "write paused: false to go on"),
        ),
        Outcome::Applied(_) => (readiness(unready.as_ref()), progress(observed)),
    };
    let degraded = degraded(findings, outcome, observed);
    findings.lead([ready, progressing, degraded]);
}

fn readiness(unready: Option<&Finding>) -> Finding {
    match unready {
        None => Finding::new(READY, true, RUNNING, "everything that is asked for runs"),
        Some(part) => {
            Finding::new(READY, false, &part.reason, format!("{}: {}", part.type_, part.message))
        }
    }
}

fn progress(observed: &Observed) -> Finding {
    let rolling = observed.workloads.iter().filter(|(_, workload)| !workload.is_complete());
    let rolling: Vec<_> = rolling.map(|(component, _)| component.as_str()).collect();
    if rolling.is_empty() {
        return Finding::new(PROGRESSING, false, COMPLETE, "everything is applied");
    }
    Finding::new(PROGRESSING, true, ROLLING_OUT, format!("{} on the way", rolling.join(", ")))
}

/// What does not go away by waiting.
fn degraded(findings: &Findings, outcome: &Outcome<'_>, observed: &Observed) -> Finding {
    if let Outcome::Invalid { reason, message } | Outcome::Failed { reason, message, .. } = outcome
    {
        return Finding::new(DEGRADED, true, *reason, message);
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
