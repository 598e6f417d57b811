//! Which topics are ours, as it was written down before they were made, in a ConfigMap that outlives the shop.

use std::collections::BTreeSet;

use super::observe::Live;
use crate::names;

/// Key of the names, one a line.
pub const TOPICS_KEY: &str = "topics";
/// Key of the id of the brokers' cluster that they are in.
pub const CLUSTER_KEY: &str = "cluster";

/// What is written down.
#[derive(Debug, Default)]
pub struct Ledger {
    topics: BTreeSet<String>,
    cluster: String,
}

impl Ledger {
    pub fn read(live: &Live, shop: &str) -> Self {
        let found = live.find("ConfigMap", &names::object(shop, names::TOPICS));
        let text = |key: &str| found.and_then(|found| found.data["data"][key].as_str());
        let names = text(TOPICS_KEY).into_iter().flat_map(str::lines);
        Self {
            topics: names.map(str::to_owned).collect(),
            cluster: text(CLUSTER_KEY).unwrap_or_default().to_owned(),
        }
    }

    /// Our topics in the cluster with that id. In another one the same names are somebody else's: a shop that
    /// is pointed at other brokers must neither change nor delete what it finds there.
    pub fn topics_of(&self, cluster: Option<&str>) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let is_other = cluster.is_some_and(|id| !self.cluster.is_empty() && id != self.cluster);
        if is_other { &NONE } else { &self.topics }
    }

    /// Whether there is nothing to write down.
    pub fn says(&self, topics: &BTreeSet<String>, cluster: Option<&str>) -> bool {
        let known = cluster.is_none_or(|id| id == self.cluster);
        topics.is_empty() || (known && *topics == self.topics)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DynamicObject;
    use serde_json::{Value, json};

    use super::*;

    fn ledger(data: &Value) -> Ledger {
        let map: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo-topics"}, "data": data,
        }))
        .unwrap();
        Ledger::read(&Live { objects: vec![map] }, "demo")
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_ours_in_one_cluster_is_not_in_another() {
        let ours = ledger(&json!({"topics": "a\nb", "cluster": "here"}));
        assert_eq!(*ours.topics_of(Some("here")), names(&["a", "b"]));
        assert_eq!(*ours.topics_of(Some("there")), names(&[]));
        // Brokers that have no id, and what was written down before ids were.
        assert_eq!(*ours.topics_of(None), names(&["a", "b"]));
        assert_eq!(*ledger(&json!({"topics": "a"})).topics_of(Some("here")), names(&["a"]));
        assert_eq!(*Ledger::read(&Live::default(), "demo").topics_of(None), names(&[]));
    }

    #[test]
    fn it_is_written_once() {
        let ours = ledger(&json!({"topics": "a", "cluster": "here"}));
        for (topics, cluster, says) in [
            (&["a"][..], Some("here"), true),
            (&["a"], None, true),
            (&["a", "b"], Some("here"), false),
            (&["a"], Some("there"), false),
            // While nothing there is ours it is still known what is where it was.
            (&[], Some("there"), true),
        ] {
            assert_eq!(ours.says(&names(topics), cluster), says, "{topics:?} in {cluster:?}");
        }
        assert!(!ledger(&json!({"topics": "a"})).says(&names(&["a"]), Some("here")));
    }
}
