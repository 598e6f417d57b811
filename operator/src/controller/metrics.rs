//! The operator's own numbers.

use std::{sync::Arc, time::Instant};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Upper ends of the buckets, in seconds.
const BUCKETS_S: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    kind: String,
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Shop {
    namespace: String,
    name: String,
}

/// Clones count into the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

struct Numbers {
    registry: Registry,
    reconciles: Family<Ended, Counter>,
    steady: Counter,
    errors: Family<Reason, Counter>,
    writes: Family<Written, Counter>,
    duration: Histogram,
    ready: Family<Shop, Gauge>,
    leading: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut numbers = Numbers {
            registry: Registry::with_prefix("storefront_operator"),
            reconciles: Family::default(),
            steady: Counter::default(),
            errors: Family::default(),
            writes: Family::default(),
            duration: Histogram::new(BUCKETS_S),
            ready: Family::default(),
            leading: Gauge::default(),
        };
        let registry = &mut numbers.registry;
        registry.register("reconciles", "Attempts, by how they ended", numbers.reconciles.clone());
        registry.register(
            "steady_reconciles",
            "Attempts that found nothing to write",
            numbers.steady.clone(),
        );
        registry.register("errors", "Failed attempts, by reason", numbers.errors.clone());
        registry.register(
            "writes",
            "Writes to the API server and the brokers",
            numbers.writes.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "Length of one attempt",
            numbers.duration.clone(),
        );
        registry.register(
            "storefront_ready",
            "1 for a Storefront that is ready",
            numbers.ready.clone(),
        );
        registry.register("leading", "1 while this operator leads", numbers.leading.clone());
        Self(Arc::new(numbers))
    }
}

impl Metrics {
    pub fn write(&self, kind: &str, verb: &'static str) {
        self.0.writes.get_or_create(&Written { kind: kind.to_owned(), verb }).inc();
    }

    /// Writes until now, all together.
    pub fn reconciled(&self, began: Instant, error: Option<&'static str>, wrote: bool) {
        let result = if error.is_some() { "failed" } else { "done" };
        self.0.reconciles.get_or_create(&Ended { result }).inc();
        self.0.duration.observe(began.elapsed().as_secs_f64());
        match error {
            Some(reason) => {
                self.0.errors.get_or_create(&Reason { reason }).inc();
            }
            None if !wrote => {
                self.0.steady.inc();
            }
            None => {}
        }
    }

    pub fn ready(&self, namespace: &str, name: &str, ready: bool) {
        let shop = Shop { namespace: namespace.to_owned(), name: name.to_owned() };
        self.0.ready.get_or_create(&shop).set(ready.into());
    }

    pub fn gone(&self, namespace: &str, name: &str) {
        self.0.ready.remove(&Shop { namespace: namespace.to_owned(), name: name.to_owned() });
    }

    pub fn leading(&self, leads: bool) {
        self.0.leading.set(leads.into());
    }

    /// As Prometheus reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}
