//! What attempts share: the client, how the operator was installed, and what is remembered of a shop from
//! one attempt to the next. Nothing of it is needed to be right, only to be quiet.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{
    Resource, ResourceExt,
    runtime::{
        events::{Event as Published, EventType, Recorder},
        reflector::Store,
    },
};

use crate::{
    api::Storefront,
    controller::{
        apply::contest::Contests,
        cluster::{Cluster, answer},
        error::Error,
        observe,
        pulse::Shop,
        twins,
    },
    render::{Apis, Options},
    status::{Brokers, Event, TopicTrouble},
};

/// APIs come and go with what is installed; asking for each attempt would be too often.
const APIS_KNOWN_FOR: Duration = Duration::from_secs(60);
/// Of one that a shop waits for.
const APIS_MISSING_FOR: Duration = Duration::from_secs(10);
/// How long an attempt waits for watches that begin.
const WATCHES_BEGIN: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// Brokers are asked this often about topics and lag.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Those that do not answer, or are not as planned, soon, and then later each time.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Shared by all attempts.
pub struct Context {
    pub cluster: Cluster,
    pub options: Options,
    pub recorder: Recorder,
    /// The Storefronts that are watched, by place.
    pub storefronts: Vec<Store<Storefront>>,
    pub retries: Retries,
    pub looks: Looks,
    pub contests: Contests,
    pub begun: twins::Begun,
    pub apis: Mutex<Option<(Instant, Apis)>>,
}

impl Context {
    /// Every Storefront that is watched.
    pub fn storefronts(&self) -> Vec<Arc<Storefront>> {
        self.storefronts.iter().flat_map(Store::state).collect()
    }

    /// The same, once each watch has begun: a shop that is not known yet would look like one that is gone.
    pub async fn storefronts_of_all_watches(&self) -> Vec<Arc<Storefront>> {
        let all = self.storefronts.iter().map(Store::wait_until_ready);
        // One that cannot begin holds up nobody.
        let _ = tokio::time::timeout(WATCHES_BEGIN, futures_util::future::join_all(all)).await;
        self.storefronts()
    }

    /// Which optional APIs are served.
    pub async fn apis(&self, storefront: &Storefront) -> Result<Apis, Error> {
        let known = self.apis.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, mut apis)) = known
            && at.elapsed() < known_for(storefront, &apis)
        {
            // Of this shop's own brokers: another shop's say nothing about them.
            apis.strimzi_authorization =
                observe::strimzi_authorization(&self.cluster, storefront).await;
            return Ok(apis);
        }
        let apis = observe::apis(&self.cluster, storefront).await?;
        let known = Some((Instant::now(), apis.clone()));
        *self.apis.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(apis)
    }

    /// An Event is for people: when it cannot be written, the condition says the same.
    pub async fn publish(&self, storefront: &Storefront, event: &Event) {
        let published = Published {
            type_: if event.warning { EventType::Warning } else { EventType::Normal },
            reason: event.reason.clone(),
            note: Some(event.note.chars().take(1_000).collect()),
            action: "Reconcile".into(),
            secondary: None,
        };
        if self.cluster.write("Event", "create").is_err() {
            return;
        }
        if let Err(error) =
            answer(self.recorder.publish(&published, &storefront.object_ref(&()))).await
        {
            tracing::debug!(%error, "an event could not be written");
        }
    }
}

impl Context {
    /// Forgets shops that are not among these.
    pub fn keep_only(&self, there: &[Arc<Storefront>]) {
        let uids: HashSet<_> = there.iter().map(|storefront| key(storefront)).collect();
        let mut retries = self.retries.0.lock().unwrap_or_else(PoisonError::into_inner);
        retries.retain(|uid, _| uids.contains(uid));
        let mut looks = self.looks.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|uid, _| uids.contains(uid));
        self.contests.keep_only(&uids);
        self.cluster.metrics.keep_only(&there.iter().map(|storefront| shop(storefront)).collect());
    }
}

/// Namespace and name.
pub(crate) fn shop(storefront: &Storefront) -> Shop {
    (storefront.namespace().unwrap_or_default(), storefront.name_any())
}

fn known_for(storefront: &Storefront, apis: &Apis) -> Duration {
    let waits = !observe::missing_apis(storefront, apis).is_empty();
    if waits { APIS_MISSING_FOR } else { APIS_KNOWN_FOR }
}

fn key(storefront: &Storefront) -> String {
    storefront.uid().unwrap_or_default()
}

/// How often each shop has failed in a row.
#[derive(Default)]
pub struct Retries(Mutex<HashMap<String, Row>>);

/// Failures in a row.
#[derive(Clone, Copy, Default)]
struct Row {
    /// The edit that they are of: another one begins a new row.
    generation: Option<i64>,
    failed: u32,
    /// How far it has got at best.
    reached: usize,
}

impl Retries {
    /// How long to wait now: twice as long each time, with a bound.
    pub fn next(&self, storefront: &Storefront) -> Duration {
        self.with_row(storefront, |row| {
            let wait = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(row.failed));
            row.failed = row.failed.saturating_add(1);
            wait.min(RETRY_MAX)
        })
    }

    /// How often it has failed in a row until now, when it has got so far this time. Further than ever is a new
    /// row; what was only written again, because somebody overwrites it each time, is not further.
    pub fn failed(&self, storefront: &Storefront, reached: usize) -> u32 {
        self.with_row(storefront, |row| {
            if reached > row.reached {
                *row = Row { reached, failed: 0, ..*row };
            }
            row.failed
        })
    }

    /// It has not failed.
    pub fn reset(&self, storefront: &Storefront) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(storefront));
    }

    fn with_row<T>(&self, storefront: &Storefront, act: impl FnOnce(&mut Row) -> T) -> T {
        let generation = storefront.metadata.generation;
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.entry(key(storefront)).or_default();
        if row.generation != generation {
            *row = Row { generation, ..Row::default() };
        }
        act(row)
    }
}

/// What the brokers last said about each shop.
#[derive(Default)]
pub struct Looks(Mutex<HashMap<String, Kept>>);

/// One look.
#[derive(Clone)]
pub struct Seen {
    pub generation: Option<i64>,
    pub brokers: Brokers,
    pub topics: Vec<TopicTrouble>,
    /// Every topic can be used.
    pub is_whole: bool,
    /// Looks in a row until now that got no answer.
    pub unanswered: u32,
}

impl Seen {
    fn is_well(&self) -> bool {
        let known = match &self.brokers {
            Brokers::Seen(facts) => facts.groups.is_some(),
            _ => false,
        };
        known && self.is_whole && self.topics.is_empty()
    }
}

/// A look, and how long it is good for.
struct Kept {
    at: Instant,
    good_for: Duration,
    seen: Seen,
}

impl Looks {
    /// The last look, if it is not time for another one.
    pub fn fresh(&self, storefront: &Storefront) -> Option<Seen> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = looks.get(&key(storefront))?;
        let same = kept.seen.generation == storefront.metadata.generation;
        (same && kept.at.elapsed() < kept.good_for).then(|| kept.seen.clone())
    }

    /// Keeps a look that was made just now.
    pub fn keep(&self, storefront: &Storefront, seen: Seen) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looks.get(&key(storefront));
        let again =
            before.filter(|kept| kept.seen.generation == seen.generation && !kept.seen.is_well());
        let good_for = match again {
            _ if seen.is_well() => LOOK_EVERY,
            Some(kept) => (kept.good_for * 2).min(LOOK_EVERY),
            None => LOOK_AGAIN,
        };
        looks.insert(key(storefront), Kept { at: Instant::now(), good_for, seen });
    }

    /// The last look, however old.
    pub fn last(&self, storefront: &Storefront) -> Option<Seen> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(&key(storefront)).map(|kept| kept.seen.clone())
    }

    /// How long until the next one.
    pub fn next(&self, storefront: &Storefront) -> Option<Duration> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = looks.get(&key(storefront))?;
        Some(kept.good_for.saturating_sub(kept.at.elapsed()).max(RETRY_FIRST))
    }

    /// Of a shop that is gone nothing is remembered.
    pub fn forget(&self, storefront: &Storefront) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(storefront));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shop(generation: i64) -> Storefront {
        serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1",
            "kind": "Storefront",
            "metadata": {"name": "demo", "uid": "1", "generation": generation},
            "spec": {"payment": {"sandbox": {}}},
        }))
        .unwrap()
    }

    #[test]
    fn who_gets_no_further_waits_longer_each_time() {
        let (retries, shop, edited) = (Retries::default(), shop(1), shop(2));
        let waits = |shop: &Storefront, reached: usize| {
            [0; 3].map(|_| {
                retries.failed(shop, reached);
                retries.next(shop).as_secs()
            })
        };
        assert_eq!((waits(&shop, 3), retries.failed(&shop, 3)), ([1, 2, 4], 3));
        // It fails further on, and then as far as before or not even that.
        assert_eq!((waits(&shop, 7), waits(&shop, 3)), ([1, 2, 4], [8, 16, 32]));
        assert_eq!(waits(&shop, 7), [64, 128, 256]);
        // And so does the edit, which is another matter.
        assert_eq!(waits(&edited, 3), [1, 2, 4]);
        let last = (0..40).map(|_| retries.next(&edited)).last();
        assert_eq!(last, Some(RETRY_MAX));
        retries.reset(&edited);
        assert_eq!(waits(&edited, 3), [1, 2, 4]);
    }
}
