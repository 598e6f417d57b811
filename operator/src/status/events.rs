//! What is worth an Event: a condition that has changed. Nothing is said twice.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::reasons::{DEGRADED, NOT_CREATED, PROGRESSING, STARTING};
use crate::api::StorefrontStatus;

/// One Event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Something is wrong, or was and is not any more.
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

/// From one status to the next: conditions whose status or reason has changed. The shop as a whole and
/// its parts each speak for themselves; what is merely on its way says nothing.
pub fn events(before: Option<&StorefrontStatus>, after: &StorefrontStatus) -> Vec<Event> {
    let before: &[Condition] = before.map_or(&[], |status| &status.conditions);
    let mut events = Vec::new();
    for condition in &after.conditions {
        let old = before.iter().find(|old| old.type_ == condition.type_);
        let is_new = old
            .is_none_or(|old| (&old.status, &old.reason) != (&condition.status, &condition.reason));
        let speaks = match condition.type_.as_str() {
            PROGRESSING => false,
            DEGRADED => {
                tells_more(condition, &after.conditions)
                    || old.is_some_and(|old| tells_more(old, before) && condition.status == "False")
            }
            _ => ![STARTING, NOT_CREATED].contains(&condition.reason.as_str()),
        };
        if is_new && speaks && condition.status != "Unknown" {
            let bad = if condition.type_ == DEGRADED { "True" } else { "False" };
            events.push(Event {
                warning: condition.status == bad,
                reason: condition.reason.clone(),
                note: format!("{}: {}", condition.type_, condition.message),
            });
        }
    }
    events
}

/// That something is wrong which no other condition says: an attempt has failed.
fn tells_more(degraded: &Condition, all: &[Condition]) -> bool {
    let same = |other: &&Condition| {
        ![DEGRADED, PROGRESSING].contains(&other.type_.as_str()) && other.reason == degraded.reason
    };
    degraded.status == "True" && !all.iter().any(|other| same(&other))
}
