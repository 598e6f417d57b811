//! What is worth an Event: a condition that has changed. Nothing is said twice.

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
    let known = |type_: &str| {
        let conditions = before.iter().flat_map(|status| &status.conditions);
        conditions.clone().find(|condition| condition.type_ == type_).cloned()
    };
    let mut events = Vec::new();
    for condition in &after.conditions {
        let quiet = [super::reasons::PROGRESSING, super::reasons::DEGRADED];
        let waits = [super::reasons::STARTING, super::reasons::NOT_CREATED];
        if quiet.contains(&condition.type_.as_str()) || waits.contains(&condition.reason.as_str()) {
            continue;
        }
        let is_new = known(&condition.type_)
            .is_none_or(|old| (&old.status, &old.reason) != (&condition.status, &condition.reason));
        if is_new && condition.status != "Unknown" {
            events.push(Event {
                warning: condition.status == "False",
                reason: condition.reason.clone(),
                note: format!("{}: {}", condition.type_, condition.message),
            });
        }
    }
    events
}
