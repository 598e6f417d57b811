//! Whether an object in the cluster is as it was rendered. Pure. What others have added to it is
//! theirs; what the API server fills in or writes in another way is no difference.

use serde_json::Value;

/// Fields that hold amounts: `1000m` and `1` are the same.
const AMOUNTS: &[&str] = &["cpu", "ephemeral-storage", "memory", "sizeLimit", "storage"];
/// Lists whose entries belong to different owners; every other list is one owner's as a whole.
const SHARED_LISTS: &[&str] = &[
    "containers",
    "env",
    "imagePullSecrets",
    "initContainers",
    "ownerReferences",
    "topologySpreadConstraints",
    "volumeMounts",
    "volumes",
];

/// Whether everything that is wanted is so.
pub fn holds(wanted: &Value, live: &Value) -> bool {
    field_holds("", wanted, live)
}

/// The same for the value of one field: how it is compared depends on its name.
pub fn field_holds(field: &str, wanted: &Value, live: &Value) -> bool {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().all(|(name, value)| {
            match live.get(name) {
                Some(live) => field_holds(name, value, live),
                // Nothing is left out by the API server as well.
                None => is_nothing(value),
            }
        }),
        (Value::Array(wanted), Value::Array(live)) => list_holds(field, wanted, live),
        (Value::String(wanted), Value::String(live)) if AMOUNTS.contains(&field) => {
            wanted == live || amount(wanted).is_some_and(|amount_| Some(amount_) == amount(live))
        }
        // An amount that is written as a number comes back as a text.
        (Value::Number(wanted), Value::String(live)) if AMOUNTS.contains(&field) => {
            amount(&wanted.to_string()).is_some_and(|amount_| Some(amount_) == amount(live))
        }
        (wanted, live) => wanted == live,
    }
}

fn list_holds(field: &str, wanted: &[Value], live: &[Value]) -> bool {
    if wanted.len() == live.len() {
        return wanted.iter().zip(live).all(|(wanted, live)| field_holds("", wanted, live));
    }
    let mut rest = live.iter();
    is_shared(field, wanted)
        && wanted.iter().all(|wanted| rest.any(|live| field_holds("", wanted, live)))
}

/// Ports with names are a container's or a Service's; those of a `NetworkPolicy` are one owner's.
fn is_shared(field: &str, wanted: &[Value]) -> bool {
    let named = |entry: &Value| entry["name"].is_string();
    SHARED_LISTS.contains(&field) || (field == "ports" && wanted.iter().all(named))
}

/// The first field that is not as it is wanted, such as `spec.ports[0].port`; a list that is another one is told as a
/// whole. `None`: everything is.
pub fn difference(wanted: &Value, live: &Value) -> Option<String> {
    (!holds(wanted, live)).then(|| deepest(wanted, live).trim_start_matches('.').to_owned())
}

fn deepest(wanted: &Value, live: &Value) -> String {
    let found = match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let differs = |(name, value): &(&String, &Value)| match live.get(*name) {
                Some(live) => !field_holds(name, value, live),
                None => !is_nothing(value),
            };
            // A note that we make of all the rest is not what somebody is after.
            let mut differing: Vec<_> = wanted.iter().filter(differs).collect();
            differing.sort_by_key(|(name, _)| *name == "metadata");
            differing.first().map(|(name, value)| {
                let deeper = live.get(*name).map(|live| deepest(value, live));
                format!(".{name}{}", deeper.unwrap_or_default())
            })
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            let mut both = wanted.iter().zip(live).enumerate();
            let other = both.find(|(_, (wanted, live))| !field_holds("", wanted, live));
            other.map(|(index, (wanted, live))| format!("[{index}]{}", deepest(wanted, live)))
        }
        _ => None,
    };
    found.unwrap_or_default()
}

/// What the API server leaves out as well.
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        _ => false,
    }
}

/// An amount in billionths, as Kubernetes reads it. `None` for what is none.
fn amount(text: &str) -> Option<i128> {
    let split = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+'));
    let (number, suffix) = text.split_at(split.unwrap_or(text.len()));
    let binary = |power: u32| 1_000_000_000_i128.checked_mul(1024_i128.pow(power));
    let decimal = |power: u32| Some(10_i128.pow(power));
    let unit = match suffix {
        "n" => decimal(0),
        "u" => decimal(3),
        "m" => decimal(6),
        "" => decimal(9),
        "k" => decimal(12),
        "M" => decimal(15),
        "G" => decimal(18),
        "T" => decimal(21),
        "P" => decimal(24),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        _ => None,
    }?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    Some(digits.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_add_is_theirs() {
        let wanted = json!({"spec": {"containers": [{"name": "order"}], "empty": {}}});
        assert!(holds(
            &wanted,
            &json!({
                "metadata": {"uid": "1"},
                "spec": {"replicas": 3, "containers": [{"name": "mesh"}, {"name": "order", "tty": false}]},
            })
        ));
        assert!(!holds(&wanted, &json!({"spec": {"containers": [{"name": "other"}]}})));
    }

    #[test]
    fn a_list_of_one_owner_is_that_owners_as_a_whole() {
        let rules = |rules: Value| json!({"spec": {"ingress": rules}});
        let wanted = rules(json!([{"ports": [{"port": 1}]}]));
        assert!(holds(&wanted, &rules(json!([{"ports": [{"port": 1, "protocol": "TCP"}]}]))));
        assert!(!holds(&wanted, &rules(json!([{"ports": [{"port": 1}]}, {}]))));
        assert!(!holds(&wanted, &rules(json!([]))));
    }

    #[test]
    fn a_port_more_is_somebody_elses_unless_it_opens_a_fence() {
        let ports = |ports: Value| json!({"spec": {"ports": ports}});
        let named = ports(json!([{"name": "http", "port": 1}]));
        let more = ports(json!([{"name": "debug", "port": 2}, {"name": "http", "port": 1}]));
        assert!(holds(&named, &more));
        let fence = ports(json!([{"port": 1}]));
        assert!(!holds(&fence, &ports(json!([{"port": 1}, {"port": 2}]))));
    }

    #[test]
    fn a_difference_is_told_by_its_field() {
        let wanted = json!({
            "metadata": {"annotations": {"hash": "1"}},
            "spec": {"replicas": 2, "ports": [{"port": 1}, {"port": 2}], "cpu": "1000m"},
        });
        for (change, pointer, told) in [
            (json!(1), "/spec/replicas", Some("spec.replicas")),
            (json!(3), "/spec/ports/1/port", Some("spec.ports[1].port")),
            (json!([]), "/spec/ports", Some("spec.ports")),
            (json!("2"), "/metadata/annotations/hash", Some("metadata.annotations.hash")),
            (json!({"replicas": 2, "cpu": "1"}), "/spec", Some("spec.ports")),
            (json!("1"), "/spec/cpu", None),
        ] {
            let mut live = wanted.clone();
            *live.pointer_mut(pointer).unwrap() = change;
            assert_eq!(difference(&wanted, &live).as_deref(), told);
        }
    }

    #[test]
    fn amounts_are_compared_by_what_they_are() {
        let cpu = |amount: Value| json!({"limits": {"cpu": amount}});
        for (wanted, live, same) in [
            (json!("1000m"), json!("1"), true),
            (json!("1.5Gi"), json!("1536Mi"), true),
            (json!(2), json!("2"), true),
            (json!("1"), json!("1Ki"), false),
            (json!("0.1"), json!("100m"), true),
            (json!("lots"), json!("1"), false),
        ] {
            assert_eq!(holds(&cpu(wanted.clone()), &cpu(live.clone())), same, "{wanted} {live}");
        }
        assert!(!holds(&json!({"image": "1000m"}), &json!({"image": "1"})));
    }
}
