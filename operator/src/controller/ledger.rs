//! Which topics are ours, as it was written down before they were made, in a ConfigMap that outlives the shop.

use std::collections::{BTreeMap, BTreeSet};

use super::{observe::Live, twins::Identity};
use crate::names;

/// Key of the names, one a line.
const TOPICS_KEY: &str = "topics";
/// Key of the id of the brokers' cluster that they are in.
const CLUSTER_KEY: &str = "cluster";
/// Key of the brokers' addresses, one a line, where the id is no proof.
const ADDRESSES_KEY: &str = "brokers";

/// What is written down.
#[derive(Debug, Default)]
pub struct Ledger {
    topics: BTreeSet<String>,
    cluster: String,
    addresses: BTreeSet<String>,
}

impl Ledger {
    /// What is to be written down of these brokers. Where they are is a part of it only where their id does
    /// not tell: addresses change.
    pub fn new(topics: BTreeSet<String>, brokers: &Identity) -> Self {
        let tells = brokers.id.is_none() || brokers.proof().is_some();
        let addresses = if tells { BTreeSet::new() } else { brokers.addresses.clone() };
        Self { topics, cluster: brokers.id.clone().unwrap_or_default(), addresses }
    }

    pub fn read(live: &Live, shop: &str) -> Self {
        let found = live.find("ConfigMap", &names::object(shop, names::TOPICS));
        let text = |key: &str| found.and_then(|found| found.data["data"][key].as_str());
        let lines =
            |key: &str| text(key).into_iter().flat_map(str::lines).map(str::to_owned).collect();
        Self {
            topics: lines(TOPICS_KEY),
            cluster: text(CLUSTER_KEY).unwrap_or_default().to_owned(),
            addresses: lines(ADDRESSES_KEY),
        }
    }

    /// The `data` of its ConfigMap.
    pub fn data(&self) -> BTreeMap<&'static str, String> {
        let lines = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join("\n");
        let mut data = BTreeMap::from([
            (TOPICS_KEY, lines(&self.topics)),
            (CLUSTER_KEY, self.cluster.clone()),
        ]);
        if !self.addresses.is_empty() {
            data.insert(ADDRESSES_KEY, lines(&self.addresses));
        }
        data
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Our topics at these brokers. At others the same names are somebody else's: a shop that is pointed at
    /// other brokers must neither change nor delete what it finds there.
    pub fn topics_of(&self, brokers: &Identity) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let has_other_id =
            brokers.id.as_ref().is_some_and(|id| !self.cluster.is_empty() && *id != self.cluster);
        // Of what was written down before addresses were, nothing tells.
        let is_elsewhere = brokers.id.is_some()
            && brokers.proof().is_none()
            && !self.addresses.is_empty()
            && self.addresses.is_disjoint(&brokers.addresses);
        if has_other_id || is_elsewhere { &NONE } else { &self.topics }
    }

    /// Whether there is nothing to write down.
    pub fn says(&self, topics: &BTreeSet<String>, brokers: &Identity) -> bool {
        let wanted = Self::new(topics.clone(), brokers);
        let known = brokers.id.is_none()
            || (wanted.cluster == self.cluster && wanted.addresses == self.addresses);
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

    fn brokers(id: Option<&str>) -> Identity {
        at("a:9092", id)
    }

    fn at(address: &str, id: Option<&str>) -> Identity {
        Identity { addresses: names(&[address]), id: id.map(str::to_owned) }
    }

    #[test]
    fn what_is_ours_in_one_cluster_is_not_in_another() {
        let ours = ledger(&json!({"topics": "a\nb", "cluster": "here"}));
        assert_eq!(*ours.topics_of(&brokers(Some("here"))), names(&["a", "b"]));
        assert_eq!(*ours.topics_of(&at("z:9092", Some("here"))), names(&["a", "b"]));
        assert_eq!(*ours.topics_of(&brokers(Some("there"))), names(&[]));
        // Brokers that have no id, and what was written down before ids were.
        assert_eq!(*ours.topics_of(&brokers(None)), names(&["a", "b"]));
        let before = ledger(&json!({"topics": "a"}));
        assert_eq!(*before.topics_of(&brokers(Some("here"))), names(&["a"]));
        assert_eq!(*Ledger::read(&Live::default(), "demo").topics_of(&brokers(None)), names(&[]));
    }

    #[test]
    fn an_id_that_many_clusters_have_needs_an_address_beside_it() {
        let usual = Some("5L6g3nShT-eMCtK--X86sw");
        let written = Ledger::new(names(&["a"]), &at("a:9092", usual));
        let ours = ledger(&json!(written.data()));
        assert_eq!(*ours.topics_of(&at("a:9092", usual)), names(&["a"]));
        assert_eq!(*ours.topics_of(&at("b:9092", usual)), names(&[]));
        assert!(ours.says(&names(&["a"]), &at("a:9092", usual)));
        assert!(!ours.says(&names(&["a"]), &at("b:9092", usual)), "they have moved");
        let before = ledger(&json!({"topics": "a", "cluster": usual}));
        assert_eq!(*before.topics_of(&at("b:9092", usual)), names(&["a"]));
        // Where an id tells, addresses are nobody's business.
        assert!(!Ledger::new(names(&["a"]), &brokers(Some("here"))).data().contains_key("brokers"));
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
            let brokers = brokers(cluster);
            assert_eq!(ours.says(&names(topics), &brokers), says, "{topics:?} in {cluster:?}");
        }
        assert!(!ledger(&json!({"topics": "a"})).says(&names(&["a"]), &brokers(Some("here"))));
    }
}
