//! Objects that somebody else changes each time they are put back: two controllers with two opinions would write for
//! ever, as fast as they can. The operator puts back what is its own, and later each time once it looks like that.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{ResourceExt, core::DynamicObject};
use serde_json::Value;

use super::{APPLIED_HASH, compare};
use crate::{controller::cluster::FIELD_MANAGER, render::Object};

/// So often in a row an object is put back at once: a person may need some attempts until they read what owns it.
const AT_ONCE: u32 = 5;
/// Then after this long, and twice as long each time…
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// …up to this.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// After so long without a change the matter is over. Longer than any wait.
const OVER_AFTER: Duration = Duration::from_secs(900);

/// By kind and name.
type Rows = HashMap<(String, String), Row>;

/// What this process has applied, by the shop's uid.
#[derive(Debug, Default)]
pub struct Contests(Mutex<HashMap<String, Rows>>);

#[derive(Debug)]
struct Row {
    /// Of what was applied: something else begins a new row.
    hash: String,
    /// How often it was put back in a row.
    restored: u32,
    at: Instant,
    /// What is changed, and by whom, for people.
    what: String,
}

impl Row {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.at) >= OVER_AFTER
    }

    /// How long until it may be put back again.
    fn left(&self, now: Instant) -> Duration {
        let Some(late) = self.restored.checked_sub(AT_ONCE) else { return Duration::ZERO };
        let wait = WAIT_FIRST.saturating_mul(2_u32.saturating_pow(late)).min(WAIT_MAX);
        (self.at + wait).saturating_duration_since(now)
    }
}

impl Contests {
    /// Whether `wanted`, which differs from what is `there`, may be applied now.
    pub fn may_apply(
        &self,
        uid: &str,
        wanted: &Value,
        there: Option<&DynamicObject>,
        now: Instant,
    ) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(row) = all.get_mut(uid).and_then(|rows| rows.get_mut(&key(wanted))) else {
            return true;
        };
        if row.hash != hash(wanted) || row.is_over(now) {
            return true;
        }
        row.what = describe(wanted, there);
        row.left(now).is_zero()
    }

    /// It was applied.
    pub fn applied(&self, uid: &str, wanted: &Value, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = all.entry(uid.to_owned()).or_default();
        let (hash, what) = (hash(wanted), String::new());
        let new = || Row { hash: hash.clone(), restored: 0, at: now, what };
        let row = rows.entry(key(wanted)).or_insert_with(new);
        if row.hash == hash && !row.is_over(now) && !row.what.is_empty() {
            row.restored = row.restored.saturating_add(1);
            row.at = now;
        } else {
            *row = Row { hash, restored: 0, at: now, what: String::new() };
        }
    }

    /// What is contested of a shop, each in a sentence that stays the same; and how long until the next of it may be put
    /// back.
    pub fn of(&self, uid: &str, now: Instant) -> (Vec<String>, Option<Duration>) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = all.get(uid).into_iter().flat_map(HashMap::values);
        let contested: Vec<_> =
            rows.filter(|row| row.restored >= AT_ONCE && !row.is_over(now)).collect();
        let mut told: Vec<_> = contested.iter().map(|row| row.what.clone()).collect();
        told.sort();
        let next = contested.iter().map(|row| row.left(now)).filter(|left| !left.is_zero()).min();
        (told, next)
    }

    /// Forgets objects of a shop that are not among these: when they are wanted again, nobody has deleted them.
    pub fn keep_wanted(&self, uid: &str, objects: &[Object]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = all.get_mut(uid) else { return };
        rows.retain(|(kind, name), _| {
            objects.iter().any(|object| object.kind() == kind && object.name() == name)
        });
    }

    /// Forgets shops that are not among these.
    pub fn keep_only(&self, uids: &HashSet<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|uid, _| uids.contains(uid));
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn key(wanted: &Value) -> (String, String) {
    (text(wanted, "/kind").to_owned(), text(wanted, "/metadata/name").to_owned())
}

fn hash(wanted: &Value) -> String {
    wanted["metadata"]["annotations"][APPLIED_HASH].as_str().unwrap_or_default().to_owned()
}

/// What differs, and who wrote last.
fn describe(wanted: &Value, there: Option<&DynamicObject>) -> String {
    let (kind, name) = key(wanted);
    let Some(there) = there else {
        return format!("{kind} {name} is deleted each time it is made: find out by whom");
    };
    let live = serde_json::to_value(there).unwrap_or_default();
    let field = compare::difference(wanted, &live).unwrap_or_default();
    let others = there.managed_fields().iter().filter(|entry| {
        entry.manager.as_deref() != Some(FIELD_MANAGER) && entry.subresource.is_none()
    });
    let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    match last.and_then(|entry| entry.manager.as_deref()) {
        Some(manager) => format!(
            "{manager} changes {field} of {kind} {name} each time it is put back: have {manager} leave it alone"
        ),
        None => format!(
            "{field} of {kind} {name} is changed each time it is put back, and nobody is named for it: look at admission webhooks"
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(image: &str) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "demo-order", "annotations": {APPLIED_HASH: image}},
            "spec": {"template": {"spec": {"containers": [{"name": "order", "image": image}]}}},
        })
    }

    fn by(manager: &str, image: &str) -> DynamicObject {
        let mut there = wanted(image);
        there["metadata"]["managedFields"] = json!([
            {"manager": FIELD_MANAGER, "time": "2026-01-03T00:00:00Z"},
            {"manager": "before", "time": "2026-01-01T00:00:00Z"},
            {"manager": manager, "time": "2026-01-02T00:00:00Z"},
            {"manager": "kubelet", "time": "2026-01-04T00:00:00Z", "subresource": "status"},
        ]);
        serde_json::from_value(there).unwrap()
    }

    /// Puts back what somebody changes as soon as that is allowed; after how many seconds each time.
    fn fight(contests: &Contests, now: &mut Instant, wanted: &Value, times: usize) -> Vec<u64> {
        let there = by("somebody", "other");
        let waits = (0..times).map(|_| {
            let mut waited = 0;
            while !contests.may_apply("1", wanted, Some(&there), *now) {
                *now += Duration::from_secs(1);
                waited += 1;
            }
            contests.applied("1", wanted, *now);
            waited
        });
        waits.collect()
    }

    #[test]
    fn who_is_overruled_each_time_waits_longer_each_time_and_says_so() {
        let (contests, mut now) = (Contests::default(), Instant::now());
        assert_eq!(fight(&contests, &mut now, &wanted("ours"), 6), [0; 6]);
        let told = "somebody changes spec.template.spec.containers[0].image of Deployment demo-order each time it is put \
                    back: have somebody leave it alone";
        assert_eq!(contests.of("1", now), (vec![told.to_owned()], Some(WAIT_FIRST)));
        assert_eq!(contests.of("2", now), (vec![], None));
        assert_eq!(fight(&contests, &mut now, &wanted("ours"), 3), [1, 2, 4]);
        assert_eq!(fight(&contests, &mut now, &wanted("ours"), 9).last(), Some(&300));
        // What is edited is another matter, and so is what was quiet for long.
        assert_eq!(fight(&contests, &mut now, &wanted("edited"), 6), [0; 6]);
        assert_eq!(fight(&contests, &mut now, &wanted("edited"), 1), [1]);
        now += OVER_AFTER;
        assert_eq!(contests.of("1", now).0, Vec::<String>::new());
        assert_eq!(fight(&contests, &mut now, &wanted("edited"), 6), [0; 6]);
        contests.keep_only(&HashSet::new());
        assert_eq!(contests.of("1", now), (vec![], None));
    }

    #[test]
    fn what_is_deleted_each_time_is_told_as_that() {
        let (contests, now, wanted) = (Contests::default(), Instant::now(), wanted("ours"));
        for _ in 0..7 {
            contests.may_apply("1", &wanted, None, now);
            contests.applied("1", &wanted, now);
        }
        assert!(!contests.may_apply("1", &wanted, None, now));
        let told = "Deployment demo-order is deleted each time it is made: find out by whom";
        assert_eq!(contests.of("1", now).0, [told]);
    }
}
