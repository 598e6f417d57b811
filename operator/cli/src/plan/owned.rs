//! Fields that the operator has applied and does not want any more: server-side apply takes them away, unless
//! somebody else has them, too. Pure; `managedFields` says who has what.

use kube::{ResourceExt, core::DynamicObject};
use serde_json::{Map, Value};
use storefront_operator::controller::cluster::FIELD_MANAGER;

use super::difference::{Difference, join};

/// What goes when `wanted` is applied.
pub fn removed(there: &DynamicObject, wanted: &Value) -> Vec<Difference> {
    let Ok(live) = serde_json::to_value(there) else { return Vec::new() };
    let entries = there.managed_fields().iter().filter_map(|entry| {
        let applied = entry.operation.as_deref() == Some("Apply") && entry.subresource.is_none();
        let ours = applied && entry.manager.as_deref() == Some(FIELD_MANAGER);
        Some((ours, entry.fields_v1.as_ref()?.0.as_object()?))
    });
    let (ours, theirs): (Vec<_>, Vec<_>) = entries.partition(|(ours, _)| *ours);
    let theirs: Vec<_> = theirs.into_iter().map(|(_, fields)| fields).collect();
    let mut found = Vec::new();
    for (_, fields) in ours {
        walk("", fields, &theirs, Some(wanted), &live, &mut found);
    }
    found
}

fn walk(
    path: &str,
    ours: &Map<String, Value>,
    theirs: &[&Map<String, Value>],
    wanted: Option<&Value>,
    live: &Value,
    found: &mut Vec<Difference>,
) {
    for (key, below) in ours {
        let Some(step) = Step::read(key) else { continue };
        // Gone already.
        let Some(there) = step.of(live) else { continue };
        let kept = wanted.and_then(|wanted| step.of(wanted)).filter(|value| !value.is_null());
        let others: Vec<_> =
            theirs.iter().filter_map(|fields| fields.get(key)?.as_object()).collect();
        let path = step.path(path);
        let below = below.as_object().filter(|below| below.keys().any(|key| key != "."));
        match (kept, below) {
            (None, _) if others.is_empty() => {
                found.push(Difference { path, before: Some(there.clone()), after: None });
            }
            (kept, Some(below)) => walk(&path, below, &others, kept, there, found),
            (_, None) => {}
        }
    }
}

/// One step down, as `managedFields` writes it.
enum Step<'a> {
    Field(&'a str),
    /// The entry of a list with these fields.
    Entry(Map<String, Value>),
    /// The entry of a list that is this value.
    Item(Value),
}

impl<'a> Step<'a> {
    fn read(key: &'a str) -> Option<Self> {
        let (kind, rest) = key.split_once(':')?;
        match kind {
            "f" => Some(Self::Field(rest)),
            "k" => serde_json::from_str(rest).ok().map(Self::Entry),
            "v" => serde_json::from_str(rest).ok().map(Self::Item),
            _ => None,
        }
    }

    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Field(name) => value.get(name),
            // A key that is not written has its default.
            Self::Entry(keys) => value.as_array()?.iter().find(|entry| {
                keys.iter().all(|(name, key)| entry.get(name).is_none_or(|value| value == key))
            }),
            Self::Item(item) => value.as_array()?.iter().find(|entry| *entry == item),
        }
    }

    fn path(&self, above: &str) -> String {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match self {
            Self::Field(name) => join(above, name),
            Self::Entry(keys) => {
                let keys: Vec<_> = keys.values().map(text).collect();
                format!("{above}[{}]", keys.join(","))
            }
            Self::Item(item) => format!("{above}[{}]", text(item)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object() -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "demo-order", "annotations": {"ours": "1", "theirs": "1"}, "managedFields": [
                {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:annotations": {"f:ours": {}}},
                    "f:spec": {"f:replicas": {}, "f:containers": {
                        "k:{\"name\":\"order\"}": {".": {}, "f:name": {}, "f:tty": {}, "f:env": {
                            "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
                        }},
                        "k:{\"name\":\"old\"}": {".": {}, "f:name": {}},
                    }},
                    "f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}},
                }},
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {
                    "f:metadata": {"f:annotations": {"f:theirs": {}}},
                    "f:spec": {"f:replicas": {}},
                }},
            ]},
            "spec": {"replicas": 4, "containers": [
                {"name": "order", "tty": true, "env": [{"name": "A", "value": "1"}]},
                {"name": "old"},
            ]},
            "finalizers": ["a", "b"],
        }))
        .unwrap()
    }

    #[test]
    fn only_what_nobody_else_has_goes() {
        let wanted = json!({
            "metadata": {"annotations": {}},
            "spec": {"containers": [{"name": "order", "tty": true}]},
            "finalizers": ["b"],
        });
        let paths: Vec<_> =
            removed(&object(), &wanted).into_iter().map(|difference| difference.path).collect();
        assert_eq!(
            paths,
            [
                "metadata.annotations.ours",
                "spec.containers[order].env",
                "spec.containers[old]",
                "finalizers[a]",
            ]
        );
    }

    #[test]
    fn what_is_still_wanted_stays() {
        let live = serde_json::to_value(object()).unwrap();
        assert_eq!(removed(&object(), &live), []);
    }
}
