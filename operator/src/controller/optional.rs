//! Watches kinds whose API a cluster may not serve, or not yet, in the version in which it does.

use std::time::Duration;

use futures_util::{Stream, StreamExt, future::ready, stream};
use kube::{
    Api, Client, Error,
    core::{ApiResource, DynamicObject, PartialObjectMeta},
    discovery::group,
    runtime::{
        WatchStreamExt,
        watcher::{self, DefaultBackoff, watcher},
    },
};

/// How often it is looked whether a kind is served by now.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Metadata of every object with these labels that comes, changes or goes.
pub(super) fn touched(
    client: Client,
    namespace: Option<String>,
    (api, kind): (&'static str, &'static str),
    labels: &'static str,
) -> impl Stream<Item = PartialObjectMeta<DynamicObject>> + Send + 'static {
    let times = stream::iter(0_u64..);
    let look = client.clone();
    let found = times.then(move |time| served(look.clone(), api, kind, time > 0));
    found.flat_map(move |resource| {
        let api: Api<PartialObjectMeta<DynamicObject>> = match &namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let events = watcher(api, watcher::Config::default().labels(labels));
        events
            .backoff(DefaultBackoff::default())
            .take_while(|event| ready(!event.as_ref().is_err_and(is_gone)))
            .touched_objects()
            .filter_map(|object| ready(object.ok()))
    })
}

/// Waits until the kind is served.
async fn served(client: Client, api: &str, kind: &str, wait_first: bool) -> ApiResource {
    if wait_first {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    loop {
        if let Ok(found) = group(&client, api).await
            && let Some((resource, _)) = found.recommended_kind(kind)
        {
            return resource;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The kind is not served any more, in this version at least.
fn is_gone(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
