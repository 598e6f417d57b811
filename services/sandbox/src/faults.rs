//! Faults that a test asks for: decided here by one seeded generator, carried out where they bite.
//! They live in memory only: after a restart nothing is broken on purpose.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::store::Delivery;

const DELAY_MAX_MS: u64 = 600_000;

/// What is broken on purpose. Everything has a default: nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultSettings {
    /// Seed of every decision; one is drawn, and told, when none is given.
    pub seed: Option<u64>,
    pub webhooks: WebhookFault,
    /// Part of the events that `webhooks` is done to, 0 to 1.
    pub webhook_share: f64,
    /// Added to every delivery.
    pub webhook_delay_ms: u64,
    /// Up to this much more, drawn for each event: shuffles them.
    pub webhook_jitter_ms: u64,
    pub api: Option<ApiFault>,
    /// Before each answer of the Stripe API, while its idempotency key is in flight.
    pub api_delay_ms: u64,
    pub smtp: Option<SmtpFault>,
}

impl Default for FaultSettings {
    fn default() -> Self {
        Self {
            seed: None,
            webhooks: WebhookFault::Deliver,
            webhook_share: 1.0,
            webhook_delay_ms: 0,
            webhook_jitter_ms: 0,
            api: None,
            api_delay_ms: 0,
            smtp: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFault {
    Deliver,
    /// Never sent; the event is in the list all the same.
    Drop,
    /// Sent twice.
    Duplicate,
}

/// Answers of the Stripe API that are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiFault {
    /// 400 to 599.
    pub status: u16,
    /// Part of the requests, 0 to 1.
    #[serde(default = "whole")]
    pub share: f64,
    /// The error is kept for the idempotency key, as Stripe keeps its 500s.
    #[serde(default)]
    pub stored: bool,
    /// The request takes effect all the same.
    #[serde(default)]
    pub applied: bool,
    /// `create`, `expire`, `retrieve`, `list`, `line_items`, `events`, `event` or `intent`; all when
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
}

/// Replies of the SMTP server that are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpFault {
    /// Such as `450 4.2.0 greylisted`. Absent: the connection is cut. After a 421 it is closed.
    #[serde(default)]
    pub reply: Option<String>,
    pub at: SmtpStage,
    /// Part of the times this stage is reached, 0 to 1.
    #[serde(default = "whole")]
    pub share: f64,
    /// At the end of data: the mail is kept all the same.
    #[serde(default)]
    pub stored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpStage {
    Connect,
    Mail,
    Rcpt,
    Data,
    EndOfData,
}

fn whole() -> f64 {
    1.0
}

/// Names of the calls that an [`ApiFault`] can be limited to.
pub const CALLS: &[&str] =
    &["create", "expire", "retrieve", "list", "line_items", "events", "event", "intent"];

impl FaultSettings {
    /// What is wrong with them, in words.
    pub fn check(&self) -> Result<(), String> {
        let api_share = self.api.as_ref().map(|api| api.share);
        let smtp_share = self.smtp.as_ref().map(|smtp| smtp.share);
        for share in [Some(self.webhook_share), api_share, smtp_share].into_iter().flatten() {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("a share is {share}; it must be 0 to 1"));
            }
        }
        for delay in [self.webhook_delay_ms, self.webhook_jitter_ms, self.api_delay_ms] {
            if delay > DELAY_MAX_MS {
                return Err(format!("a delay is {delay} ms; it must be at most {DELAY_MAX_MS}"));
            }
        }
        if let Some(api) = &self.api {
            if !(400..600).contains(&api.status) {
                return Err(format!("api.status is {}; it must be 400 to 599", api.status));
            }
            if let Some(call) = api.calls.iter().find(|call| !CALLS.contains(&call.as_str())) {
                return Err(format!("api.calls has {call:?}; there are {}", CALLS.join(", ")));
            }
        }
        match self.smtp.as_ref().and_then(|smtp| smtp.reply.as_deref()) {
            Some(reply) if !is_reply(reply) => {
                Err(format!("smtp.reply is {reply:?}; it must be like \"450 4.2.0 later\""))
            }
            _ => Ok(()),
        }
    }
}

/// A negative reply of one line.
fn is_reply(reply: &str) -> bool {
    let (code, text) = reply.split_at_checked(3).unwrap_or_default();
    let negative = code.starts_with(['4', '5']) && code.bytes().all(|b| b.is_ascii_digit());
    negative
        && text.strip_prefix(' ').is_some_and(|text| !text.is_empty())
        && reply.len() <= 500
        && !reply.contains(char::is_control)
}

/// How an event goes to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatch {
    pub delivery: Delivery,
    pub copies: i64,
    pub delay_ms: i64,
}

struct Inner {
    settings: FaultSettings,
    random: fastrand::Rng,
}

/// The faults in force.
pub struct Faults(Mutex<Inner>);

impl Default for Faults {
    fn default() -> Self {
        Self(Mutex::new(Inner::new(FaultSettings::default())))
    }
}

impl Inner {
    fn new(mut settings: FaultSettings) -> Self {
        let seed = *settings.seed.get_or_insert_with(|| fastrand::u64(..));
        Self { settings, random: fastrand::Rng::with_seed(seed) }
    }

    fn strikes(&mut self, share: f64) -> bool {
        // Drawn for a share of 1 as well, so that a seed means the same whatever the share.
        self.random.f64() < share
    }
}

impl Faults {
    pub fn get(&self) -> FaultSettings {
        self.lock().settings.clone()
    }

    /// From now on these, and decisions from the seed's beginning.
    pub fn set(&self, settings: FaultSettings) {
        *self.lock() = Inner::new(settings);
    }

    pub fn webhook(&self) -> Dispatch {
        let mut inner = self.lock();
        let struck = match inner.settings.webhooks {
            WebhookFault::Deliver => WebhookFault::Deliver,
            fault => {
                let share = inner.settings.webhook_share;
                if inner.strikes(share) { fault } else { WebhookFault::Deliver }
            }
        };
        let jitter_ms = match inner.settings.webhook_jitter_ms {
            0 => 0,
            most => inner.random.u64(0..=most),
        };
        let delay_ms = inner.settings.webhook_delay_ms.saturating_add(jitter_ms);
        let dropped = struck == WebhookFault::Drop;
        Dispatch {
            delivery: if dropped { Delivery::Dropped } else { Delivery::Pending },
            copies: if struck == WebhookFault::Duplicate { 2 } else { 1 },
            delay_ms: i64::try_from(delay_ms).unwrap_or(i64::MAX),
        }
    }

    pub fn api_delay_ms(&self) -> u64 {
        self.lock().settings.api_delay_ms
    }

    /// The error that this call gets, if any.
    pub fn api(&self, call: &str) -> Option<ApiFault> {
        let mut inner = self.lock();
        let fault = inner.settings.api.clone()?;
        let meant = fault.calls.is_empty() || fault.calls.iter().any(|name| name == call);
        (meant && inner.strikes(fault.share)).then_some(fault)
    }

    /// The error that this stage gets, if any.
    pub fn smtp(&self, stage: SmtpStage) -> Option<SmtpFault> {
        let mut inner = self.lock();
        let fault = inner.settings.smtp.clone().filter(|fault| fault.at == stage)?;
        inner.strikes(fault.share).then_some(fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing here can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> String {
        match serde_json::from_str::<FaultSettings>(json) {
            Ok(settings) => settings.check().map_or_else(|problem| problem, |()| "taken".into()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn faults_are_checked() {
        assert_eq!(checked("{}"), "taken");
        assert_eq!(checked(r#"{"webhooks": "drop", "webhook_share": 0.5, "seed": 7}"#), "taken");
        assert_eq!(
            checked(r#"{"smtp": {"reply": "421 4.3.2 later", "at": "end-of-data"}}"#),
            "taken"
        );
        assert_eq!(checked(r#"{"webhook_share": 2}"#), "a share is 2; it must be 0 to 1");
        assert_eq!(
            checked(r#"{"api": {"status": 200}}"#),
            "api.status is 200; it must be 400 to 599"
        );
        assert!(
            checked(r#"{"api": {"status": 500, "calls": ["pay"]}}"#).contains("there are create")
        );
        for reply in ["250 ok", "450", "450 ", "450 a\\r\\n250 b", "4500 x"] {
            let problem = checked(&format!(r#"{{"smtp": {{"reply": "{reply}", "at": "rcpt"}}}}"#));
            assert!(problem.starts_with("smtp.reply is"), "{problem}");
        }
        assert!(checked(r#"{"webhook": "drop"}"#).contains("unknown field"));
    }

    #[test]
    fn the_same_seed_decides_the_same() {
        let told = || {
            let faults = Faults::default();
            let api = ApiFault {
                status: 500,
                share: 0.5,
                stored: true,
                applied: false,
                calls: vec!["create".into()],
            };
            faults.set(FaultSettings {
                seed: Some(42),
                api: Some(api),
                webhook_jitter_ms: 100,
                ..FaultSettings::default()
            });
            assert_eq!(faults.api("retrieve"), None);
            (0..100)
                .map(|_| (faults.api("create").is_some(), faults.webhook().delay_ms))
                .collect::<Vec<_>>()
        };
        let first = told();
        assert_eq!(first, told());
        let struck = first.iter().filter(|(struck, _)| *struck).count();
        assert!((30..70).contains(&struck), "{struck} of 100");
    }
}
