//! What a change costs: which pods are made anew, how, and what that means to shoppers. Pure.

use serde::Serialize;
use serde_json::Value;

use super::difference::Difference;

/// A `Deployment` replaces so many at once when nothing else is written: a quarter, rounded down.
const AT_ONCE: i64 = 4;

/// Pods of one part that are made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    pub component: String,
    pub how: How,
    pub instances: i64,
    /// What happens meanwhile, for people.
    pub meanwhile: String,
}

/// In which order pods are made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// New ones come before old ones go.
    Rolling,
    /// All old ones go, then new ones come.
    Recreate,
    /// One goes and comes again, then the next.
    OneByOne,
}

impl How {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Rolling => "restarts, rolling",
            Self::Recreate => "restarts, all at once",
            Self::OneByOne => "restarts, one by one",
        }
    }
}

/// The restart that follows from a change of an object, if one does.
pub fn restart(wanted: &Value, now: &Value, differences: &[Difference]) -> Option<Restart> {
    if !differences.iter().any(|it| it.path.starts_with("spec.template")) {
        return None;
    }
    let either = |pointer: &str| {
        let value = |object: &Value| object.pointer(pointer).filter(|it| !it.is_null()).cloned();
        value(wanted).or_else(|| value(now))
    };
    let labels = "/metadata/labels/app.kubernetes.io~1component";
    let component = either(labels)?.as_str()?.to_owned();
    let instances = now.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    if instances == 0 {
        return None;
    }
    let strategy = either("/spec/strategy/type");
    let is_recreate = strategy.as_ref().and_then(Value::as_str) == Some("Recreate");
    let how = match wanted["kind"].as_str() {
        Some("StatefulSet") => How::OneByOne,
        Some("Deployment") if is_recreate => How::Recreate,
        Some("Deployment") => How::Rolling,
        _ => return None,
    };
    let meanwhile = meanwhile(&component, how, instances).to_owned();
    Some(Restart { component, how, instances, meanwhile })
}

fn meanwhile(component: &str, how: How, instances: i64) -> &'static str {
    match (component, how, instances) {
        ("database", ..) => "no payment can be begun until it is back; events wait",
        ("kafka", _, 1) => "payments go on, events wait until it is back; nothing is lost",
        ("kafka", ..) => "the other brokers go on, each partition with a new leader",
        ("sandbox", ..) => "no payment can be made until it is back",
        (_, How::Rolling, n) if n < AT_ONCE => "new instances come before old ones go",
        (_, How::Rolling, _) => "a quarter of the instances at a time",
        (_, How::Recreate | How::OneByOne, _) => "it is away until it is back",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(kind: &str, component: &str, spec: &Value, path: &str) -> Option<(How, String)> {
        let labels = json!({"app.kubernetes.io/component": component});
        let object = json!({"kind": kind, "metadata": {"labels": labels}, "spec": spec});
        let difference = Difference { path: path.into(), before: None, after: None };
        restart(&object, &object, &[difference]).map(|it| (it.how, it.meanwhile))
    }

    #[test]
    fn only_another_template_restarts_and_it_is_said_how() {
        let of =
            |kind, component, spec| told(kind, component, &spec, "spec.template.spec").unwrap();
        let recreate = json!({"strategy": {"type": "Recreate"}, "replicas": 1});
        let list = [
            of("Deployment", "order", json!({"replicas": 2})),
            of("Deployment", "order", json!({"replicas": 8})),
            of("Deployment", "sandbox", recreate),
            of("StatefulSet", "kafka", json!({"replicas": 1})),
            of("StatefulSet", "kafka", json!({"replicas": 3})),
            of("StatefulSet", "database", json!({"replicas": 1})),
        ];
        let lines: Vec<_> =
            list.iter().map(|(how, meanwhile)| format!("{}: {meanwhile}", how.words())).collect();
        insta::assert_snapshot!(lines.join("\n"));
        let none = |spec, path| told("Deployment", "order", &spec, path);
        assert_eq!(none(json!({"replicas": 1}), "spec.replicas"), None);
        assert_eq!(none(json!({"replicas": 0}), "spec.template.spec"), None);
        assert_eq!(told("Service", "order", &json!({}), "spec.template"), None);
    }
}
