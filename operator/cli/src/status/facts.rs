//! What is known of one shop, as plain data. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{self, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::ResourceExt;
use serde::Serialize;
use storefront_operator::{
    Storefront,
    api::{GroupStatus, TopicStatus},
    status::reasons,
};

use super::{advice, advice::Problem, events, events::Happening};
use crate::words;

const COMPONENT: &str = "app.kubernetes.io/component";
const OPERATOR: &str = "storefront-operator";

/// What stands around a Storefront in the cluster.
#[derive(Debug, Default)]
pub struct Around {
    pub deployments: Vec<Deployment>,
    pub sets: Vec<StatefulSet>,
    pub events: Vec<v1::Event>,
    /// What may not be read, as sentences.
    pub not_looked_at: Vec<String>,
}

/// One shop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shop {
    pub namespace: String,
    pub name: String,
    pub ready: bool,
    /// Why it is ready or not: the reason of the condition `Ready`.
    pub reason: String,
    pub message: String,
    /// Since when it is so.
    pub since: Option<Timestamp>,
    pub url: Option<String>,
    pub created: Option<Timestamp>,
    pub deleting: bool,
    pub paused: bool,
    pub generation: Option<i64>,
    /// Generation that all this is about.
    pub observed_generation: Option<i64>,
    /// When the operator last had something new to say.
    pub written: Option<Timestamp>,
    pub problems: Vec<Problem>,
    pub parts: Vec<Part>,
    pub conditions: Vec<Condition>,
    pub topics: Vec<TopicStatus>,
    pub groups: Vec<GroupStatus>,
    pub lag: Option<i64>,
    pub events: Vec<Happening>,
    pub not_looked_at: Vec<String>,
    #[serde(skip)]
    pub now: Timestamp,
}

/// One Deployment or `StatefulSet`.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    pub component: String,
    pub ready: i32,
    pub wanted: i32,
    /// Instances of the newest kind.
    pub updated: i32,
    pub image: String,
}

impl Shop {
    pub fn new(storefront: &Storefront, around: &Around, kubectl: &str, now: Timestamp) -> Self {
        let status = storefront.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|it| it.type_ == reasons::READY);
        let metadata = &storefront.metadata;
        // Ready of an older edit says nothing of this one.
        let is_current = status.observed_generation == metadata.generation;
        let deleting = metadata.deletion_timestamp.is_some();
        let mut shop = Self {
            namespace: storefront.namespace().unwrap_or_default(),
            name: storefront.name_any(),
            ready: ready.is_some_and(|it| it.status == "True") && is_current && !deleting,
            reason: ready.map_or_else(|| "NotObserved".to_owned(), |it| it.reason.clone()),
            message: ready.map(|it| it.message.clone()).unwrap_or_default(),
            since: ready.map(|it| it.last_transition_time.0),
            url: status.url,
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleting,
            paused: storefront.spec.paused == Some(true),
            generation: metadata.generation,
            observed_generation: status.observed_generation,
            written: written(metadata),
            problems: Vec::new(),
            parts: parts(around),
            conditions: status.conditions,
            topics: status.topics,
            groups: status.groups,
            lag: status.lag,
            events: events::of(storefront, &around.events),
            not_looked_at: around.not_looked_at.clone(),
            now,
        };
        shop.problems = advice::problems(&shop, storefront, kubectl);
        shop
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the operator has seen the newest edit.
    pub fn is_current(&self) -> bool {
        self.observed_generation == self.generation
    }

    /// It is ready, and what runs is the newest edit: a shop serves on while another one rolls out, and
    /// when it cannot be applied.
    pub fn has_settled(&self) -> bool {
        let rolls = self.condition(reasons::PROGRESSING).is_some_and(|it| it.status == "True");
        self.ready && !rolls && self.reason != reasons::RUNS_AS_BEFORE
    }

    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// What a shop that has not settled waits for, in one line.
    pub fn waits_for(&self) -> Option<String> {
        if self.has_settled() {
            return None;
        }
        let first = self.problems.first().map(|problem| problem.message.as_str());
        let rolls = self.condition(reasons::PROGRESSING).map(|it| it.message.as_str());
        let why = first.or(rolls).unwrap_or(&self.message);
        Some(format!("{}: {why}", self.name))
    }

    /// How long ago something was.
    pub fn ago(&self, then: Option<Timestamp>) -> String {
        words::age(then, self.now)
    }
}

/// When the operator wrote the status last.
fn written(metadata: &ObjectMeta) -> Option<Timestamp> {
    let entries = metadata.managed_fields.iter().flatten().filter(|entry| {
        entry.manager.as_deref() == Some(OPERATOR) && entry.subresource.as_deref() == Some("status")
    });
    entries.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

fn parts(around: &Around) -> Vec<Part> {
    let deployments = around.deployments.iter().map(|it| {
        let (spec, status) = (it.spec.as_ref(), it.status.as_ref());
        let counts = status.map(|status| (status.ready_replicas, status.updated_replicas));
        part(&it.metadata, spec.map(|spec| (spec.replicas, &spec.template)), counts)
    });
    let sets = around.sets.iter().map(|it| {
        let (spec, status) = (it.spec.as_ref(), it.status.as_ref());
        let counts = status.map(|status| (status.ready_replicas, status.updated_replicas));
        part(&it.metadata, spec.map(|spec| (spec.replicas, &spec.template)), counts)
    });
    let mut parts: Vec<_> = deployments.chain(sets).collect();
    // In the order in which a payment meets them, then what stands behind.
    let order = storefront_contract::CATALOG.iter().map(|entry| entry.id.name());
    let order: Vec<_> = order.chain(["kafka", "database", "sandbox"]).collect();
    let place = |part: &Part| order.iter().position(|name| *name == part.component);
    parts.sort_by_key(|part| (place(part).unwrap_or(order.len()), part.component.clone()));
    parts
}

/// Which part it is and what it runs; the first container is ours, others are added behind it.
fn part(
    metadata: &ObjectMeta,
    spec: Option<(Option<i32>, &PodTemplateSpec)>,
    ready_and_updated: Option<(Option<i32>, Option<i32>)>,
) -> Part {
    let component = metadata.labels.as_ref().and_then(|labels| labels.get(COMPONENT)).cloned();
    let containers = spec.and_then(|(_, template)| template.spec.as_ref());
    let first = containers.and_then(|spec| spec.containers.first());
    let (ready, updated) = ready_and_updated.unwrap_or_default();
    Part {
        component: component.or_else(|| metadata.name.clone()).unwrap_or_default(),
        ready: ready.unwrap_or_default(),
        wanted: spec.and_then(|(replicas, _)| replicas).unwrap_or(1),
        updated: updated.unwrap_or_default(),
        image: first.and_then(|container| container.image.clone()).unwrap_or_default(),
    }
}
