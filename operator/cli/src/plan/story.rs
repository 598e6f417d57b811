//! The whole story of one shop: what changes, what is refused, what it costs, and what is not known. Pure.

use kube::ResourceExt;
use serde::Serialize;
use storefront_contract::CATALOG;
use storefront_operator::{
    Storefront,
    api::KIND,
    controller::{
        FINALIZER, error::Error as Trouble, needs_finalizer, observe, older_twin, releases,
    },
    manifest::{self, Manifest},
    plan::{Placement, Plan},
    references::{Kind, Missing},
    render::{Input, Object, render},
};

use super::{
    change::{Action, Change, changes},
    difference::{Difference, both_ways},
    look::{Seen, Shops},
    topics::{Edit, TopicAction, TopicLine, topics},
};
use crate::cluster::Error;

/// Everything that a plan is told from.
pub struct Known<'a> {
    pub manifest: &'a Manifest,
    pub shops: &'a Shops,
    pub seen: &'a Seen,
    /// What is rendered for it.
    pub objects: &'a [Object],
    pub plan: &'a Plan,
    /// Of the shop as it is in the cluster.
    pub plan_before: Option<&'a Plan>,
}

/// What would happen to one shop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story {
    pub namespace: String,
    pub name: String,
    /// Why nothing would happen: the API server or the operator says no.
    pub refused: Vec<String>,
    /// The Storefront itself, then its objects in the operator's order.
    pub changes: Vec<Change>,
    pub topics: Vec<TopicLine>,
    /// What else there is to know.
    pub notes: Vec<String>,
    /// Where facts are from that nobody looked up.
    pub sources: Vec<String>,
    pub not_looked_at: Vec<String>,
}

impl Story {
    pub fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub fn changes_something(&self) -> bool {
        self.changes.iter().any(|change| change.action != Action::Keep)
            || self.topics.iter().any(|line| line.action != TopicAction::Keep)
    }
}

/// Tells it.
pub fn tell(known: &Known<'_>) -> Result<Story, Error> {
    let Known { shops, seen, .. } = known;
    let (before, after) = (shops.before.as_ref(), &shops.after);
    let mut story = Story {
        namespace: after.namespace().unwrap_or_default(),
        name: after.name_any(),
        refused: refused(known)?,
        changes: storefront(before, after).into_iter().collect(),
        topics: Vec::new(),
        notes: known.plan.notes.clone(),
        sources: Vec::new(),
        not_looked_at: [&shops.not_looked_at[..], &seen.not_looked_at[..]].concat(),
    };
    if after.metadata.deletion_timestamp.is_some() {
        let why = "the Storefront is being deleted: wait until it is gone, then apply the manifest";
        story.refused.push(why.to_owned());
    }
    if story.is_refused() {
        story.changes.truncate(1);
        return Ok(story);
    }
    if after.spec.paused == Some(true) {
        let why = "paused: true: the operator changes nothing but this until it is false";
        story.notes.push(why.to_owned());
        return Ok(story);
    }
    objects(known, &mut story)?;
    if story.is_refused() {
        return Ok(story);
    }
    let edit = Edit { before, plan_before: known.plan_before, after, plan: known.plan };
    let found = topics(&edit, &seen.live);
    story.topics = found.lines;
    story.notes.extend(notes(known, &edit));
    story.sources.extend(sources(&story, &seen.installed.source, found.source));
    story.notes.extend(other_version(known));
    Ok(story)
}

/// Who reads what does not change need not know from where it is known.
fn sources(story: &Story, images: &str, topics: String) -> Vec<String> {
    let has_image = |it: &Change| {
        let is_new =
            it.action == Action::Create && ["Deployment", "StatefulSet"].contains(&&*it.kind);
        is_new || it.differences.iter().any(|it| it.path.rsplit('.').next() == Some("image"))
    };
    let images = story.changes.iter().any(has_image).then(|| format!("images: {images}"));
    let topics = (!story.topics.is_empty()).then_some(topics);
    images.into_iter().chain(topics).collect()
}

/// What the API server refuses, or else the operator.
fn refused(known: &Known<'_>) -> Result<Vec<String>, Error> {
    let Known { shops, seen, .. } = known;
    let mut refused: Vec<_> = shops.no_place.iter().cloned().collect();
    if let Some(before) = shops.before.as_ref().filter(|it| it.spec != shops.after.spec) {
        let edits = manifest::refused_edits(before, &shops.after).map_err(Error::Rules)?;
        refused.extend(edits.into_iter().map(|problem| match problem.path.as_str() {
            "" => problem.message,
            path => format!("{path}: {}", problem.message),
        }));
    }
    if let Some(other) = older_twin(&shops.after, &shops.all) {
        refused.push(Trouble::SharedPrefix { other }.to_string());
    }
    let options = &seen.installed.options;
    refused
        .extend(releases::check(&shops.after, options, &seen.live).err().map(|it| it.to_string()));
    Ok(refused)
}

/// What happens to the Storefront itself.
fn storefront(before: Option<&Storefront>, after: &Storefront) -> Option<Change> {
    let name = after.name_any();
    let Some(before) = before else {
        return Some(Change::new(Action::Create, KIND, &name));
    };
    let spec = |it: &Storefront| serde_json::json!({ "spec": it.spec });
    let mut differences = both_ways(&spec(before), &spec(after));
    let has = before.finalizers().iter().any(|name| name == FINALIZER);
    let wants = needs_finalizer(after) && after.spec.paused != Some(true);
    if has != wants {
        let there = |there: bool| there.then(|| FINALIZER.into());
        differences.push(Difference {
            path: "metadata.finalizers".to_owned(),
            before: there(has),
            after: there(wants),
        });
    }
    (!differences.is_empty())
        .then(|| Change { differences, ..Change::new(Action::Change, KIND, &name) })
}

/// What the operator would apply; nothing when it would not even begin.
pub fn rendered(shops: &Shops, seen: &Seen, placement: &Placement, plan: &Plan) -> Vec<Object> {
    let Ok(generated) = &seen.generated else { return Vec::new() };
    render(&Input {
        storefront: &shops.after,
        plan,
        placement,
        options: &seen.installed.options,
        generated,
        apis: &seen.apis,
    })
}

fn objects(known: &Known<'_>, story: &mut Story) -> Result<(), Error> {
    let Known { shops, seen, objects, .. } = known;
    if let Err(trouble) = &seen.generated {
        story.refused.push(trouble.story());
        return Ok(());
    }
    let uid = shops.after.uid().unwrap_or_default();
    match changes(objects, &seen.live, &uid, &seen.unseen) {
        Ok(changes) => story.changes.extend(changes),
        Err(taken @ (Trouble::Taken { .. } | Trouble::Foreign { .. })) => {
            story.refused.push(taken.story());
        }
        Err(other) => return Err(Error::Operator(other)),
    }
    Ok(())
}

/// What is true after the edit and easily overlooked.
fn notes(known: &Known<'_>, edit: &Edit<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let in_file = |missing: &Missing| match missing.reference.kind {
        Kind::Secret => {
            known.manifest.ignored.contains(&format!("Secret {}", missing.reference.name))
        }
        Kind::ConfigMap => known.manifest.config_maps.contains_key(&missing.reference.name),
    };
    for missing in &known.seen.missing {
        let Missing { reference, .. } = missing;
        notes.push(if in_file(missing) {
            let object = format!("{} {}", reference.kind.name(), reference.name);
            format!("{object} is in the file, and is taken to be applied with it")
        } else {
            missing.to_string()
        });
    }
    for missing in observe::missing_apis(edit.after, &known.seen.apis) {
        notes.push(format!(
            "{} needs {}, which this cluster does not serve: install it, or leave the field out",
            missing.field, missing.api
        ));
    }
    if edit.moves() {
        let lag = edit.before.and_then(|before| before.status.as_ref()?.lag);
        let lag = lag.map(|lag| format!(" (the lag is {lag} now)")).unwrap_or_default();
        notes.push(format!(
            "the shop leaves its brokers: events that consumers have not taken yet stay there{lag}, \
             and so do its topics"
        ));
    }
    let database = |it: &Storefront| {
        serde_json::to_value(&it.spec.database).unwrap_or_default()["external"].clone()
    };
    if edit.before.is_some_and(|before| database(before) != database(edit.after)) {
        let note = "the shop leaves its database: orders, payments and mails are not moved";
        notes.push(note.to_owned());
    }
    notes.extend(switched(edit));
    notes
}

/// Services that are switched off or on.
fn switched(edit: &Edit<'_>) -> Vec<String> {
    let Some(before) = edit.plan_before else { return Vec::new() };
    let mut notes = Vec::new();
    for entry in CATALOG.iter().filter(|entry| entry.group.is_some()) {
        let name = entry.id.name();
        match (before.service(entry.id).is_some(), edit.plan.service(entry.id).is_some()) {
            (true, false) => notes.push(format!(
                "{name} is switched off: its events wait as long as their topics keep them, and its \
                 tables stay in the database"
            )),
            (false, true) => notes.push(format!(
                "{name} is switched on: it begins with the oldest event that its topics keep and it has \
                 not handled"
            )),
            _ => {}
        }
    }
    notes
}

/// Another version may render otherwise.
fn other_version(known: &Known<'_>) -> Option<String> {
    let own = env!("CARGO_PKG_VERSION");
    let other = known.seen.installed.version.as_deref().filter(|version| *version != own)?;
    Some(format!(
        "the operator is of version {other} and this command of {own}: what it does may differ from this"
    ))
}
