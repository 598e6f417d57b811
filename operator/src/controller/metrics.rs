//! The operator's own numbers.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use super::pulse::{self, Pulse};

/// Seconds, with fractions.
type Seconds = Gauge<f64, AtomicU64>;

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

impl From<&pulse::Shop> for Shop {
    fn from((namespace, name): &pulse::Shop) -> Self {
        Self { namespace: namespace.clone(), name: name.clone() }
    }
}

/// Clones count into the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    registry: Registry,
    reconciles: Family<Ended, Counter>,
    steady: Counter,
    errors: Family<Reason, Counter>,
    writes: Family<Written, Counter>,
    duration: Option<Histogram>,
    ready: Family<Shop, Gauge>,
    success: Family<Shop, Seconds>,
    leading: Gauge,
    under_way: Gauge,
    overdue: Seconds,
    pulse: Pulse,
    /// Shops that numbers are told of.
    shops: Mutex<HashSet<pulse::Shop>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::with(Pulse::default())
    }
}

impl Metrics {
    /// With the pulse of the loop that they are about.
    pub fn with(pulse: Pulse) -> Self {
        let mut registry = Registry::with_prefix("storefront_operator");
        let duration = Histogram::new(BUCKETS_S);
        let numbers = Numbers { duration: Some(duration.clone()), pulse, ..Numbers::default() };
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs here", version);
        registry.register("leading", "1 while this operator leads", numbers.leading.clone());
        let ready = numbers.ready.clone();
        registry.register("storefront_ready", "1 for a Storefront that is ready", ready);
        registry.register_with_unit(
            "storefront_last_success_timestamp",
            "When an attempt for a Storefront last succeeded, as Unix time",
            Unit::Seconds,
            numbers.success.clone(),
        );
        let reconciles = numbers.reconciles.clone();
        registry.register("reconciles", "Attempts, by how they ended", reconciles);
        let steady = numbers.steady.clone();
        registry.register("steady_reconciles", "Attempts that found nothing to write", steady);
        registry.register("errors", "Failed attempts, by reason", numbers.errors.clone());
        let writes = numbers.writes.clone();
        registry.register("writes", "Writes to the API server and the brokers", writes);
        registry.register("reconcile_duration_seconds", "Length of one attempt", duration);
        let under_way = numbers.under_way.clone();
        registry.register("reconciles_under_way", "Attempts that have not ended", under_way);
        registry.register_with_unit(
            "overdue",
            "How long the Storefront that waits longest for an attempt should have had it",
            Unit::Seconds,
            numbers.overdue.clone(),
        );
        Self(Arc::new(Numbers { registry, ..numbers }))
    }

    /// Whether the loop goes on.
    pub fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    pub fn write(&self, kind: &str, verb: &'static str) {
        self.0.writes.get_or_create(&Written { kind: kind.to_owned(), verb }).inc();
    }

    /// An attempt has ended.
    pub fn reconciled(
        &self,
        shop: &pulse::Shop,
        began: Instant,
        error: Option<&'static str>,
        wrote: bool,
    ) {
        let result = if error.is_some() { "failed" } else { "done" };
        self.0.reconciles.get_or_create(&Ended { result }).inc();
        if let Some(duration) = &self.0.duration {
            duration.observe(began.elapsed().as_secs_f64());
        }
        if let Some(reason) = error {
            self.0.errors.get_or_create(&Reason { reason }).inc();
            return;
        }
        if !wrote {
            self.0.steady.inc();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.shops().insert(shop.clone());
        self.0.success.get_or_create(&shop.into()).set(now.as_secs_f64());
    }

    pub fn ready(&self, shop: &pulse::Shop, ready: bool) {
        self.shops().insert(shop.clone());
        self.0.ready.get_or_create(&shop.into()).set(ready.into());
    }

    /// Of a shop that is gone nothing is told any more.
    pub fn gone(&self, shop: &pulse::Shop) {
        self.shops().remove(shop);
        self.0.ready.remove(&shop.into());
        self.0.success.remove(&shop.into());
    }

    /// Shops that are not among these are gone.
    pub fn keep_only(&self, there: &HashSet<pulse::Shop>) {
        let gone: Vec<_> = self.shops().difference(there).cloned().collect();
        for shop in &gone {
            self.gone(shop);
        }
        self.0.pulse.keep_only(there);
    }

    fn shops(&self) -> std::sync::MutexGuard<'_, HashSet<pulse::Shop>> {
        self.0.shops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn leading(&self, leads: bool) {
        self.0.leading.set(leads.into());
    }

    /// As Prometheus reads it.
    pub fn text(&self) -> String {
        let pulse = &self.0.pulse;
        self.0.under_way.set(pulse.under_way().try_into().unwrap_or(i64::MAX));
        self.0.overdue.set(pulse.overdue(Instant::now()).as_secs_f64());
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(name: &str) -> pulse::Shop {
        ("shops".into(), name.into())
    }

    #[test]
    fn a_shop_that_is_gone_is_told_of_no_more() {
        let metrics = Metrics::default();
        for name in ["stays", "goes"] {
            metrics.ready(&shop(name), false);
            metrics.reconciled(&shop(name), Instant::now(), None, false);
        }
        metrics.keep_only(&HashSet::from([shop("stays")]));
        let text = metrics.text();
        assert_eq!((text.matches("stays").count(), text.matches("goes").count()), (2, 0), "{text}");
    }

    /// Every number that is told stands in the documentation, and no other.
    #[test]
    fn the_numbers_are_those_that_are_documented() {
        let metrics = Metrics::default();
        metrics.ready(&shop("a"), true);
        metrics.write("ConfigMap", "apply");
        metrics.reconciled(&shop("a"), Instant::now(), None, false);
        metrics.reconciled(&shop("a"), Instant::now(), Some("ReadFailed"), false);
        let text = metrics.text();
        let told: HashSet<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .map(|name| {
                ["_bucket", "_sum", "_count"].iter().fold(name, |n, e| n.trim_end_matches(e))
            })
            .collect();
        let page = include_str!("../../../docs/operator.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `storefront_operator_"));
        let documented: HashSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
        let documented: HashSet<_> =
            documented.iter().map(|name| format!("storefront_operator_{name}")).collect();
        assert_eq!(told, documented.iter().map(String::as_str).collect());
    }
}
