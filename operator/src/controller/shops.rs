//! The watch of Storefronts. One that this operator cannot read, such as one with a value that only a newer
//! operator knows, must not end the watch of all others, nor look like one that is gone: it is kept as far
//! as it can be read, together with what cannot, and nothing is changed for it.

use futures_util::{Stream, TryStreamExt};
use kube::{
    Api, Client, ResourceExt,
    core::DynamicObject,
    runtime::{
        WatchStreamExt, reflector,
        reflector::Store,
        watcher::{self, Event, watcher},
    },
};
use serde_json::Value;

use crate::{
    api::{API_VERSION, KIND, Payment, Sandbox, Storefront, StorefrontSpec},
    controller::{error::Error, kinds},
};

/// A watch is begun anew this often. One that has fallen silent without an end, as when a firewall has
/// forgotten its connection, is noticed 5 s later: an edit is known by nothing else.
const WATCH_S: u32 = 60;
/// An annotation that is here in memory only: what of the Storefront cannot be read.
const UNREADABLE: &str = "storefront.dev/unreadable";

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
    let said = storefront.annotations().get(UNREADABLE).cloned();
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

fn read(object: DynamicObject) -> Storefront {
    let DynamicObject { mut metadata, data, .. } = object;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(UNREADABLE);
    }
    let spec = data.get("spec").cloned().unwrap_or_default();
    // It is written anew from what is the case.
    let status = data.get("status").and_then(|status| from(status).ok());
    let spec = from(&spec).unwrap_or_else(|said| {
        metadata.annotations.get_or_insert_default().insert(UNREADABLE.to_owned(), said);
        as_far_as_it_goes(&spec)
    });
    Storefront { metadata, spec, status }
}

/// The value, or what is wrong with it.
fn from<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
        format!("{field}: {}", error.into_inner())
    })
}

/// The fields of a spec that can be read: which brokers a shop uses matters to others, too. In place of a
/// payment that cannot is one that needs nothing.
fn as_far_as_it_goes(spec: &Value) -> StorefrontSpec {
    let payment = Payment { sandbox: Some(Sandbox::default()), ..Payment::default() };
    let mut readable = StorefrontSpec { payment, ..StorefrontSpec::default() };
    for (name, value) in spec.as_object().into_iter().flatten() {
        let mut fields = serde_json::to_value(&readable).unwrap_or_default();
        fields[name] = value.clone();
        readable = serde_json::from_value(fields).unwrap_or(readable);
    }
    readable
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn storefront(spec: &Value) -> Storefront {
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "demo", "annotations": {"storefront.dev/unreadable": "by hand"}},
            "spec": spec,
            "status": {"observedGeneration": 3},
        });
        read(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn what_can_be_read_is_as_it_was_written() {
        let spec = json!({"payment": {"sandbox": {}}, "currency": "EUR"});
        let read = storefront(&spec);
        assert_eq!(serde_json::to_value(&read.spec).unwrap(), spec);
        assert_eq!(read.status.as_ref().and_then(|status| status.observed_generation), Some(3));
        readable(&read).unwrap();
    }

    #[test]
    fn one_field_of_a_newer_operator_leaves_the_others_known() {
        let read = storefront(&json!({
            "payment": {"sandbox": {}},
            "email": {"sendOn": ["refund-successful"]},
            "kafka": {"external": {"bootstrapServers": "b:9092"}, "prefix": "blue."},
        }));
        let said = readable(&read).unwrap_err().to_string();
        let field =
            "this operator cannot read spec.email.sendOn[0]: unknown variant `refund-successful`";
        assert!(said.starts_with(field), "{said}");
        assert_eq!((read.spec.prefix(), read.spec.email.is_none()), ("blue.", true));
        assert!(read.spec.external_kafka().is_some());
    }

    #[test]
    fn nothing_is_too_strange() {
        for spec in [json!(null), json!([1]), json!({}), json!({"payment": 1, "kafka": []})] {
            assert!(readable(&storefront(&spec)).is_err(), "{spec}");
        }
    }
}
