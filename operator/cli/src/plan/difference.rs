//! Where two objects differ, field by field. Pure.

use serde::Serialize;
use serde_json::Value;
use storefront_operator::controller::apply::compare::{field_holds, is_nothing};

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Such as `spec.template.spec.containers[order].image`.
    pub path: String,
    /// What the cluster has; nothing for a field that comes.
    pub before: Option<Value>,
    /// What it will have; nothing for a field that goes.
    pub after: Option<Value>,
}

/// Keys by which entries of a list are told apart; the first that all of them have.
const KEYS: &[&str] = &["name", "id", "uid", "mountPath", "topologyKey", "port"];

/// Fields of `wanted` that `live` does not have so, as the operator compares them: what others have added is
/// no difference.
pub fn differences(wanted: &Value, live: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    one_way("", "", wanted, live, &mut found);
    found
}

fn one_way(path: &str, field: &str, wanted: &Value, live: &Value, found: &mut Vec<Difference>) {
    if field_holds(field, wanted, live) {
        return;
    }
    let before = found.len();
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let written =
                |(name, value): &(&String, &Value)| live.contains_key(*name) || !is_nothing(value);
            for (name, value) in wanted.iter().filter(written) {
                let there = live.get(name).unwrap_or(&Value::Null);
                one_way(&join(path, name), name, value, there, found);
            }
        }
        (Value::Array(wanted), Value::Array(live)) => {
            for (name, value, there) in pairs(wanted, live).unwrap_or_default() {
                // Whether what is not wanted goes is told by who owns it.
                let Some(value) = value else { continue };
                let there = there.unwrap_or(&Value::Null);
                one_way(&format!("{path}[{name}]"), "", value, there, found);
            }
        }
        _ => {}
    }
    // Not one of its fields, but their order or their number: it is the whole.
    if found.len() == before {
        found.push(difference(path, live, wanted));
    }
}

/// Every difference between two objects of one owner.
pub fn both_ways(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", before, after, &mut found);
    found
}

fn walk(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    match (before, after) {
        (same, other) if same == other => {}
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|name| !new.contains_key(*name));
            for name in new.keys().chain(gone) {
                let of = |fields: &serde_json::Map<String, Value>| {
                    fields.get(name).cloned().unwrap_or(Value::Null)
                };
                walk(&join(path, name), &of(old), &of(new), found);
            }
        }
        (Value::Array(old), Value::Array(new)) => match pairs(new, old) {
            Some(pairs) => {
                let start = found.len();
                for (name, new, old) in pairs {
                    let (old, new) = (old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null));
                    walk(&format!("{path}[{name}]"), old, new, found);
                }
                if found.len() == start {
                    found.push(difference(path, before, after));
                }
            }
            None => found.push(difference(path, before, after)),
        },
        _ => found.push(difference(path, before, after)),
    }
}

fn difference(path: &str, before: &Value, after: &Value) -> Difference {
    let some = |value: &Value| (!value.is_null()).then(|| value.clone());
    Difference { path: path.to_owned(), before: some(before), after: some(after) }
}

type Pair<'a> = (String, Option<&'a Value>, Option<&'a Value>);

/// Entries of two lists that belong together, by a key that tells all of them apart.
fn pairs<'a>(wanted: &'a [Value], live: &'a [Value]) -> Option<Vec<Pair<'a>>> {
    let key = KEYS.iter().find(|key| {
        [wanted, live].iter().all(|list| {
            let names: Option<Vec<_>> = list.iter().map(|entry| name(entry, key)).collect();
            names.is_some_and(|mut names| {
                let count = names.len();
                names.sort_unstable();
                names.dedup();
                names.len() == count
            })
        })
    })?;
    let find = |list: &'a [Value], wanted: &str| {
        list.iter().find(|entry| name(entry, key).as_deref() == Some(wanted))
    };
    let mut pairs = Vec::new();
    for entry in wanted {
        let name = name(entry, key)?;
        let there = find(live, &name);
        pairs.push((name, Some(entry), there));
    }
    for entry in live {
        let name = name(entry, key)?;
        if find(wanted, &name).is_none() {
            pairs.push((name, None, Some(entry)));
        }
    }
    Some(pairs)
}

fn name(entry: &Value, key: &str) -> Option<String> {
    match entry.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A path with one more field, in brackets when its name has dots.
pub fn join(path: &str, name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (path, is_plain) {
        ("", true) => name.to_owned(),
        (path, true) => format!("{path}.{name}"),
        (path, false) => format!("{path}[{name:?}]"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(found: Vec<Difference>) -> Vec<String> {
        let text = |value: Option<Value>| value.map_or("nothing".into(), |it| it.to_string());
        found
            .into_iter()
            .map(|it| format!("{}: {} -> {}", it.path, text(it.before), text(it.after)))
            .collect()
    }

    #[test]
    fn what_is_wanted_and_not_so_is_found_where_it_stands() {
        let live = json!({
            "metadata": {"annotations": {"theirs": "1"}, "uid": "u"},
            "spec": {"containers": [
                {"name": "mesh", "image": "mesh:1"},
                {"name": "order", "image": "order:1", "resources": {"limits": {"cpu": "1"}}},
            ], "ports": [{"port": 1}], "list": ["a", "b"]},
        });
        let wanted = json!({
            "metadata": {"annotations": {"a.dev/x": "1"}},
            "spec": {"containers": [
                {"name": "order", "image": "order:2", "resources": {"limits": {"cpu": "1000m"}}},
                {"name": "more", "image": "more:1"},
            ], "ports": [{"port": 2}], "list": ["b", "a"], "nothing": {}},
        });
        assert_eq!(
            shown(differences(&wanted, &live)),
            [
                r#"metadata.annotations["a.dev/x"]: nothing -> "1""#,
                r#"spec.containers[order].image: "order:1" -> "order:2""#,
                r#"spec.containers[more]: nothing -> {"name":"more","image":"more:1"}"#,
                r#"spec.ports[2]: nothing -> {"port":2}"#,
                r#"spec.list: ["a","b"] -> ["b","a"]"#,
            ]
        );
        assert_eq!(differences(&live, &live), []);
    }

    #[test]
    fn an_edit_shows_what_comes_and_what_goes() {
        let before = json!({"currency": "INR", "products": [{"id": "a", "price": 1}, {"id": "b"}]});
        let after = json!({"products": [{"id": "a", "price": 2}, {"id": "c"}], "paused": true});
        assert_eq!(
            shown(both_ways(&before, &after)),
            [
                "products[a].price: 1 -> 2",
                r#"products[c]: nothing -> {"id":"c"}"#,
                r#"products[b]: {"id":"b"} -> nothing"#,
                "paused: nothing -> true",
                r#"currency: "INR" -> nothing"#,
            ]
        );
        let swapped = (json!([{"id": "a"}, {"id": "b"}]), json!([{"id": "b"}, {"id": "a"}]));
        assert_eq!(both_ways(&swapped.0, &swapped.1).len(), 1);
    }
}
