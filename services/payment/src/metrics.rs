//! What payment counts. Every label is one of a fixed set of words.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use storefront_runtime::metrics::Labels;

/// The types of events that payment acts on; every other type is counted as `other`.
pub const EVENT_TYPES: [&str; 4] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabels {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GapLabels {
    gap: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MessengerLabels {
    messenger: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Payment's own metrics. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    calls: Family<CallLabels, Counter>,
    events: Family<TypeLabels, Counter>,
    payments: Family<StateLabels, Counter>,
    paid: Family<MessengerLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    foreign: Counter,
    audits: Counter,
    gaps: Family<GapLabels, Counter>,
}

impl Metrics {
    /// Registers all of them with a service.
    pub fn register(registry: &storefront_runtime::Metrics) -> Self {
        let metrics = Self::default();
        let Self { calls, events, payments, paid, refused, foreign, audits, gaps } = &metrics;
        let text = "Attempts to call Stripe, by what came of them";
        let labels: Labels = &[
            (
                "call",
                "`create_session`, `retrieve_session`, `list_line_items`, `list_sessions`, \
                 `list_events`",
            ),
            ("result", "`ok`, or why not: a fixed word such as `timeout`, `rate-limited`"),
        ];
        registry.register_by(labels, "storefront_stripe_calls", text, calls.clone());
        let text = "Events that Stripe has sent, by type";
        let labels: Labels =
            &[("type", "one of the four of Checkout sessions that are acted on, or `other`")];
        registry.register_by(labels, "storefront_stripe_events", text, events.clone());
        let text = "Payments that entered a state";
        let labels: Labels =
            &[("state", "`creating`, `open`, `processing`, `paid`, `failed`, `expired`, `held`")];
        registry.register_by(labels, "storefront_payments", text, payments.clone());
        let text = "Payments that became paid, by who brought the news first";
        let labels: Labels =
            &[("messenger", "`verify` (the success page), `webhook`, `sweeper`, `audit`")];
        registry.register_by(labels, "storefront_payments_news", text, paid.clone());
        let text = "Webhooks that were not taken: a wrong signature or no event";
        let labels: Labels =
            &[("reason", "`missing`, `malformed`, `no-signature`, `mismatch`, `time`, `no-event`")];
        let name = "storefront_stripe_webhooks_refused";
        registry.register_by(labels, name, text, refused.clone());
        let text = "Events and sessions of other shops on the same Stripe account";
        registry.register("storefront_stripe_foreign", text, foreign.clone());
        let text = "Audits whose findings were told";
        registry.register("storefront_audits", text, audits.clone());
        let text = "Gaps that audits have found between Stripe, orders and mails";
        let labels: Labels = &[(
            "gap",
            "`payment`, `held`, `order`, `amount`, `mail`, `unpaid`: what is missing or wrong",
        )];
        registry.register_by(labels, "storefront_audit_gaps", text, gaps.clone());
        metrics
    }

    /// `storefront_stripe_calls_total{call,result}`.
    pub fn stripe_call(&self, call: &'static str, result: &'static str) {
        self.calls.get_or_create(&CallLabels { call, result }).inc();
    }

    /// `storefront_stripe_events_total{type}`.
    pub fn stripe_event(&self, event_type: &str) {
        let known = EVENT_TYPES.into_iter().find(|known| *known == event_type);
        self.events.get_or_create(&TypeLabels { r#type: known.unwrap_or("other") }).inc();
    }

    /// `storefront_payments_total{state}`.
    pub fn entered(&self, state: &'static str) {
        self.payments.get_or_create(&StateLabels { state }).inc();
    }

    /// `storefront_payments_news_total{messenger}`.
    pub fn paid(&self, messenger: &'static str) {
        self.paid.get_or_create(&MessengerLabels { messenger }).inc();
    }

    /// `storefront_stripe_webhooks_refused_total{reason}`.
    pub fn webhook_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// `storefront_audits_total`, and `storefront_audit_gaps_total{gap}` for each sort.
    pub fn audited(&self, gaps: &[(&'static str, u64)]) {
        self.audits.inc();
        for (gap, count) in gaps {
            self.gaps.get_or_create(&GapLabels { gap }).inc_by(*count);
        }
    }

    /// `storefront_stripe_foreign_total`.
    pub fn foreign(&self) {
        self.foreign.inc();
    }
}
