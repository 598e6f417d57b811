//! What email counts on top of the runtime's own metrics.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use storefront_runtime::{Metrics, metrics::Labels};

/// Label of a state that mails come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// `queued`, `sent`, `unknown`, `failed`, or `deferred` for one that goes back to `queued`.
    pub state: &'static str,
}

/// The service's own metrics. Clones share them.
#[derive(Clone, Default)]
pub struct MailMetrics {
    /// `storefront_mails_total{state}`: how often a mail came to a state.
    pub mails: Family<StateLabel, Counter>,
    /// `storefront_mails_awaiting`: mails that are not finished, up to a bound.
    pub awaiting: Gauge,
    /// `storefront_smtp_up`: 1 unless the mail server could not be reached when it was last tried.
    pub smtp_up: Gauge,
}

impl MailMetrics {
    pub fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        let labels: Labels =
            &[("state", "`queued`, `sent`, `unknown`, `failed`; `deferred` goes back to `queued`")];
        let mails = "Mails, by the state they came to";
        metrics.register_by(labels, "storefront_mails", mails, own.mails.clone());
        let awaiting = "Mails that are neither sent nor given up";
        metrics.register("storefront_mails_awaiting", awaiting, own.awaiting.clone());
        let smtp_up = "Whether the mail server could be reached when it was last tried";
        metrics.register("storefront_smtp_up", smtp_up, own.smtp_up.clone());
        own.smtp_up.set(1);
        own
    }

    pub fn count(&self, state: &'static str) {
        self.mails.get_or_create(&StateLabel { state }).inc();
    }
}
