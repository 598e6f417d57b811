//! From findings to `metav1.Condition`s.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::StorefrontStatus;

/// Longest message that is written: a status is read by people, and copied by every watch.
const MESSAGE_MAX_LENGTH: usize = 2_000;

/// One statement: so, not so, or not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub type_: String,
    pub holds: Option<bool>,
    pub reason: String,
    pub message: String,
}

impl Finding {
    pub fn new(
        type_: impl Into<String>,
        holds: impl Into<Option<bool>>,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_: type_.into(),
            holds: holds.into(),
            reason: reason.into(),
            message: message.into(),
        }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// Every statement, in the order in which a shop comes up.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

impl Findings {
    pub fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// What was said before about everything but the shop as a whole.
    pub fn keep(&mut self, before: &StorefrontStatus) {
        let whole = super::parts::WHOLE;
        let parts = before.conditions.iter().filter(|c| !whole.contains(&c.type_.as_str()));
        self.extend(parts.map(|condition| {
            let holds = match condition.status.as_str() {
                "True" => Some(true),
                "False" => Some(false),
                _ => None,
            };
            Finding::new(&condition.type_, holds, &condition.reason, &condition.message)
        }));
    }

    /// Puts one to the front.
    pub fn lead(&mut self, findings: [Finding; 3]) {
        self.0.splice(0..0, findings);
    }
}

/// The conditions. A time is carried over unless the status itself has changed.
pub(super) fn conditions(
    before: &[Condition],
    findings: Findings,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    findings.0.into_iter().map(|finding| condition(before, finding, generation, now)).collect()
}

fn condition(
    before: &[Condition],
    finding: Finding,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let status = finding.status();
    let same = before.iter().find(|c| c.type_ == finding.type_ && c.status == status);
    let changed = Time(in_whole_seconds(now));
    Condition {
        last_transition_time: same.map_or(changed, |c| c.last_transition_time.clone()),
        message: shortened(finding.message),
        observed_generation: generation,
        reason: finding.reason,
        status: status.to_owned(),
        type_: finding.type_,
    }
}

/// As the API server keeps it: a finer time would come back as another one.
fn in_whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_MAX_LENGTH {
        let end = (0..=MESSAGE_MAX_LENGTH).rev().find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}
