//! A Checkout session and what can happen to it: pure, no store, no clock, no JSON of Stripe's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    ids,
    payment::{ChargeState, Payer, Payment, Refusal},
};

/// One line of a session, priced by the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    pub price_id: String,
    pub product_id: String,
    pub name: String,
    pub description: Option<String>,
    pub images: Vec<String>,
    pub product_metadata: BTreeMap<String, String>,
    /// In minor units.
    pub unit_amount: i64,
    pub quantity: i64,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    /// Confirmed with a method whose money comes later.
    Processing,
    Paid,
    /// The later money did not come.
    Failed,
    Expired,
}

impl State {
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Processing, Self::Paid, Self::Failed, Self::Expired];

    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Processing => "processing",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// Stripe's `status`.
    pub fn status(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Expired => "expired",
            Self::Processing | Self::Paid | Self::Failed => "complete",
        }
    }

    /// Stripe's `payment_status`.
    pub fn payment_status(self) -> &'static str {
        if self == Self::Paid { "paid" } else { "unpaid" }
    }
}

/// A session as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: String,
    /// Times are seconds since 1970, as Stripe's.
    pub created: i64,
    pub expires_at: i64,
    pub state: State,
    /// In lower case.
    pub currency: String,
    /// In minor units.
    pub amount_total: i64,
    pub lines: Vec<Line>,
    pub metadata: BTreeMap<String, String>,
    pub intent_metadata: BTreeMap<String, String>,
    pub success_url: String,
    pub cancel_url: Option<String>,
    pub customer_email: Option<String>,
    pub client_reference_id: Option<String>,
    pub payment_method_types: Vec<String>,
    /// Where the shopper pays.
    pub url: String,
    /// The `Idempotency-Key` of the request that created it.
    pub idempotency_key: Option<String>,
    pub payment: Option<Payment>,
}

/// What can be done to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Pay,
    /// The card is declined; the session stays open.
    Decline,
    /// The card's bank asks the shopper first; the session stays open.
    Challenge,
    /// Confirmed by bank: the money comes, or not, later.
    Delay,
    /// The delayed money comes.
    Settle,
    /// The delayed money does not come.
    Fail,
    Expire,
}

impl Action {
    /// What the control API takes. A bank's question is asked on the checkout page only.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pay" => Self::Pay,
            "decline" => Self::Decline,
            "delay" => Self::Delay,
            "settle" => Self::Settle,
            "fail" => Self::Fail,
            "expire" => Self::Expire,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Decline => "decline",
            Self::Challenge => "challenge",
            Self::Delay => "delay",
            Self::Settle => "settle",
            Self::Fail => "fail",
            Self::Expire => "expire",
        }
    }

    /// The state that this can be done in.
    fn from(self) -> State {
        match self {
            Self::Settle | Self::Fail => State::Processing,
            Self::Pay | Self::Decline | Self::Challenge | Self::Delay | Self::Expire => State::Open,
        }
    }
}

/// An action with what the checkout page knows of it; the control API knows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub action: Action,
    pub payer: Payer,
    /// Why a card is declined, or will be after the bank's question.
    pub refusal: Option<Refusal>,
}

impl From<Action> for Act {
    fn from(action: Action) -> Self {
        Self { action, payer: Payer::default(), refusal: None }
    }
}

/// What Stripe tells the shop about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    IntentCreated,
    IntentRequiresAction,
    IntentProcessing,
    IntentSucceeded,
    IntentFailed,
    IntentCanceled,
    ChargePending,
    ChargeSucceeded,
    ChargeFailed,
    Completed,
    AsyncSucceeded,
    AsyncFailed,
    Expired,
}

impl Happening {
    pub const ALL: [Self; 13] = [
        Self::IntentCreated,
        Self::IntentRequiresAction,
        Self::IntentProcessing,
        Self::IntentSucceeded,
        Self::IntentFailed,
        Self::IntentCanceled,
        Self::ChargePending,
        Self::ChargeSucceeded,
        Self::ChargeFailed,
        Self::Completed,
        Self::AsyncSucceeded,
        Self::AsyncFailed,
        Self::Expired,
    ];

    /// Stripe's event type.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::IntentCreated => "payment_intent.created",
            Self::IntentRequiresAction => "payment_intent.requires_action",
            Self::IntentProcessing => "payment_intent.processing",
            Self::IntentSucceeded => "payment_intent.succeeded",
            Self::IntentFailed => "payment_intent.payment_failed",
            Self::IntentCanceled => "payment_intent.canceled",
            Self::ChargePending => "charge.pending",
            Self::ChargeSucceeded => "charge.succeeded",
            Self::ChargeFailed => "charge.failed",
            Self::Completed => "checkout.session.completed",
            Self::AsyncSucceeded => "checkout.session.async_payment_succeeded",
            Self::AsyncFailed => "checkout.session.async_payment_failed",
            Self::Expired => "checkout.session.expired",
        }
    }
}

/// Why something cannot be done to a session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {} a session that is {}", .action.name(), .state.name())]
pub struct Conflict {
    pub action: Action,
    pub state: State,
}

impl Session {
    /// Does it, or says why not. The answer lists what happened, in the order of Stripe's events.
    pub fn apply(&mut self, act: impl Into<Act>, now: i64) -> Result<Vec<Happening>, Conflict> {
        let act = act.into();
        let action = act.action;
        let late = self.state == State::Open && now >= self.expires_at;
        let state = if late { State::Expired } else { self.state };
        if action == Action::Expire && self.state == State::Open {
            self.state = State::Expired;
            let canceled = self.payment.as_ref().map(|_| Happening::IntentCanceled);
            return Ok(canceled.into_iter().chain([Happening::Expired]).collect());
        }
        if action.from() != state {
            return Err(Conflict { action, state });
        }
        Ok(match action {
            Action::Pay => self.attempt(act, ChargeState::Succeeded, State::Paid, now),
            Action::Decline => self.attempt(act, ChargeState::Failed, State::Open, now),
            Action::Challenge => self.attempt(act, ChargeState::Challenged, State::Open, now),
            Action::Delay => self.attempt(act, ChargeState::Pending, State::Processing, now),
            Action::Settle => self.end(ChargeState::Succeeded, State::Paid),
            Action::Fail | Action::Expire => self.end(ChargeState::Failed, State::Failed),
        })
    }

    /// The shopper's address: the shop's word counts before the shopper's.
    pub fn email(&self) -> Option<&str> {
        let typed = || self.payment.as_ref()?.payer.email.as_deref();
        self.customer_email.as_deref().or_else(typed)
    }

    /// Where a shopper goes who has paid.
    pub fn success_address(&self) -> String {
        let filled = self.success_url.replace("{CHECKOUT_SESSION_ID}", &self.id);
        // Letters outside ASCII are no part of a header, but Stripe takes them.
        Url::parse(&filled).map_or(filled, String::from)
    }

    fn attempt(&mut self, act: Act, charge: ChargeState, state: State, now: i64) -> Vec<Happening> {
        let earlier = self.payment.take();
        let mut happened = Vec::with_capacity(4);
        if earlier.is_none() {
            happened.push(Happening::IntentCreated);
        }
        let (intent_id, intent_created) = earlier
            .map_or_else(|| (ids::stripe("pi"), now), |old| (old.intent_id, old.intent_created));
        let charged = match charge {
            ChargeState::Challenged => false,
            ChargeState::Failed => act.refusal.is_none_or(Refusal::has_charge),
            ChargeState::Succeeded | ChargeState::Pending => true,
        };
        happened.extend(match charge {
            ChargeState::Succeeded => {
                [Happening::ChargeSucceeded, Happening::IntentSucceeded].as_slice()
            }
            ChargeState::Failed if charged => &[Happening::ChargeFailed, Happening::IntentFailed],
            ChargeState::Failed => &[Happening::IntentFailed],
            ChargeState::Pending => &[Happening::ChargePending, Happening::IntentProcessing],
            ChargeState::Challenged => &[Happening::IntentRequiresAction],
        });
        if state != State::Open {
            happened.push(Happening::Completed);
        }
        self.payment = Some(Payment {
            intent_id,
            intent_created,
            charge_id: charged.then(|| ids::stripe("ch")),
            charge_created: now,
            charge,
            by_bank: act.action == Action::Delay,
            refusal: act.refusal,
            payer: act.payer,
        });
        self.state = state;
        happened
    }

    fn end(&mut self, charge: ChargeState, state: State) -> Vec<Happening> {
        if let Some(payment) = &mut self.payment {
            payment.charge = charge;
            payment.refusal = None;
        }
        self.state = state;
        match charge {
            ChargeState::Succeeded => vec![
                Happening::ChargeSucceeded,
                Happening::IntentSucceeded,
                Happening::AsyncSucceeded,
            ],
            ChargeState::Failed | ChargeState::Pending | ChargeState::Challenged => {
                vec![Happening::ChargeFailed, Happening::IntentFailed, Happening::AsyncFailed]
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// An open session of two lines, 2 x 18,999.00 and 1 x 499.00 rupees.
    pub fn open_session() -> Session {
        let line = |number: u8, name: &str, unit_amount, quantity| Line {
            id: format!("li_{number}"),
            price_id: format!("price_{number}"),
            product_id: format!("prod_{number}"),
            name: name.into(),
            description: None,
            images: vec![],
            product_metadata: BTreeMap::new(),
            unit_amount,
            quantity,
        };
        Session {
            id: "cs_test_a1x".into(),
            created: 1_000,
            expires_at: 87_400,
            state: State::Open,
            currency: "inr".into(),
            amount_total: 3_849_700,
            lines: vec![line(1, "Nova 5G", 1_899_900, 2), line(2, "Case <\"thin\">", 49_900, 1)],
            metadata: BTreeMap::from([("shop".into(), "default/demo".into())]),
            intent_metadata: BTreeMap::new(),
            success_url: "http://shop.example/success?session_id={CHECKOUT_SESSION_ID}".into(),
            cancel_url: Some("http://shop.example/".into()),
            customer_email: Some("asha@example.com".into()),
            client_reference_id: None,
            payment_method_types: vec!["card".into()],
            url: "http://shop.example/sandbox/checkout/cs_test_a1x".into(),
            idempotency_key: None,
            payment: None,
        }
    }

    /// `challenge` and `unauthenticated` are what the checkout page alone can do.
    fn act(name: &str) -> Act {
        match name {
            "challenge" => Action::Challenge.into(),
            "unauthenticated" => {
                Act { refusal: Some(Refusal::Unauthenticated), ..Action::Decline.into() }
            }
            name => Action::parse(name).unwrap().into(),
        }
    }

    fn story(actions: &str) -> String {
        let mut session = open_session();
        let mut told = Vec::new();
        for name in actions.split(' ') {
            let happened = match session.apply(act(name), 2_000) {
                Ok(happened) => {
                    happened.iter().map(|h| h.event_type()).collect::<Vec<_>>().join(" ")
                }
                Err(conflict) => format!("! {conflict}"),
            };
            let (status, payment) = (session.state.status(), session.state.payment_status());
            told.push(format!("{name}: {status}/{payment} {happened}\n"));
        }
        told.concat()
    }

    #[test]
    fn every_way_through_a_session() {
        insta::assert_snapshot!(story("pay pay expire"), @r"
        pay: complete/paid payment_intent.created charge.succeeded payment_intent.succeeded checkout.session.completed
        pay: complete/paid ! cannot pay a session that is paid
        expire: complete/paid ! cannot expire a session that is paid
        ");
        insta::assert_snapshot!(story("decline pay"), @r"
        decline: open/unpaid payment_intent.created charge.failed payment_intent.payment_failed
        pay: complete/paid charge.succeeded payment_intent.succeeded checkout.session.completed
        ");
        insta::assert_snapshot!(story("settle delay delay settle fail"), @r"
        settle: open/unpaid ! cannot settle a session that is open
        delay: complete/unpaid payment_intent.created charge.pending payment_intent.processing checkout.session.completed
        delay: complete/unpaid ! cannot delay a session that is processing
        settle: complete/paid charge.succeeded payment_intent.succeeded checkout.session.async_payment_succeeded
        fail: complete/paid ! cannot fail a session that is paid
        ");
        insta::assert_snapshot!(story("delay fail settle"), @r"
        delay: complete/unpaid payment_intent.created charge.pending payment_intent.processing checkout.session.completed
        fail: complete/unpaid charge.failed payment_intent.payment_failed checkout.session.async_payment_failed
        settle: complete/unpaid ! cannot settle a session that is failed
        ");
        insta::assert_snapshot!(story("decline expire pay"), @r"
        decline: open/unpaid payment_intent.created charge.failed payment_intent.payment_failed
        expire: expired/unpaid payment_intent.canceled checkout.session.expired
        pay: expired/unpaid ! cannot pay a session that is expired
        ");
    }

    #[test]
    fn a_bank_that_asks_comes_before_the_charge() {
        insta::assert_snapshot!(story("challenge unauthenticated challenge pay challenge"), @r"
        challenge: open/unpaid payment_intent.created payment_intent.requires_action
        unauthenticated: open/unpaid payment_intent.payment_failed
        challenge: open/unpaid payment_intent.requires_action
        pay: complete/paid charge.succeeded payment_intent.succeeded checkout.session.completed
        challenge: complete/paid ! cannot challenge a session that is paid
        ");
        insta::assert_snapshot!(story("challenge expire"), @r"
        challenge: open/unpaid payment_intent.created payment_intent.requires_action
        expire: expired/unpaid payment_intent.canceled checkout.session.expired
        ");
        assert_eq!(Action::parse("challenge"), None, "the control API cannot");
        let mut session = open_session();
        session.apply(Action::Challenge, 2_000).unwrap();
        assert_eq!(session.payment.as_ref().unwrap().charge_id, None);
        session.apply(Action::Pay, 2_000).unwrap();
        assert!(session.payment.unwrap().charge_id.is_some());
    }

    #[test]
    fn an_open_session_past_its_time_cannot_be_paid() {
        let mut session = open_session();
        let conflict = session.apply(Action::Pay, session.expires_at).unwrap_err();
        assert_eq!(conflict.state, State::Expired);
        assert_eq!(session.state, State::Open);
        assert_eq!(session.apply(Action::Expire, 90_000), Ok(vec![Happening::Expired]));
    }
}
