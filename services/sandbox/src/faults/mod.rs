//! Faults that a test asks for: decided here by one seeded generator, carried out where they bite.
//! They live in memory only: after a restart nothing is broken on purpose.

mod settings;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

pub use settings::{
    ApiFault, ApiHow, Delayed, FaultSettings, SmtpFault, SmtpHow, SmtpStage, WebhookFault,
};

use crate::store::Delivery;

/// How an event goes to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatch {
    pub delivery: Delivery,
    pub copies: i64,
    pub delay_ms: i64,
}

/// What is wrong with one attempt to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    pub tampered: bool,
    pub old_secret: bool,
    pub skew_s: i64,
    pub age_s: i64,
}

/// The end of a payment by bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub after_ms: u64,
    pub fails: bool,
}

struct Inner {
    settings: FaultSettings,
    random: fastrand::Rng,
    strikes: u64,
}

/// The faults in force.
pub struct Faults {
    inner: Mutex<Inner>,
    /// How often they were set: whoever hangs or is silent ends when it changes.
    generation: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        let inner = Mutex::new(Inner::new(FaultSettings::default()));
        Self { inner, generation: watch::Sender::new(0) }
    }
}

impl Inner {
    fn new(mut settings: FaultSettings) -> Self {
        let seed = *settings.seed.get_or_insert_with(|| fastrand::u64(..));
        Self { settings, random: fastrand::Rng::with_seed(seed), strikes: 0 }
    }

    fn strikes(&mut self, share: f64) -> bool {
        // Drawn for a share of 1 as well, so that a seed means the same whatever the share.
        let strikes = self.random.f64() < share;
        self.strikes += u64::from(strikes);
        strikes
    }

    /// What `webhooks` does this time, if it is one of these.
    fn struck(&mut self, among: [WebhookFault; 2]) -> Option<WebhookFault> {
        let (fault, share) = (self.settings.webhooks, self.settings.webhook_share);
        (among.contains(&fault) && self.strikes(share)).then_some(fault)
    }
}

impl Faults {
    pub fn get(&self) -> FaultSettings {
        self.lock().settings.clone()
    }

    /// From now on these, and decisions from the seed's beginning.
    pub fn set(&self, settings: FaultSettings) {
        *self.lock() = Inner::new(settings);
        self.generation.send_modify(|count| *count += 1);
    }

    /// How often they have struck since they were set: a test can show that they bit.
    pub fn strikes(&self) -> u64 {
        self.lock().strikes
    }

    /// Tells of the next time that they are set. Taken before a fault is drawn, so that none is missed.
    pub fn changes(&self) -> Changes {
        Changes(self.generation.subscribe())
    }

    pub fn webhook(&self) -> Dispatch {
        let mut inner = self.lock();
        let struck = inner.struck([WebhookFault::Drop, WebhookFault::Duplicate]);
        let jitter_ms = match inner.settings.webhook_jitter_ms {
            0 => 0,
            most => inner.random.u64(0..=most),
        };
        let delay_ms = inner.settings.webhook_delay_ms.saturating_add(jitter_ms);
        let dropped = struck == Some(WebhookFault::Drop);
        Dispatch {
            delivery: if dropped { Delivery::Dropped } else { Delivery::Pending },
            copies: if struck == Some(WebhookFault::Duplicate) { 2 } else { 1 },
            delay_ms: i64::try_from(delay_ms).unwrap_or(i64::MAX),
        }
    }

    pub fn attempt(&self) -> Attempt {
        let mut inner = self.lock();
        let struck = inner.struck([WebhookFault::Tamper, WebhookFault::OldSecret]);
        let FaultSettings { webhook_skew_s: skew_s, webhook_age_s: age_s, .. } = inner.settings;
        inner.strikes += u64::from(skew_s != 0 || age_s != 0);
        Attempt {
            tampered: struck == Some(WebhookFault::Tamper),
            old_secret: struck == Some(WebhookFault::OldSecret),
            skew_s,
            age_s,
        }
    }

    /// What becomes of a payment by bank, if it is to end by itself.
    pub fn delayed(&self) -> Option<Outcome> {
        let mut inner = self.lock();
        let Delayed { after_ms, fail_share } = inner.settings.delayed?;
        Some(Outcome { after_ms, fails: inner.strikes(fail_share) })
    }

    /// Waits as long as each call of the API is to take. Without such a setting not at all: the shortest
    /// sleep is a millisecond.
    pub async fn api_delay(&self) {
        let delay_ms = self.lock().settings.api_delay_ms;
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    /// The fault that this call gets, if any.
    pub fn api(&self, call: &str) -> Option<ApiFault> {
        let mut inner = self.lock();
        let fault = inner.settings.api.clone()?;
        let meant = fault.calls.is_empty() || fault.calls.iter().any(|name| name == call);
        (meant && inner.strikes(fault.share)).then_some(fault)
    }

    /// The fault that this stage gets, if any.
    pub fn smtp(&self, stage: SmtpStage) -> Option<SmtpFault> {
        let mut inner = self.lock();
        let fault = inner.settings.smtp.clone().filter(|fault| fault.at == stage)?;
        inner.strikes(fault.share).then_some(fault)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing here can panic half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Faults::changes`].
#[derive(Debug, Clone)]
pub struct Changes(watch::Receiver<u64>);

impl Changes {
    /// Waits until the faults are set, once more each time.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The sandbox is gone, and with it whoever could set them.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_decides_the_same() {
        let told = || {
            let faults = Faults::default();
            let api = ApiFault {
                status: Some(500),
                share: 0.5,
                calls: vec!["create".into()],
                ..ApiFault::default()
            };
            faults.set(FaultSettings {
                seed: Some(42),
                api: Some(api),
                delayed: Some(Delayed { after_ms: 1, fail_share: 0.5 }),
                webhook_jitter_ms: 100,
                ..FaultSettings::default()
            });
            assert_eq!(faults.api("retrieve"), None);
            let draw = |_| {
                let fails = faults.delayed().is_some_and(|outcome| outcome.fails);
                (faults.api("create").is_some(), faults.webhook().delay_ms, fails)
            };
            (0..100).map(draw).collect::<Vec<_>>()
        };
        let first = told();
        assert_eq!(first, told());
        let struck = first.iter().filter(|(struck, ..)| *struck).count();
        assert!((30..70).contains(&struck), "{struck} of 100");
        let failed = first.iter().filter(|(.., fails)| *fails).count();
        assert!((30..70).contains(&failed), "{failed} of 100");
    }
}
