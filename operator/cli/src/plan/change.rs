//! What the operator would do to the objects of a shop, from what it renders and what is there: the same
//! judgements that it makes when it applies. Pure.

use std::collections::BTreeSet;

use kube::{ResourceExt, core::DynamicObject};
use serde::Serialize;
use serde_json::Value;
use storefront_operator::{
    controller::{
        apply::{APPLIED_HASH, is_applied, is_pruned, not_taken, replicas_to_hand_over, with_hash},
        error::Error,
        observe::Live,
    },
    render::{Object, RETAIN},
};

use super::{
    cost::{self, Restart},
    difference::{Difference, differences, join},
    owned,
};

const COMPONENT: &str = "app.kubernetes.io/component";
/// Fields of a `StatefulSet` that may change; for any other it is made anew.
const CHANGEABLE: &[&str] = &[
    "metadata",
    "spec.replicas",
    "spec.template",
    "spec.updateStrategy",
    "spec.revisionHistoryLimit",
    "spec.persistentVolumeClaimRetentionPolicy",
    "spec.minReadySeconds",
    "spec.ordinals",
];

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    Create,
    Change,
    /// Deleted without what belongs to it, and created again.
    Replace,
    Delete,
    /// It is not wanted any more and stays all the same.
    Keep,
}

/// One object to which something happens.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    pub action: Action,
    pub kind: String,
    pub name: String,
    pub differences: Vec<Difference>,
    /// Pods that are made anew for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Change {
    pub fn new(action: Action, kind: &str, name: &str) -> Self {
        Self {
            action,
            kind: kind.to_owned(),
            name: name.to_owned(),
            differences: Vec::new(),
            restart: None,
            note: None,
        }
    }
}

/// Kinds that could not be looked at: nothing is said about them.
pub type Unseen = BTreeSet<String>;

/// Everything that would happen, in the operator's order; or why it would refuse.
pub fn changes(
    objects: &[Object],
    live: &Live,
    uid: &str,
    unseen: &Unseen,
) -> Result<Vec<Change>, Error> {
    let mut found = Vec::new();
    for object in objects {
        live.find(object.kind(), object.name()).map_or(Ok(()), |there| not_taken(object, there))?;
    }
    for object in objects.iter().filter(|object| !unseen.contains(object.kind())) {
        found.extend(change(objects, object, live)?);
    }
    let pruned = live.objects.iter().filter(|there| is_pruned(there, objects, uid));
    let pruned: Vec<_> = pruned.collect();
    found.extend(pruned.iter().map(|there| deletion(there)));
    found.extend(kept(&pruned, objects, live));
    Ok(found)
}

fn change(objects: &[Object], object: &Object, live: &Live) -> Result<Option<Change>, Error> {
    let (kind, name) = (object.kind(), object.name());
    let wanted = with_hash(object)?;
    let Some(there) = live.find(kind, name) else {
        return Ok(Some(Change::new(Action::Create, kind, name)));
    };
    if is_applied(&wanted, there) {
        return Ok(None);
    }
    let now = serde_json::to_value(there).unwrap_or_default();
    let mut differences = differences(&wanted, &now);
    differences.extend(owned::removed(there, &wanted));
    let replicas_stay = replicas_to_hand_over(objects, object, live).is_some();
    let mark = join("metadata.annotations", APPLIED_HASH);
    differences.retain(|it| it.path != mark && !(replicas_stay && it.path == "spec.replicas"));
    let mut change = Change::new(Action::Change, kind, name);
    let fixed = |path: &str| !CHANGEABLE.iter().any(|field| path.starts_with(field));
    if kind == "StatefulSet" && differences.iter().any(|it| fixed(&it.path)) {
        change.action = Action::Replace;
        let note = "it goes without its pods and disks, and is made anew around them";
        change.note = Some(note.to_owned());
    }
    change.restart = cost::restart(&wanted, &now, &differences);
    if replicas_stay {
        let note =
            "a scaler decides the number of its instances from now on, beginning with what it is";
        change.note = Some(note.to_owned());
    } else if differences.is_empty() {
        let note =
            "nothing that is seen: what wrote it last was another version, or took less away";
        change.note = Some(note.to_owned());
    }
    change.differences = differences.into_iter().map(|it| hidden(kind, it)).collect();
    Ok(Some(change))
}

/// Nobody learns what a Secret holds.
fn hidden(kind: &str, mut difference: Difference) -> Difference {
    let holds = ["data", "stringData"].iter().any(|field| difference.path.starts_with(field));
    if kind == "Secret" && holds {
        for value in [&mut difference.before, &mut difference.after].into_iter().flatten() {
            *value = Value::String("(not shown)".to_owned());
        }
    }
    difference
}

fn kind_of(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

fn deletion(there: &DynamicObject) -> Change {
    let mut change = Change::new(Action::Delete, kind_of(there), &there.name_any());
    if kind_of(there) == "StatefulSet" {
        let policy = &there.data["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"];
        change.note = Some(match policy.as_str() {
            Some("Delete") => "its disks go with it, and all that is on them".to_owned(),
            _ => format!("its disks stay: {}", disks(there).join(", ")),
        });
    }
    change
}

fn disks(set: &DynamicObject) -> Vec<String> {
    let templates = set.data["spec"]["volumeClaimTemplates"].as_array();
    let names = templates.into_iter().flatten().filter_map(|it| it["metadata"]["name"].as_str());
    let replicas = set.data["spec"]["replicas"].as_u64().unwrap_or(1);
    names
        .flat_map(|name| (0..replicas).map(move |number| (name, number)))
        .map(|(name, number)| format!("{name}-{}-{number}", set.name_any()))
        .collect()
}

/// What belongs to something that goes and is retained itself.
fn kept(pruned: &[&DynamicObject], objects: &[Object], live: &Live) -> Vec<Change> {
    let component = |object: &DynamicObject| object.labels().get(COMPONENT).cloned();
    let goes: BTreeSet<_> = pruned.iter().filter_map(|there| component(there)).collect();
    let is_wanted = |there: &DynamicObject| {
        objects.iter().any(|it| it.kind() == kind_of(there) && it.name() == there.name_any())
    };
    let kept = live.objects.iter().filter(|there| {
        there.annotations().contains_key(RETAIN)
            && !is_wanted(there)
            && component(there).is_some_and(|component| goes.contains(&component))
    });
    let note = "it opens the disks that stay, and is taken up again with them";
    kept.map(|there| Change {
        note: Some(note.to_owned()),
        ..Change::new(Action::Keep, kind_of(there), &there.name_any())
    })
    .collect()
}
