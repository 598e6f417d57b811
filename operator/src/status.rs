//! How a shop is: from what was observed and how the last attempt ended to conditions that people can
//! act on. Pure; the time is an input and is only used where a condition changes.

mod condition;
mod events;
mod facts;
mod kafka;
mod parts;
pub mod reasons;

use jiff::Timestamp;

use crate::{
    api::{Storefront, StorefrontStatus},
    plan::Plan,
    reading,
};
use condition::{Basis, Findings, conditions};
pub use events::{Event, events};
pub use facts::{
    BrokerFacts, Brokers, MissingApi, Observed, TopicTrouble, Trouble, Workload, coarse,
};

/// How the last attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// The plan cannot be made: an edit is needed.
    Invalid { reason: &'static str, message: String },
    /// Nothing was changed, because the manifest says so.
    Paused(&'a Plan),
    /// Something could not be read or written; it is tried again. `passing`: nobody has to do anything,
    /// as far as is known.
    Failed { plan: Option<&'a Plan>, reason: &'static str, message: String, passing: bool },
    /// Everything is applied.
    Applied(&'a Plan),
}

impl<'a> Outcome<'a> {
    fn plan(&self) -> Option<&'a Plan> {
        match self {
            Self::Invalid { .. } => None,
            Self::Failed { plan, .. } => *plan,
            Self::Paused(plan) | Self::Applied(plan) => Some(plan),
        }
    }
}

/// The status after an attempt. What was not looked at this time stays as it was.
pub fn status(
    storefront: &Storefront,
    observed: &Observed,
    outcome: &Outcome<'_>,
    now: Timestamp,
) -> StorefrontStatus {
    let ours = reading::brokers(storefront);
    let last = storefront.status.clone().unwrap_or_default();
    let before = last.clone().of_brokers(&ours);
    let mut findings = findings(storefront, observed, outcome, &before);
    let (mut topics, mut groups, mut lag) = (before.topics, before.groups, before.lag);
    let mut cluster_id = observed.cluster_id.clone().or(before.cluster_id);
    if let (Brokers::Seen(facts), Some(plan)) = (&observed.brokers, outcome.plan()) {
        cluster_id = facts.cluster_id.clone().or(cluster_id);
        topics = facts::topics(facts, plan);
        if let Some(known) = &facts.groups {
            (groups, lag) = facts::groups(known, plan);
        }
    }
    let facts = parts::Facts { observed, plan: outcome.plan(), topics: &topics };
    parts::overall(&mut findings, outcome, &facts);
    let basis = Basis {
        before: &last.conditions,
        generation: storefront.metadata.generation,
        is_applied: matches!(outcome, Outcome::Applied(_)),
        now,
    };
    StorefrontStatus {
        conditions: conditions(basis, findings),
        observed_generation: storefront.metadata.generation,
        url: observed.url.clone().or(before.url),
        brokers: Some(ours),
        cluster_id,
        lag,
        topics,
        groups,
    }
}

/// Whether two statuses say the same. A condition's time changes only with its status, so this is
/// equality; the function is here so that nobody writes an equal one.
pub fn says_the_same(before: Option<&StorefrontStatus>, after: &StorefrontStatus) -> bool {
    before == Some(after)
}

fn findings(
    storefront: &Storefront,
    observed: &Observed,
    outcome: &Outcome<'_>,
    before: &StorefrontStatus,
) -> Findings {
    let Some(plan) = outcome.plan().filter(|_| observed.workloads.is_some()) else {
        return parts::known(observed, before);
    };
    let mut findings = Findings::default();
    findings.add(parts::secrets(observed));
    findings.add(kafka::brokers(storefront, observed, before));
    findings.add(kafka::topics(plan, observed, before));
    findings.add(parts::database(storefront, observed));
    findings.extend(parts::services(plan, observed));
    findings
}
