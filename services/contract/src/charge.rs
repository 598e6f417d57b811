//! The smallest and largest charges that Stripe takes, so that a price or a cart beyond them is refused before
//! Stripe is asked (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).

use crate::Currency;

/// Smallest charges, in minor units. Of a currency that is not listed any positive amount is tried.
const MINIMUMS: &[(&str, i64)] = &[
    ("AED", 200),
    ("AUD", 50),
    ("BGN", 100),
    ("BRL", 50),
    ("CAD", 50),
    ("CHF", 50),
    ("CZK", 1_500),
    ("DKK", 250),
    ("EUR", 50),
    ("GBP", 30),
    ("HKD", 400),
    ("HUF", 17_500),
    ("INR", 50),
    ("JPY", 50),
    ("MXN", 1_000),
    ("MYR", 200),
    ("NOK", 300),
    ("NZD", 50),
    ("PLN", 200),
    ("RON", 200),
    ("SEK", 300),
    ("SGD", 50),
    ("THB", 1_000),
    ("USD", 50),
];

/// Largest charges of currencies with small units; of all others eight digits.
const MAXIMUMS: &[(&str, i64)] = &[
    ("COP", 9_999_999_999),
    ("HUF", 9_999_999_999),
    ("IDR", 999_999_999_999),
    ("INR", 999_999_999),
    ("JPY", 9_999_999_999),
    ("LBP", 999_999_999_999),
];
const MAXIMUM: i64 = 99_999_999;

impl Currency {
    /// Smallest and largest charge, in minor units, both included.
    pub fn charge_limits(self) -> (i64, i64) {
        let of = |table: &[(&str, i64)]| {
            table.iter().find(|(code, _)| *code == self.code()).map(|(_, amount)| *amount)
        };
        (of(MINIMUMS).unwrap_or(1), of(MAXIMUMS).unwrap_or(MAXIMUM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_currency() {
        let limits = |code: &str| code.parse::<Currency>().unwrap().charge_limits();
        assert_eq!(limits("INR"), (50, 999_999_999));
        assert_eq!(limits("EUR"), (50, 99_999_999));
        assert_eq!(limits("XOF"), (1, 99_999_999));
    }
}
