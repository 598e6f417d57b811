//! Storefronts as a cluster has them. One with a value that only a newer operator knows is read all the same,
//! as far as it goes, together with what cannot be read: one such must hold up no other. Pure.

use kube::{ResourceExt, core::DynamicObject};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use crate::api::{Payment, Sandbox, Storefront, StorefrontSpec, StorefrontStatus};

/// An annotation that is here in memory only: what of the Storefront cannot be read.
const UNREADABLE: &str = "storefront.dev/unreadable";
/// Fields that are left out of one object, at most.
const LEFT_OUT_MAX: usize = 100;

/// A Storefront with every field that can be read.
pub fn read(object: DynamicObject) -> Storefront {
    let DynamicObject { mut metadata, data, .. } = object;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(UNREADABLE);
    }
    let spec = data.get("spec").cloned().unwrap_or_default();
    let (spec, said) = as_far_as_it_goes(spec, |spec| {
        // In place of a payment that cannot be read is one that needs nothing.
        let spec = spec.as_object_mut().filter(|spec| !spec.contains_key("payment"));
        spec.is_some_and(|spec| spec.insert("payment".into(), json!({"sandbox": {}})).is_none())
    });
    if let Some((path, why)) = said {
        let path = path.to_string();
        let field = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(UNREADABLE.to_owned(), format!("{field}: {why}"));
    }
    let spec = spec.unwrap_or_else(|| StorefrontSpec {
        payment: Payment { sandbox: Some(Sandbox::default()), ..Payment::default() },
        ..StorefrontSpec::default()
    });
    // Whatever cannot be read of it is written anew from what is the case.
    let status = data.get("status").cloned();
    let status = status.and_then(|it| as_far_as_it_goes::<StorefrontStatus>(it, |_| false).0);
    Storefront { metadata, spec, status }
}

/// The first field of a Storefront's `spec` that could not be read, and why.
pub fn unreadable(storefront: &Storefront) -> Option<&str> {
    storefront.annotations().get(UNREADABLE).map(String::as_str)
}

/// Which brokers a shop uses. Those of one that cannot be read are as they were: nothing is changed for it.
pub fn brokers(storefront: &Storefront) -> String {
    let before = storefront.status.as_ref().and_then(|status| status.brokers.clone());
    let kept = before.filter(|_| unreadable(storefront).is_some());
    kept.unwrap_or_else(|| storefront.spec.brokers())
}

/// The value without the fields that cannot be read, unless nothing is left of it; and the first of them with
/// what is wrong with it. `mend` may put something in for what is missing of the whole.
fn as_far_as_it_goes<T: DeserializeOwned>(
    mut value: Value,
    mend: impl Fn(&mut Value) -> bool,
) -> (Option<T>, Option<(Path, serde_json::Error)>) {
    let mut first = None;
    for _ in 0..LEFT_OUT_MAX {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(read) => return (Some(read), first),
            Err(error) => error,
        };
        let path = error.path().clone();
        let can_go_on = leave_out(&mut value, &path) || mend(&mut value);
        first.get_or_insert_with(|| (path, error.into_inner()));
        if !can_go_on {
            break;
        }
    }
    (None, first)
}

/// Takes away what is at that path, if it is below the whole.
fn leave_out(value: &mut Value, path: &Path) -> bool {
    let steps: Vec<_> = path.iter().collect();
    let Some((last, before)) = steps.split_last() else { return false };
    let parent = before.iter().try_fold(value, |at, step| match step {
        Segment::Map { key } => at.get_mut(key),
        Segment::Seq { index } => at.get_mut(index),
        Segment::Enum { .. } | Segment::Unknown => Some(at),
    });
    match (last, parent) {
        (Segment::Map { key }, Some(Value::Object(fields))) => fields.remove(key).is_some(),
        (Segment::Seq { index }, Some(Value::Array(items))) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{API_VERSION, KIND};

    fn storefront(spec: &Value) -> Storefront {
        let object = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": "demo", "annotations": {"storefront.dev/unreadable": "by hand"}},
            "spec": spec,
            "status": {"observedGeneration": 3, "brokers": "external b:9092", "clusterId": "main"},
        });
        read(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn what_can_be_read_is_as_it_was_written() {
        let spec = json!({"payment": {"sandbox": {}}, "currency": "EUR"});
        let read = storefront(&spec);
        assert_eq!(serde_json::to_value(&read.spec).unwrap(), spec);
        assert_eq!(read.status.as_ref().and_then(|status| status.observed_generation), Some(3));
        assert_eq!((unreadable(&read), &*brokers(&read)), (None, "managed"));
    }

    #[test]
    fn fields_of_a_newer_operator_leave_all_others_known() {
        let read = storefront(&json!({
            "payment": {"sandbox": {}},
            "email": {"sendOn": ["refund-successful", "order-successful"], "from": "a@b.example"},
            "kafka": {
                "external": {"bootstrapServers": "b:9092"}, "prefix": "blue.",
                "topics": {"deletionPolicy": "Archive", "partitions": 5},
            },
        }));
        let said = unreadable(&read).unwrap();
        let field = "spec.email.sendOn[0]: unknown variant `refund-successful`";
        assert!(said.starts_with(field), "{said}");
        let known = json!({
            "payment": {"sandbox": {}},
            "email": {"sendOn": ["order-successful"], "from": "a@b.example"},
            "kafka": {
                "external": {"bootstrapServers": "b:9092"}, "prefix": "blue.",
                "topics": {"partitions": 5},
            },
        });
        assert_eq!(serde_json::to_value(&read.spec).unwrap(), known);
    }

    #[test]
    fn brokers_that_cannot_be_read_are_those_that_it_had() {
        let read = storefront(&json!({
            "payment": {"sandbox": {}},
            "kafka": {"external": {"bootstrapServers": ["c:9092"]}, "prefix": "blue."},
        }));
        assert!(unreadable(&read).unwrap().starts_with("spec.kafka.external.bootstrapServers: "));
        assert_eq!((read.spec.prefix(), read.spec.external_kafka().is_none()), ("blue.", true));
        assert_eq!(brokers(&read), "external b:9092");
    }

    #[test]
    fn of_a_status_is_kept_what_can_be_read() {
        let object = json!({
            "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "demo"},
            "spec": {"payment": {"sandbox": {}}},
            "status": {"lag": "much", "clusterId": "main", "conditions": [{"type": "Ready"}]},
        });
        let read = read(serde_json::from_value(object).unwrap());
        let status = read.status.as_ref().unwrap();
        assert_eq!((status.cluster_id.as_deref(), status.lag), (Some("main"), None));
        assert_eq!((status.conditions.len(), unreadable(&read)), (0, None));
    }

    #[test]
    fn nothing_is_too_strange() {
        let many = json!({"payment": {"sandbox": {}}, "email": {"sendOn": vec!["no"; 200]}});
        let strange =
            [json!(null), json!([1]), json!({}), json!({"payment": 1, "kafka": []}), many];
        for spec in strange {
            let read = storefront(&spec);
            assert!(unreadable(&read).is_some() && read.spec.payment.sandbox.is_some(), "{spec}");
        }
    }
}
