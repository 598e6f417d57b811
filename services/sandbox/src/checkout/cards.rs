//! Stripe's test cards (<https://docs.stripe.com/testing>): the only numbers that the stand-in takes,
//! and what each of them does.

use crate::payment::Refusal;

/// What becomes of a payment with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Paid,
    Refused(Refusal),
    /// The bank asks the shopper; then it is paid, or refused all the same.
    Asked(Option<Refusal>),
}

/// A test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestCard {
    pub number: &'static str,
    /// As Stripe names it.
    pub brand: &'static str,
    pub outcome: Outcome,
    /// What the page offers it as; the others are taken without being offered.
    pub label: Option<&'static str>,
}

impl TestCard {
    /// The card of this number, without blanks.
    pub fn find(number: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.number == number)
    }

    pub fn last4(&self) -> &'static str {
        &self.number[self.number.len().saturating_sub(4)..]
    }

    /// Digits of its security code.
    pub fn cvc_length(&self) -> usize {
        if self.brand == "amex" { 4 } else { 3 }
    }

    /// The number as it stands on a card: in groups.
    pub fn grouped(&self) -> String {
        let sizes: &[usize] = match self.number.len() {
            15 => &[4, 6, 5],
            14 => &[4, 6, 4],
            19 => &[6, 13],
            _ => &[4, 4, 4, 4],
        };
        let mut rest = self.number;
        let mut groups = Vec::with_capacity(sizes.len());
        for size in sizes {
            let (group, after) = rest.split_at((*size).min(rest.len()));
            groups.push(group);
            rest = after;
        }
        groups.join(" ")
    }
}

const fn card(number: &'static str, brand: &'static str, outcome: Outcome) -> TestCard {
    TestCard { number, brand, outcome, label: None }
}

const fn offered(
    label: &'static str,
    number: &'static str,
    brand: &'static str,
    outcome: Outcome,
) -> TestCard {
    TestCard { number, brand, outcome, label: Some(label) }
}

const fn refused(label: &'static str, number: &'static str, refusal: Refusal) -> TestCard {
    offered(label, number, "visa", Outcome::Refused(refusal))
}

use Outcome::{Asked, Paid};

/// Those that are offered stand in the order in which the page shows them.
pub const CARDS: &[TestCard] = &[
    offered("Succeeds", "4242424242424242", "visa", Paid),
    offered("Mastercard", "5555555555554444", "mastercard", Paid),
    offered("American Express", "378282246310005", "amex", Paid),
    offered("Visa from India", "4000003560000008", "visa", Paid),
    offered("3-D Secure", "4000000000003220", "visa", Asked(None)),
    offered("3-D Secure unless set up", "4000002500003155", "visa", Asked(None)),
    offered(
        "3-D Secure, then declined",
        "4000008400001629",
        "visa",
        Asked(Some(Refusal::GenericDecline)),
    ),
    refused("Declined", "4000000000000002", Refusal::GenericDecline),
    refused("Insufficient funds", "4000000000009995", Refusal::InsufficientFunds),
    refused("Lost card", "4000000000009987", Refusal::LostCard),
    refused("Stolen card", "4000000000009979", Refusal::StolenCard),
    refused("Expired card", "4000000000000069", Refusal::ExpiredCard),
    refused("Incorrect CVC", "4000000000000127", Refusal::IncorrectCvc),
    refused("Processing error", "4000000000000119", Refusal::ProcessingError),
    refused("Over the limit", "4000000000006975", Refusal::VelocityExceeded),
    card("4000056655665556", "visa", Paid),
    card("2223003122003222", "mastercard", Paid),
    card("5200828282828210", "mastercard", Paid),
    card("5105105105105100", "mastercard", Paid),
    card("371449635398431", "amex", Paid),
    card("6011111111111117", "discover", Paid),
    card("6011000990139424", "discover", Paid),
    card("6011981111111113", "discover", Paid),
    card("3056930009020004", "diners", Paid),
    card("36227206271667", "diners", Paid),
    card("3566002020360505", "jcb", Paid),
    card("6200000000000005", "unionpay", Paid),
    card("6200000000000047", "unionpay", Paid),
    card("6205500000000000004", "unionpay", Paid),
];

/// Whether the last digit fits the others (Luhn's sum). The number has digits only.
pub fn fits(number: &str) -> bool {
    let digits = number.bytes().rev().map(|byte| u32::from(byte.wrapping_sub(b'0')));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ if digit > 4 => 2 * digit - 9,
            _ => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_card_is_well_formed_and_is_itself() {
        let numbers: BTreeSet<_> = CARDS.iter().map(|card| card.number).collect();
        assert_eq!(numbers.len(), CARDS.len());
        for card in CARDS {
            assert!(fits(card.number), "{}", card.number);
            assert_eq!(TestCard::find(card.number), Some(card));
            assert_eq!(card.grouped().replace(' ', ""), card.number);
        }
        assert_eq!(TestCard::find("4111111111111111"), None);
    }

    #[test]
    fn a_wrong_digit_is_found() {
        assert!(fits("4242424242424242") && !fits("4242424242424241"));
        assert!(!fits("4242424242424224") && fits("0"));
    }

    #[test]
    fn numbers_stand_in_groups() {
        let grouped = |number| TestCard::find(number).unwrap().grouped();
        assert_eq!(grouped("4242424242424242"), "4242 4242 4242 4242");
        assert_eq!(grouped("378282246310005"), "3782 822463 10005");
        assert_eq!(grouped("36227206271667"), "3622 720627 1667");
        assert_eq!(grouped("6205500000000000004"), "620550 0000000000004");
    }
}
