//! The operator at work: everything that speaks with a cluster and its brokers is below this module, and
//! nothing else of the library does. Here watches are wired to attempts: which events wake which shop, how
//! many are looked at at once, and how all of it ends.

pub mod apply;
mod brokers;
pub mod cluster;
pub mod context;
pub mod error;
mod finalize;
pub mod kinds;
pub mod leader;
mod ledger;
pub mod metrics;
pub mod observe;
mod optional;
pub mod pulse;
pub mod reconcile;
pub mod releases;
pub mod server;
mod shops;
pub mod topics;
mod twins;

pub use finalize::{FINALIZER, is_needed as needs_finalizer};
pub use twins::older_twin;

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::{
    FutureExt, Stream, StreamExt,
    future::{join_all, ready},
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::runtime::WatchStreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::Config,
        events::{Recorder, Reporter},
        reflector::{ObjectRef, Store},
        watcher::{self, DefaultBackoff},
    },
};
use serde::de::DeserializeOwned;

use crate::{api::Storefront, render::Options};
use apply::contest::Contests;
use cluster::{Cluster, FIELD_MANAGER};
use context::{Context, Looks, Retries};
use leader::Fence;
use metrics::Metrics;
use reconcile::{error_policy, reconcile};

const MANAGED: &str = "app.kubernetes.io/managed-by=storefront-operator";
const INSTANCE: &str = "app.kubernetes.io/instance";
/// Shops that are looked at at once.
const AT_ONCE: u16 = 8;
/// Events of one shop that come together are one attempt.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// How long a shop that is gone is remembered, at most.
const FORGET_EVERY: Duration = Duration::from_secs(15);

/// How a controller is run.
pub struct Run {
    pub client: Client,
    /// Only these namespaces; all of them when there is none.
    pub namespaces: Vec<String>,
    pub options: Options,
    pub fence: Fence,
    pub metrics: Metrics,
    /// The operator's own pod, for Events.
    pub identity: String,
    /// Whether the metadata of Secrets may be watched; without it they are looked at again and again.
    pub watch_secrets: bool,
}

/// One namespace, or all of them.
type Place = Option<String>;

/// Runs until `shutdown`, then lets attempts under way end.
pub async fn run(run: Run, shutdown: impl Future<Output = ()> + Send + Sync + 'static) {
    let mut places: Vec<Place> = run.namespaces.iter().cloned().map(Some).collect();
    if places.is_empty() {
        places.push(None);
    }
    let controllers: Vec<_> = places
        .iter()
        .map(|place| {
            let (events, there) = shops::watch(run.client.clone(), place.as_deref());
            Controller::for_stream(events, there)
        })
        .collect();
    let reporter =
        Reporter { controller: FIELD_MANAGER.into(), instance: Some(run.identity.clone()) };
    let context = Arc::new(Context {
        cluster: Cluster {
            client: run.client.clone(),
            fence: run.fence.clone(),
            metrics: run.metrics.clone(),
        },
        options: run.options.clone(),
        recorder: Recorder::new(run.client.clone(), reporter),
        storefronts: controllers.iter().map(Controller::store).collect(),
        retries: Retries::default(),
        looks: Looks::default(),
        contests: Contests::default(),
        begun: twins::Begun::default(),
        apis: std::sync::Mutex::default(),
    });
    let shutdown = shutdown.shared();
    let at_once = AT_ONCE.div_ceil(u16::try_from(places.len()).unwrap_or(AT_ONCE));
    let config = Config::default().concurrency(at_once).debounce(DEBOUNCE);
    let all = places.iter().zip(controllers).map(|(place, controller)| {
        watching(&run, place, controller.with_config(config.clone()))
            .graceful_shutdown_on(shutdown.clone())
            .run(reconcile, error_policy, context.clone())
            .for_each(|result| {
                // A failed attempt has been logged by the error policy.
                if let Err(error @ kube::runtime::controller::Error::QueueError(_)) = result {
                    tracing::warn!(%error, "the watch of Storefronts is interrupted");
                }
                ready(())
            })
    });
    tokio::select! {
        _ = join_all(all) => {}
        () = forget_the_gone(&context) => {}
    }
}

/// Of a shop that is gone nothing is remembered, and no number told: without a finalizer no attempt sees it
/// go. Never ends.
async fn forget_the_gone(context: &Context) {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        let there: Vec<_> = context.storefronts.iter().flat_map(Store::state).collect();
        context.keep_only(&there);
    }
}

/// Everything that wakes the shops of a place.
fn watching(
    run: &Run,
    place: &Place,
    controller: Controller<Storefront>,
) -> Controller<Storefront> {
    let storefronts = controller.store();
    let mut controller = controller
        .reconcile_on(children::<Deployment>(run, place))
        .reconcile_on(children::<StatefulSet>(run, place))
        .reconcile_on(children::<Service>(run, place))
        .reconcile_on(children::<ServiceAccount>(run, place))
        .reconcile_on(children::<NetworkPolicy>(run, place))
        .reconcile_on(children::<Ingress>(run, place))
        .reconcile_on(children::<PodDisruptionBudget>(run, place))
        .reconcile_on(children::<HorizontalPodAutoscaler>(run, place))
        .reconcile_on(children::<ConfigMap>(run, place));
    for kind in kinds::OPTIONAL {
        let touched = optional::touched(run.client.clone(), place.clone(), *kind, MANAGED);
        controller = controller.reconcile_on(touched.filter_map(|object| ready(shop_of(&object))));
    }
    if !run.watch_secrets {
        return controller;
    }
    controller.reconcile_on(children::<Secret>(run, place)).reconcile_on(others::<Secret>(
        run,
        place,
        storefronts,
    ))
}

/// A kind of objects in namespaces, of which watches read the metadata.
trait Watched:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static
{
}

fn api<K>(run: &Run, place: &Place) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match place {
        Some(namespace) => Api::namespaced(run.client.clone(), namespace),
        None => Api::all(run.client.clone()),
    }
}

/// Metadata of one kind's objects that have our label: each wakes the shop that its labels name.
fn children<K: Watched>(
    run: &Run,
    place: &Place,
) -> impl Stream<Item = ObjectRef<Storefront>> + Send + use<K> {
    let api: Api<PartialObjectMeta<K>> = api(run, place);
    let events = watcher::watcher(api, watcher::Config::default().labels(MANAGED));
    let touched = events.backoff(DefaultBackoff::default()).touched_objects();
    touched.filter_map(|object| ready(object.ok().and_then(|object| shop_of(&object))))
}

/// The shop that an object's labels name.
fn shop_of<K: Resource>(object: &PartialObjectMeta<K>) -> Option<ObjectRef<Storefront>> {
    let metadata = &object.metadata;
    let shop = metadata.labels.as_ref()?.get(INSTANCE)?;
    Some(ObjectRef::new(shop).within(metadata.namespace.as_ref()?))
}

/// Metadata of objects of others: each wakes every shop of its namespace that is not well, or that may
/// use it. A shop is woken too often rather than never: an attempt that finds nothing writes nothing.
fn others<K: Watched>(
    run: &Run,
    place: &Place,
    storefronts: Store<Storefront>,
) -> impl Stream<Item = ObjectRef<Storefront>> + Send + use<K> {
    let api: Api<PartialObjectMeta<K>> = api(run, place);
    let events = watcher::watcher(api, watcher::Config::default().labels(&format!("!{INSTANCE}")));
    let touched = events.backoff(DefaultBackoff::default()).touched_objects();
    touched.flat_map(move |object| {
        let named = object.ok().map(|object| (object.namespace(), object.name_any()));
        let shops = named.into_iter().flat_map(|(namespace, name)| {
            let all = storefronts.state();
            let using = all
                .into_iter()
                .filter(move |shop| shop.namespace() == namespace && refers_to(shop, &name));
            using.map(|shop| ObjectRef::from_obj(&*shop)).collect::<Vec<_>>()
        });
        futures_util::stream::iter(shops.collect::<Vec<_>>())
    })
}

/// Whether a manifest names a Secret.
fn refers_to(storefront: &Storefront, name: &str) -> bool {
    let spec = &storefront.spec;
    let external = spec.external_kafka();
    let names = [
        spec.payment.stripe.as_ref().map(|stripe| stripe.secret_ref.name.as_str()),
        external.and_then(|kafka| Some(kafka.sasl.as_ref()?.secret_ref.name.as_str())),
        external.and_then(|kafka| Some(kafka.tls.as_ref()?.ca_secret_ref.as_ref()?.name.as_str())),
        spec.database.as_ref().and_then(|d| Some(d.external.as_ref()?.secret_ref.name.as_str())),
        spec.smtp().and_then(|smtp| Some(smtp.secret_ref.as_ref()?.name.as_str())),
        spec.smtp().and_then(|smtp| Some(smtp.ca_secret_ref.as_ref()?.name.as_str())),
    ];
    names.into_iter().flatten().any(|used| used == name)
        || spec.strimzi().is_some_and(|strimzi| name.starts_with(&strimzi.cluster))
        || name.starts_with(storefront.name_any().as_str())
}
