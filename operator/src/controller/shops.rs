//! The watch of Storefronts. One that this operator cannot read must not end the watch of all others, nor look
//! like one that is gone: it is kept as far as it can be read, and nothing is changed for it.

use futures_util::{Stream, TryStreamExt};
use kube::{
    Api, Client,
    core::DynamicObject,
    runtime::{
        WatchStreamExt, reflector,
        reflector::Store,
        watcher::{self, Event, watcher},
    },
};

use crate::{
    api::{API_VERSION, KIND, Storefront},
    controller::{error::Error, kinds},
    reading::{read, unreadable},
};

/// A watch is begun anew this often. One that has fallen silent without an end, as when a firewall has
/// forgotten its connection, is noticed 5 s later: an edit is known by nothing else.
const WATCH_S: u32 = 60;

/// Every version of every Storefront of a namespace, or of all of them, and those that are there now.
pub(super) fn watch(
    client: Client,
    namespace: Option<&str>,
) -> (impl Stream<Item = Result<Storefront, watcher::Error>> + Send + use<>, Store<Storefront>) {
    let resource = kinds::resource(API_VERSION, KIND);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let (reader, writer) = reflector::store();
    let events = watcher(api, watcher::Config::default().timeout(WATCH_S)).map_ok(read_event);
    (reflector(writer, events).applied_objects(), reader)
}

/// Fails with the field of it that cannot be read.
pub(super) fn readable(storefront: &Storefront) -> Result<(), Error> {
    let said = unreadable(storefront).map(str::to_owned);
    said.map_or(Ok(()), |said| Err(Error::Unreadable { said }))
}

fn read_event(event: Event<DynamicObject>) -> Event<Storefront> {
    match event {
        Event::Apply(object) => Event::Apply(read(object)),
        Event::Delete(object) => Event::Delete(read(object)),
        Event::InitApply(object) => Event::InitApply(read(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}
