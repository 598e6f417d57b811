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
    /// It was said before, and was not looked at this time: it is still about the generation that it was about.
    pub is_kept: bool,
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
            is_kept: false,
        }
    }

    /// What was said before about something that was not looked at this time.
    pub fn as_before(before: &StorefrontStatus, type_: &str) -> Option<Self> {
        before.condition(type_).map(Self::kept)
    }

    fn kept(condition: &Condition) -> Self {
        let holds = match condition.status.as_str() {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        };
        let finding = Self::new(&condition.type_, holds, &condition.reason, &condition.message);
        Self { is_kept: true, ..finding }
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
        self.extend(parts.map(Finding::kept));
    }

    /// Puts one to the front.
    pub fn lead(&mut self, findings: [Finding; 3]) {
        self.0.splice(0..0, findings);
    }
}

/// What conditions are made from, besides findings.
#[derive(Clone, Copy)]
pub(super) struct Basis<'a> {
    pub before: &'a [Condition],
    pub generation: Option<i64>,
    /// That generation is what runs. Until then what is said about parts, and whether the shop is ready, is
    /// about the one before: who waits for an edit to be ready must go on waiting.
    pub is_applied: bool,
    pub now: Timestamp,
}

/// The conditions. A time is carried over unless the status itself has changed, and a generation unless something was
/// found out of a newer one: it tells what a condition was set upon (Kubernetes enhancement 1623).
pub(super) fn conditions(basis: Basis<'_>, findings: Findings) -> Vec<Condition> {
    findings.0.into_iter().map(|finding| condition(basis, finding)).collect()
}

fn condition(basis: Basis<'_>, finding: Finding) -> Condition {
    let Basis { before, generation, is_applied, now } = basis;
    let status = finding.status();
    let of_attempt = [super::reasons::PROGRESSING, super::reasons::DEGRADED];
    let is_current =
        !finding.is_kept && (is_applied || of_attempt.contains(&finding.type_.as_str()));
    let older = before.iter().find(|c| c.type_ == finding.type_).filter(|_| !is_current);
    let generation = older.map_or(generation, |older| older.observed_generation);
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
