//! The states of a payment and what moves it from one to the next. Pure: what Stripe says now and what
//! the row says go in.

use storefront_contract::{Currency, Money};

use crate::stripe::objects::{IntentStatus, PaymentStatus, Session, SessionStatus};

/// Where a payment stands. The order is that of [`State::rank`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Stored; Stripe may or may not know of it yet.
    Creating,
    /// The shopper can pay.
    Open,
    /// The shopper has done their part, the bank has not.
    Processing,
    /// Time has run out; nothing was charged.
    Expired,
    /// A delayed payment did not come, or Stripe refused the session; nothing was charged.
    Failed,
    /// Paid, but not what the shop asked for: a person must look.
    Held,
    /// Paid; the event is in the outbox.
    Paid,
}

impl State {
    pub const ALL: [Self; 7] = [
        Self::Creating,
        Self::Open,
        Self::Processing,
        Self::Expired,
        Self::Failed,
        Self::Held,
        Self::Paid,
    ];

    /// The word in the database and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Open => "open",
            Self::Processing => "processing",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Paid => "paid",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// What `GET /payment/verify` says. A held payment is not the shopper's concern.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Creating | Self::Open => "open",
            Self::Processing | Self::Held => "processing",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Paid => "paid",
        }
    }

    /// Stripe has said its last word, or, of a held one, has said all it can.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::Failed | Self::Held | Self::Paid)
    }

    /// Money has come: nothing that Stripe says of the session changes this any more.
    pub const fn is_charged(self) -> bool {
        matches!(self, Self::Held | Self::Paid)
    }

    /// A payment only moves up, whatever the order in which two answers of Stripe are applied.
    const fn rank(self) -> u8 {
        match self {
            Self::Creating => 0,
            Self::Open => 1,
            Self::Processing => 2,
            Self::Expired | Self::Failed => 3,
            Self::Held | Self::Paid => 4,
        }
    }

    /// Whether a payment may go from here to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        self.rank() < next.rank()
    }
}

/// What Stripe's answer means for a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Open,
    Processing,
    Expired,
    Failed,
    Paid,
    /// Paid, but another amount or currency.
    Differs {
        /// What was paid; `None` when Stripe's answer has no amount in a known currency.
        paid: Option<Money>,
    },
    /// Paid, but the row does not say who bought what: it was rebuilt, and that was lost.
    Unclear,
}

impl Verdict {
    /// The state that this verdict leads to.
    pub const fn state(self) -> State {
        match self {
            Self::Open => State::Open,
            Self::Processing => State::Processing,
            Self::Expired => State::Expired,
            Self::Failed => State::Failed,
            Self::Paid => State::Paid,
            Self::Differs { .. } | Self::Unclear => State::Held,
        }
    }
}

/// Judges a session by its state now; the order and number of events never matter. An unknown word of
/// Stripe's counts as not yet decided.
pub fn judge(session: &Session, priced: Money) -> Verdict {
    match (session.status, session.payment_status) {
        // `payment_status` decides, not `status`: a session completes before a delayed payment does.
        (_, Some(PaymentStatus::Paid)) => {
            let paid = paid(session);
            if paid == Some(priced) { Verdict::Paid } else { Verdict::Differs { paid } }
        }
        // Nothing we price costs nothing.
        (_, Some(PaymentStatus::NoPaymentRequired)) => Verdict::Differs { paid: paid(session) },
        (Some(SessionStatus::Expired), _) => Verdict::Expired,
        (Some(SessionStatus::Complete), _) => match session.intent_status() {
            Some(IntentStatus::RequiresPaymentMethod | IntentStatus::Canceled) => Verdict::Failed,
            _ => Verdict::Processing,
        },
        _ => Verdict::Open,
    }
}

fn paid(session: &Session) -> Option<Money> {
    let currency = Currency::from_stripe(session.currency.as_deref()?).ok()?;
    Some(Money { amount: session.amount_total?, currency })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(json: &str) -> String {
        let session = format!(r#"{{"id": "cs_test_1", {json}}}"#);
        let session = serde_json::from_str(&session).unwrap();
        let priced = Money { amount: 1_899_900, currency: "INR".parse().unwrap() };
        match judge(&session, priced) {
            Verdict::Differs { paid: Some(paid) } => format!("held: {paid}"),
            Verdict::Differs { paid: None } => "held: ?".into(),
            verdict => verdict.state().name().into(),
        }
    }

    #[test]
    fn stripes_words_have_one_meaning_each() {
        let right = r#""amount_total": 1899900, "currency": "inr""#;
        let session = |status: &str, paid: &str, rest: &str| {
            format!(r#""status": "{status}", "payment_status": "{paid}", {rest}"#)
        };
        let intent = |status: &str| {
            format!(r#"{right}, "payment_intent": {{"id": "p", "status": "{status}"}}"#)
        };
        let table = [
            (session("open", "unpaid", right), "open"),
            (session("complete", "paid", right), "paid"),
            (session("complete", "unpaid", right), "processing"),
            (session("complete", "unpaid", &intent("processing")), "processing"),
            (session("complete", "unpaid", &intent("requires_payment_method")), "failed"),
            (session("complete", "unpaid", &intent("canceled")), "failed"),
            (session("complete", "paid", &intent("succeeded")), "paid"),
            (session("expired", "unpaid", &intent("canceled")), "expired"),
            (session("paused", "half", right), "open"),
            (
                session("complete", "paid", r#""amount_total": 1899899, "currency": "inr""#),
                "held: ₹18,998.99",
            ),
            (
                session("complete", "paid", r#""amount_total": 1899900, "currency": "jpy""#),
                "held: ¥1,899,900",
            ),
            (session("complete", "paid", r#""amount_total": null"#), "held: ?"),
            (
                session(
                    "complete",
                    "no_payment_required",
                    r#""amount_total": 0, "currency": "inr""#,
                ),
                "held: ₹0.00",
            ),
        ];
        for (json, expected) in table {
            assert_eq!(verdict(&json), expected, "{json}");
        }
    }

    #[test]
    fn a_payment_only_moves_up() {
        let ways: Vec<String> = State::ALL
            .into_iter()
            .map(|from| {
                let to = State::ALL.into_iter().filter(|to| from.may_become(*to));
                let to: Vec<_> = to.map(State::name).collect();
                format!("{} ({}) -> {}", from.name(), from.shown(), to.join(" "))
            })
            .collect();
        insta::assert_snapshot!(ways.join("\n"), @r"
        creating (open) -> open processing expired failed held paid
        open (open) -> processing expired failed held paid
        processing (processing) -> expired failed held paid
        expired (expired) -> held paid
        failed (failed) -> held paid
        held (processing) -> 
        paid (paid) -> 
        ");
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
