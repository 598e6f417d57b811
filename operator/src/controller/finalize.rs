//! The end of a shop. Everything that it owns goes by its owner references; only topics that are to be
//! deleted need us, and nobody waits for brokers that are gone.

use std::time::Duration;

use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::controller::Action,
};
use serde_json::json;

use crate::{
    api::{API_VERSION, DeletionPolicy, KIND, Storefront},
    controller::{
        brokers::{blocking, properties, trouble},
        context::{Context, shop},
        error::Error,
        kinds,
        ledger::Ledger,
        observe,
        shops::readable,
        topics,
        twins::Identity,
    },
    names,
    plan::{Placement, plan},
    render::Apis,
    status::Event,
};

pub const FINALIZER: &str = "storefront.dev/topics";
/// After this long without success the topics stay, and the shop goes.
const LIMIT: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(5);

/// Whether deleting the shop has to delete topics. Those of managed brokers go with their disks, those of
/// Strimzi with their objects.
pub fn is_needed(storefront: &Storefront) -> bool {
    let policy = storefront.spec.topic_policy().deletion;
    policy == DeletionPolicy::Delete && storefront.spec.external_kafka().is_some()
}

/// Puts the finalizer there, or takes it away. Returns the number of writes.
pub(crate) async fn prepare(storefront: &Storefront, context: &Context) -> Result<usize, Error> {
    let there = storefront.finalizers().iter().any(|name| name == FINALIZER);
    if there == is_needed(storefront) {
        return Ok(0);
    }
    set(storefront, context, !there).await?;
    Ok(1)
}

/// What is left to do for a shop that is being deleted.
pub(crate) async fn run(storefront: &Storefront, context: &Context) -> Result<Action, Error> {
    let (namespace, name) = (storefront.namespace().unwrap_or_default(), storefront.name_any());
    context.looks.forget(storefront);
    context.begun.forget(storefront);
    context.cluster.metrics.gone(&shop(storefront));
    if !storefront.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(Action::await_change());
    }
    let since = storefront.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    let waited = since.map_or(0, |since| Timestamp::now().as_second() - since.as_second());
    let expired = u64::try_from(waited).is_ok_and(|waited| waited >= LIMIT.as_secs());
    match delete_topics(storefront, context).await {
        Ok(()) => {}
        Err(Error::NotLeading) => return Err(Error::NotLeading),
        Err(error) if expired => {
            let why = match &error {
                Error::Brokers(error) => trouble(storefront, error).message,
                other => other.story(),
            };
            let note = format!("the topics stay, delete them by hand: {why}");
            let event = Event { warning: true, reason: "TopicsLeft".into(), note };
            context.publish(storefront, &event).await;
        }
        Err(error) => {
            tracing::warn!(storefront = name, namespace, "topics stay for now: {}", error.story());
            return Ok(Action::requeue(AGAIN));
        }
    }
    set(storefront, context, false).await?;
    Ok(Action::await_change())
}

async fn delete_topics(storefront: &Storefront, context: &Context) -> Result<(), Error> {
    let (namespace, shop) = (storefront.namespace().unwrap_or_default(), storefront.name_any());
    let cluster = &context.cluster;
    let live = observe::live(cluster, &namespace, &shop, &Apis::default()).await?;
    let ledger = Ledger::read(&live, &shop);
    if ledger.is_empty() {
        return Ok(());
    }
    readable(storefront)?;
    if !is_needed(storefront) {
        return Ok(());
    }
    let placement = Placement::cluster(storefront, &namespace)?;
    let plan = plan(storefront, &placement)?;
    let others = observe::others(cluster, &namespace, &plan).await?;
    cluster.write("Topic", "delete")?;
    let properties = properties(storefront, &others);
    let open = move || {
        let session = topics::open(&properties)?;
        let id = session.cluster_id(topics::TIMEOUT);
        Ok((session, id))
    };
    let (session, id) = blocking(open).await?;
    let brokers = Identity::of(storefront).unwrap_or_default().with_id(id);
    let ours = ledger.topics_of(&brokers);
    if ours.is_empty() {
        return Ok(());
    }
    topics::delete(&session, ours).await.map_err(|source| {
        Error::Brokers(Box::new(storefront_inspect::InspectError::NoAnswer {
            brokers: session.connection().brokers().to_owned(),
            said: None,
            source: Box::new(source),
        }))
    })?;
    let ledger = live.find("ConfigMap", &names::object(&shop, names::TOPICS));
    if let Some(ledger) = ledger {
        let resource = kinds::resource("v1", "ConfigMap");
        cluster.delete(&namespace, &resource, ledger, false).await?;
    }
    Ok(())
}

/// Adds or takes away our finalizer, and leaves those of others alone.
async fn set(storefront: &Storefront, context: &Context, present: bool) -> Result<(), Error> {
    let name = storefront.name_any();
    context.cluster.write(KIND, "finalizer")?;
    let mut finalizers: Vec<_> =
        storefront.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    finalizers.extend(present.then(|| FINALIZER.to_owned()));
    // With the version: a list that has changed meanwhile must not be overwritten.
    let patch = json!({"metadata": {
        "finalizers": finalizers,
        "resourceVersion": storefront.metadata.resource_version,
    }});
    let namespace = storefront.namespace().unwrap_or_default();
    let api = context.cluster.api(&namespace, &kinds::resource(API_VERSION, KIND));
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
    match context.cluster.written(api.patch(&name, &parameters, &patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(Error::Apply { kind: KIND.into(), name, source }),
    }
}
