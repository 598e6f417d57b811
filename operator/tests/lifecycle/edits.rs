//! Edits, one after the other and faster than the operator follows: in the end the shop is what a fresh one
//! with the last manifest is.

use fastrand::Rng;
use serde_json::{Value, json};
use storefront_testkit::{kafka, seed};

use crate::{
    controllers::Controllers,
    state::{State, assert_same, state, without_kept},
    world::{Operator, Place, until},
};

const EDITS: usize = 100;

/// Makes manifests that the API server takes, each after the one before.
struct Manifests {
    random: Rng,
    bootstrap: String,
    /// Gibibytes of the disks of brokers and database: they only grow.
    brokers_gi: u32,
    database_gi: u32,
}

impl Manifests {
    fn next(&mut self, prefix: &str) -> Value {
        self.brokers_gi += u32::from(self.one_in(8));
        self.database_gi += u32::from(self.one_in(8));
        let stripe = self.random.bool();
        let mut spec = json!({
            "currency": "INR",
            "payment": if stripe { json!({"stripe": {"secretRef": {"name": "stripe"}}}) } else { json!({"sandbox": {}}) },
            "kafka": self.kafka(prefix),
            "database": self.database(),
        });
        if stripe || self.random.bool() {
            spec["catalog"] = self.catalog();
        }
        for (field, value) in [
            (
                "branding",
                json!({"name": format!("Shop {}", self.random.u8(..)), "primaryColor": "#7A1F3D"}),
            ),
            ("email", self.email()),
            ("gateway", self.gateway()),
            ("services", self.services()),
            (
                "images",
                json!({"registry": "registry.example.com/shops", "tag": format!("0.{}", self.random.u8(..))}),
            ),
            ("placement", json!({"nodeSelector": {"disk": "fast"}, "priorityClassName": "shop"})),
            ("podMetadata", self.marks()),
            ("serviceAccount", json!({"annotations": {"example.com/role": self.word()}})),
            ("networkPolicy", json!({"enabled": self.random.bool()})),
        ] {
            // The API server makes null of a map that others were in before: nobody means that.
            if self.random.bool() && value != json!({}) {
                spec[field] = value;
            }
        }
        if self.one_in(10) {
            spec["paused"] = json!(true);
        }
        spec
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(..n) == 0
    }

    fn word(&mut self) -> String {
        std::iter::repeat_with(|| self.random.lowercase()).take(6).collect()
    }

    fn marks(&mut self) -> Value {
        let (label, annotation) = (self.word(), self.word());
        json!({"labels": {"team": label}, "annotations": {annotation: "yes"}})
    }

    fn catalog(&mut self) -> Value {
        if self.one_in(4) {
            return json!({"configMapRef": {"name": "products"}});
        }
        let products: Vec<_> = (0..self.random.u32(1..4))
            .map(|n| json!({"id": format!("p{n}"), "name": self.word(), "price": self.random.u16(..)}))
            .collect();
        json!({"products": products})
    }

    fn kafka(&mut self, prefix: &str) -> Value {
        let mut kafka = json!({"prefix": prefix, "topics": {"replicationFactor": 1}});
        if self.random.bool() {
            kafka["topics"]["config"] =
                json!({"retention.ms": 86_400_000 + self.random.u32(..1000)});
        }
        if self.random.bool() {
            kafka["topics"]["deletionPolicy"] = json!("Delete");
        }
        match self.random.u32(..6) {
            0 | 1 => kafka["external"] = json!({"bootstrapServers": self.bootstrap}),
            2 => kafka["strimzi"] = json!({"cluster": "main"}),
            _ => {
                let storage = json!({
                    "size": format!("{}Gi", self.brokers_gi), "retain": self.random.bool(),
                });
                kafka["managed"] = json!({"storage": storage});
            }
        }
        kafka
    }

    fn database(&mut self) -> Value {
        if self.one_in(3) {
            return json!({"external": {"secretRef": {"name": "postgres", "key": "uri"}}});
        }
        json!({"managed": {"storage": {
            "size": format!("{}Gi", self.database_gi), "retain": self.random.bool(),
        }}})
    }

    fn email(&mut self) -> Value {
        let mut email =
            json!({"from": "Demo <shop@example.com>", "maxAgeHours": self.random.u8(1..)});
        if self.random.bool() {
            email["smtp"] = json!({"host": "smtp.example.com", "secretRef": {"name": "gmail"}});
        }
        if self.random.bool() {
            email["sendOn"] = json!(["payment-successful", "order-successful"]);
        }
        email
    }

    fn gateway(&mut self) -> Value {
        let mut gateway = json!({
            "pages": self.random.bool(), "host": format!("{}.example.com", self.word()),
            "requestTimeoutMs": self.random.u16(10..),
        });
        if self.random.bool() {
            gateway["ingress"] =
                json!({"className": "nginx", "annotations": {"example.com/a": self.word()}});
        }
        if self.random.bool() {
            gateway["httpRoute"] = json!({"parentRefs": [{"name": "public"}]});
        }
        gateway
    }

    fn services(&mut self) -> Value {
        let mut services = json!({});
        for name in ["gateway", "payment", "order", "email", "analytics"] {
            let service = self.service();
            if self.random.bool() && service != json!({}) {
                services[name] = service;
            }
        }
        services
    }

    fn service(&mut self) -> Value {
        let mut service = json!({});
        match self.random.u32(..4) {
            0 => service["enabled"] = json!(false),
            1 => service["replicas"] = json!(self.random.u8(..4)),
            2 => service["autoscaling"] = json!({"maxReplicas": self.random.u8(1..9)}),
            _ => {}
        }
        for (field, value) in [
            ("resources", json!({"limits": {"memory": format!("{}Mi", self.random.u8(100..))}})),
            ("image", json!(format!("example.com/{}:1", self.word()))),
            ("env", json!([{"name": "RUST_LOG", "value": self.word()}])),
            ("podMetadata", self.marks()),
            ("disruptionBudget", json!({"maxUnavailable": "50%"})),
        ] {
            if self.one_in(3) {
                service[field] = value;
            }
        }
        service
    }
}

/// The list of topics that are ours on brokers of others remembers those of services that ran before.
fn without_ledger(mut state: State) -> State {
    state.remove("ConfigMap demo-topics");
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_edits_end_in_what_the_last_one_says() {
    let mut manifests = Manifests {
        random: Rng::with_seed(seed()),
        bootstrap: kafka().await.unwrap().bootstrap().to_owned(),
        brokers_gi: 10,
        database_gi: 10,
    };
    let place = Place::new().await;
    let operator = Operator::start(place.client.clone(), &place.namespace);
    let _controllers = Controllers::start(&place);
    let prefix = |place: &Place| format!("{}.", place.namespace);
    let mut spec = json!({});
    for number in 1..=EDITS {
        spec = manifests.next(&prefix(&place));
        if number == EDITS {
            spec["paused"] = json!(false);
        }
        let taken = place.try_apply(&spec).await;
        assert!(taken.is_ok(), "edit {number} was refused: {taken:?}\n{spec}");
        // Some edits find the operator at work, some have been followed.
        if manifests.one_in(4) {
            let attempts = operator.number("reconciles_total");
            until("an attempt", async || operator.number("reconciles_total") > attempts).await;
        }
    }
    operator.settles(&place).await;
    println!("{} attempts for {EDITS} edits", operator.number("reconciles_total"));

    let fresh = Place::new().await;
    let beside = Operator::start(fresh.client.clone(), &fresh.namespace);
    spec["kafka"]["prefix"] = json!(prefix(&fresh));
    fresh.apply(&spec).await;
    beside.settles(&fresh).await;
    let fresh = without_ledger(state(&fresh).await);
    let there = without_kept(without_ledger(state(&place).await), &fresh);
    assert_same(&there, &fresh, &format!("after {EDITS} edits, the last of them {spec}"));
}
