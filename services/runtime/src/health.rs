//! Whether a service can do its work, told by the parts of it that know. Does no I/O: nothing is
//! probed here, so that asking often costs nothing and cannot fail.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Longest reason kept, in characters. It is for a person who reads `/readyz`, not for a log.
const REASON_MAX_CHARS: usize = 300;

/// The health of one service instance. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopping: AtomicBool,
    dependencies: Mutex<BTreeMap<&'static str, State>>,
}

/// What is known of one dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Dependency")]
struct State {
    up: bool,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<String>,
    /// When it last went up or down.
    #[schemars(with = "String", extend("format" = "date-time"))]
    since: Timestamp,
}

/// The answer to `/readyz`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// `waiting` is for a dependency.
    #[schemars(extend("enum" = ["ready", "waiting", "stopping"]))]
    pub state: &'static str,
    dependencies: BTreeMap<&'static str, State>,
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// Names something that this service cannot work without. It counts as down until
    /// [`Dependency::up`] is called; asking twice for a name gives the same dependency.
    pub fn dependency(&self, name: &'static str) -> Dependency {
        let state =
            || State { up: false, reason: Some("starting".into()), since: Timestamp::now() };
        self.dependencies().entry(name).or_insert_with(state);
        Dependency { health: self.clone(), name }
    }

    /// Every dependency is up and the service is not stopping.
    pub fn is_ready(&self) -> bool {
        !self.is_stopping() && self.dependencies().values().all(|state| state.up)
    }

    /// From now on not ready, whatever the dependencies do.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// All that is known, for `/readyz`.
    pub fn readiness(&self) -> Readiness {
        let dependencies = self.dependencies().clone();
        let up = dependencies.values().all(|state| state.up);
        let state = match (self.is_stopping(), up) {
            (true, _) => "stopping",
            (false, true) => "ready",
            (false, false) => "waiting",
        };
        Readiness { ready: state == "ready", state, dependencies }
    }

    fn dependencies(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.0.dependencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that a service cannot work without. Clones speak for the same thing.
#[derive(Clone, Debug)]
pub struct Dependency {
    health: Health,
    name: &'static str,
}

impl Dependency {
    /// It works. Cheap enough to be called after every success.
    pub fn up(&self) {
        if self.change(true, None) {
            tracing::info!(dependency = self.name, "dependency is up");
        }
    }

    /// It does not, and why. The reason is shown on the admin port only, in one line.
    pub fn down(&self, why: impl Display) {
        let mut reason: String = why.to_string();
        if let Some((end, _)) = reason.char_indices().nth(REASON_MAX_CHARS) {
            reason.truncate(end);
        }
        if self.change(false, Some(reason)) {
            tracing::warn!(dependency = self.name, reason = %why, "dependency is down");
        }
    }

    pub fn is_up(&self) -> bool {
        self.health.dependencies().get(self.name).is_some_and(|state| state.up)
    }

    /// Whether `up` differs from what was known; being down at the start is nobody's news.
    fn change(&self, up: bool, reason: Option<String>) -> bool {
        let mut dependencies = self.health.dependencies();
        let Some(state) = dependencies.get_mut(self.name) else { return false };
        if state.up == up {
            if state.reason != reason {
                state.reason = reason;
            }
            return false;
        }
        *state = State { up, reason, since: Timestamp::now() };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_every_dependency_is_up() {
        let health = Health::new();
        assert!(health.is_ready());
        let (kafka, database) = (health.dependency("kafka"), health.dependency("database"));
        kafka.up();
        assert!(!health.is_ready());
        database.up();
        assert!(health.is_ready());
        kafka.down("no broker answers");
        assert!(!health.is_ready() && !health.dependency("kafka").is_up());
    }

    #[test]
    fn stopping_wins_over_everything() {
        let health = Health::new();
        health.dependency("database").up();
        health.stopping();
        let readiness = health.readiness();
        assert!(!health.is_ready() && !readiness.ready);
        assert_eq!(readiness.state, "stopping");
    }

    #[test]
    fn readiness_says_what_is_down_and_why_in_bounded_words() {
        let health = Health::new();
        health.dependency("database").up();
        health.dependency("kafka").down("ü".repeat(1_000));
        let json = serde_json::to_value(health.readiness()).unwrap();
        assert_eq!(json["state"], "waiting");
        assert_eq!(json["dependencies"]["database"]["up"], true);
        assert_eq!(json["dependencies"]["kafka"]["reason"].as_str().unwrap().chars().count(), 300);
    }
}
