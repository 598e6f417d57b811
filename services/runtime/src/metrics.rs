//! What a service counts and how Prometheus reads it. One registry per service instance, nothing
//! global: `storefront dev` runs several in one process.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

/// The media type of what [`Metrics::encode`] writes.
pub const OPENMETRICS_TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the request histogram, in seconds: from a static answer to a slow upstream's limit.
const DURATION_BUCKETS_S: [f64; 11] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Everything one service instance counts. Clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    described: Mutex<Vec<Described>>,
    http: OnceLock<HttpMetrics>,
    events: OnceLock<EventMetrics>,
}

/// One metric, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// As it is scraped, without the suffixes of its samples.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: String,
    pub help: String,
    pub labels: Labels,
}

/// Names of labels, and what their values are, for people.
pub type Labels = &'static [(&'static str, &'static str)];

/// Labels of one kind of HTTP exchange. All are bounded: routes are templates, methods known ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HttpLabels {
    pub method: &'static str,
    pub route: Arc<str>,
    pub status: u16,
}

/// The metrics of every HTTP server.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// `http_server_request_duration_seconds{method, route, status}`: from a request's head to the
    /// end of its answer's head.
    pub duration: Family<HttpLabels, Histogram, fn() -> Histogram>,
    /// `http_server_refused_total{reason}`: requests that broke the rules of HTTP or a limit.
    pub refused: Family<ReasonLabels, Counter>,
    /// `http_server_connections`: connections open now.
    pub connections: Gauge,
}

/// Labels of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PartitionLabels {
    pub topic: Arc<str>,
    pub partition: i32,
}

/// Labels of one end that an event can come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabels {
    pub topic: Arc<str>,
    /// `handled`, `duplicate`, `skipped`, `parked`, `dead`: a fixed word.
    pub result: &'static str,
}

/// Labels of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// A fixed word, such as an error's `reason()`.
    pub reason: &'static str,
}

/// The metrics of every service that consumes or sends events.
#[derive(Clone, Debug, Default)]
pub struct EventMetrics {
    /// `storefront_consumer_lag{topic, partition}`: records not yet handled.
    pub consumer_lag: Family<PartitionLabels, Gauge>,
    /// `storefront_events_total{topic, result}`.
    pub events: Family<EventLabels, Counter>,
    /// `storefront_parked`: events that wait for another attempt.
    pub parked: Gauge,
    /// `storefront_dead_letters_total{reason}`.
    pub dead_letters: Family<ReasonLabels, Counter>,
    /// `storefront_outbox_depth`: messages stored but not yet acknowledged by Kafka.
    pub outbox_depth: Gauge,
    /// `storefront_outbox_failed`: messages that Kafka refuses for good.
    pub outbox_failed: Gauge,
}

impl Metrics {
    /// With `storefront_build_info` for a service of this name.
    pub fn new(service: &'static str) -> Self {
        let mut registry = Registry::default();
        let labels = vec![("service", service), ("version", env!("CARGO_PKG_VERSION"))];
        let help = "What runs here";
        registry.register("storefront_build", help, Info::new(labels));
        let build = Described {
            name: "storefront_build_info".into(),
            kind: "info".into(),
            help: help.into(),
            labels: &[("service", "its name"), ("version", "of Storefront")],
        };
        let (http, events) = (OnceLock::new(), OnceLock::new());
        let described = Mutex::new(vec![build]);
        Self(Arc::new(Inner { registry: Mutex::new(registry), described, http, events }))
    }

    /// Adds a metric of a service's own and hands it back. Counters get the suffix `_total` when
    /// they are written, so leave it out of `name`.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.register_by(&[], name, help, metric)
    }

    /// [`Metrics::register`] for a metric with labels.
    pub fn register_by<M: Metric + Clone>(
        &self,
        labels: Labels,
        name: &str,
        help: &str,
        metric: M,
    ) -> M {
        let kind = metric.metric_type().as_str().to_owned();
        let suffix = if kind == "counter" { "_total" } else { "" };
        let described =
            Described { name: format!("{name}{suffix}"), kind, help: help.to_owned(), labels };
        self.0.described.lock().unwrap_or_else(PoisonError::into_inner).push(described);
        self.registry(|registry| registry.register(name, help, metric.clone()));
        metric
    }

    /// Everything that was registered so far, in that order.
    pub fn described(&self) -> Vec<Described> {
        self.0.described.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The HTTP metrics, registered when first asked for.
    pub fn http(&self) -> &HttpMetrics {
        self.0.http.get_or_init(|| HttpMetrics::register(self))
    }

    /// The event metrics, registered when first asked for.
    pub fn events(&self) -> &EventMetrics {
        self.0.events.get_or_init(|| EventMetrics::register(self))
    }

    /// All of it in the `OpenMetrics` text format.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; a metric of a service's own that does is left out.
        if self.registry(|registry| encode(&mut text, registry)).is_err() {
            tracing::warn!("a metric could not be written");
        }
        text
    }

    fn registry<T>(&self, work: impl FnOnce(&mut Registry) -> T) -> T {
        work(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl HttpMetrics {
    /// Metrics that nobody reads until they are registered.
    pub(crate) fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS_S);
        Self {
            duration: Family::new_with_constructor(histogram),
            refused: Family::default(),
            connections: Gauge::default(),
        }
    }

    fn register(metrics: &Metrics) -> Self {
        let http = Self::new();
        let duration = "From a request's head to the end of its answer's head";
        let name = "http_server_request_duration_seconds";
        let labels: Labels = &[
            ("method", "`GET`, `POST`… or `other`"),
            ("route", "the template of the path, `page` or `unmatched`"),
            ("status", "of the answer"),
        ];
        metrics.register_by(labels, name, duration, http.duration.clone());
        let refused = "Requests that broke the rules of HTTP or a limit";
        let labels: Labels = &[("reason", "a fixed word, such as `BodyTooLarge`")];
        metrics.register_by(labels, "http_server_refused", refused, http.refused.clone());
        metrics.register(
            "http_server_connections",
            "Connections open now",
            http.connections.clone(),
        );
        http
    }
}

/// Labels of a metric of partitions, for people.
pub(crate) const PARTITION: Labels =
    &[("topic", "its name on the broker"), ("partition", "its number")];

impl EventMetrics {
    fn register(metrics: &Metrics) -> Self {
        let events = Self::default();
        let lag = "Records of a partition that were not handled yet";
        metrics.register_by(PARTITION, "storefront_consumer_lag", lag, events.consumer_lag.clone());
        metrics.register_by(
            &[
                ("topic", "its name on the broker"),
                (
                    "result",
                    "`handled`, `duplicate`, `skipped` (for another group), `parked`, `dead`",
                ),
            ],
            "storefront_events",
            "Events, by what became of them",
            events.events.clone(),
        );
        let parked = "Events that wait for another attempt";
        metrics.register("storefront_parked", parked, events.parked.clone());
        let dead = "Events given up on, by reason";
        let labels: Labels = &[(
            "reason",
            "that of `dlq-reason`: `undecodable`, `invalid`, or a fixed word of the service",
        )];
        metrics.register_by(labels, "storefront_dead_letters", dead, events.dead_letters.clone());
        let depth = "Messages stored and not yet acknowledged by Kafka";
        metrics.register("storefront_outbox_depth", depth, events.outbox_depth.clone());
        let failed = "Messages that Kafka refuses for good";
        metrics.register("storefront_outbox_failed", failed, events.outbox_failed.clone());
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_names_the_design_fixes() {
        let metrics = Metrics::new("order");
        let events = metrics.events();
        let topic: Arc<str> = "payment-successful".into();
        events
            .consumer_lag
            .get_or_create(&PartitionLabels { topic: topic.clone(), partition: 0 })
            .set(7);
        events.events.get_or_create(&EventLabels { topic, result: "handled" }).inc();
        events.dead_letters.get_or_create(&ReasonLabels { reason: "Undecodable" }).inc();
        let labels = HttpLabels { method: "GET", route: "/orders/{id}".into(), status: 200 };
        metrics.http().duration.get_or_create(&labels).observe(0.003);
        let text = metrics.encode();
        for line in [
            "storefront_consumer_lag{topic=\"payment-successful\",partition=\"0\"} 7",
            "storefront_events_total{topic=\"payment-successful\",result=\"handled\"} 1",
            "storefront_parked 0",
            "storefront_dead_letters_total{reason=\"Undecodable\"} 1",
            "storefront_outbox_depth 0",
            "seconds_count{method=\"GET\",route=\"/orders/{id}\",status=\"200\"} 1",
            "storefront_build_info{service=\"order\"",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn two_services_in_one_process_do_not_share_metrics() {
        let (order, email) = (Metrics::new("order"), Metrics::new("email"));
        order.events().parked.set(3);
        email.events().parked.set(5);
        assert!(order.encode().contains("storefront_parked 3"));
        assert!(email.encode().contains("storefront_parked 5"));
    }
}
