//! The payment behind a session: how far its charge came, who paid, and why it was refused. Pure. It
//! keeps of a card what Stripe shows of one; the number never gets here.

use serde::{Deserialize, Serialize};

/// How far a charge came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChargeState {
    Pending,
    Succeeded,
    Failed,
    /// The bank asks the shopper first: there is no charge yet.
    Challenged,
}

/// The payment behind a session, from the first attempt on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub intent_id: String,
    pub intent_created: i64,
    /// Of the last attempt; nothing while the bank asks, and when the shopper failed to answer.
    pub charge_id: Option<String>,
    pub charge_created: i64,
    pub charge: ChargeState,
    /// Paid by bank, so that the money comes later.
    pub by_bank: bool,
    /// Why the last attempt was refused; while the bank asks, what it will say after the answer.
    #[serde(default)]
    pub refusal: Option<Refusal>,
    #[serde(default)]
    pub payer: Payer,
}

impl Payment {
    /// Why the last attempt failed, if it did.
    pub fn refused(&self) -> Option<Refusal> {
        let unsaid = if self.by_bank { Refusal::BankFailed } else { Refusal::GenericDecline };
        (self.charge == ChargeState::Failed).then(|| self.refusal.unwrap_or(unsaid))
    }
}

/// Who paid, as far as the checkout page was told. All empty when it was the control API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    pub email: Option<String>,
    pub name: Option<String>,
    pub card: Option<Card>,
}

/// What may be shown of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// As Stripe names it: `visa`, `amex`.
    pub brand: String,
    pub last4: String,
    pub exp_month: i8,
    pub exp_year: i16,
}

/// Why a payment is refused (<https://docs.stripe.com/declines/codes>,
/// <https://docs.stripe.com/error-codes>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    GenericDecline,
    InsufficientFunds,
    LostCard,
    StolenCard,
    VelocityExceeded,
    ExpiredCard,
    IncorrectCvc,
    ProcessingError,
    /// The shopper did not pass the bank's question.
    Unauthenticated,
    /// The delayed money did not come.
    BankFailed,
}

impl Refusal {
    /// Stripe's error code.
    pub fn code(self) -> &'static str {
        match self {
            Self::GenericDecline
            | Self::InsufficientFunds
            | Self::LostCard
            | Self::StolenCard
            | Self::VelocityExceeded => "card_declined",
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::ProcessingError => "processing_error",
            Self::Unauthenticated => "payment_intent_authentication_failure",
            Self::BankFailed => "payment_intent_payment_attempt_failed",
        }
    }

    /// Stripe's decline code: why the card's issuer declined, if it was the issuer.
    pub fn decline_code(self) -> Option<&'static str> {
        match self {
            Self::GenericDecline => Some("generic_decline"),
            Self::InsufficientFunds => Some("insufficient_funds"),
            Self::LostCard => Some("lost_card"),
            Self::StolenCard => Some("stolen_card"),
            Self::VelocityExceeded => Some("card_velocity_exceeded"),
            Self::ExpiredCard
            | Self::IncorrectCvc
            | Self::ProcessingError
            | Self::Unauthenticated
            | Self::BankFailed => None,
        }
    }

    /// What the shopper is told: Stripe's words. A lost or stolen card is never called that.
    pub fn message(self) -> &'static str {
        match self {
            Self::GenericDecline | Self::LostCard | Self::StolenCard => "Your card was declined.",
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::VelocityExceeded => {
                "Your card was declined for making repeated attempts too frequently or exceeding \
                 its amount limit."
            }
            Self::ExpiredCard => "Your card has expired.",
            Self::IncorrectCvc => "Your card's security code is incorrect.",
            Self::ProcessingError => {
                "An error occurred while processing your card. Try again in a little bit."
            }
            Self::Unauthenticated => {
                "We are unable to authenticate your payment method. Please choose a different \
                 payment method and try again."
            }
            Self::BankFailed => "The bank did not send the money.",
        }
    }

    /// Whether a charge was tried: a question that was not answered stops before it.
    pub fn has_charge(self) -> bool {
        self != Self::Unauthenticated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_of_older_ledgers_are_read() {
        let old = |charge: &str, by_bank: bool| {
            let json = format!(
                r#"{{"intent_id": "pi_1", "intent_created": 1, "charge_id": "ch_1",
                     "charge_created": 1, "charge": "{charge}", "by_bank": {by_bank}}}"#
            );
            serde_json::from_str::<Payment>(&json).unwrap()
        };
        assert_eq!(old("succeeded", false).refused(), None);
        assert_eq!(old("failed", false).refused(), Some(Refusal::GenericDecline));
        assert_eq!(old("failed", true).refused(), Some(Refusal::BankFailed));
        assert_eq!(old("failed", false).charge_id.as_deref(), Some("ch_1"));
    }

    #[test]
    fn what_the_bank_will_say_is_not_said_before_it_is_asked() {
        let payment = Payment {
            intent_id: "pi_1".into(),
            intent_created: 1,
            charge_id: None,
            charge_created: 1,
            charge: ChargeState::Challenged,
            by_bank: false,
            refusal: Some(Refusal::GenericDecline),
            payer: Payer::default(),
        };
        assert_eq!(payment.refused(), None);
        let failed = Payment { charge: ChargeState::Failed, ..payment };
        assert_eq!(failed.refused(), Some(Refusal::GenericDecline));
    }
}
