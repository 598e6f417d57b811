//! Money: integers in a currency's minor unit, never floating point.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An ISO 4217 code, in capitals. Towards Stripe it is written in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// Why a text is no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no currency: write its ISO 4217 code in three capital letters, such as INR")]
pub struct InvalidCurrency(pub String);

/// Currencies without a minor unit, of those that Stripe takes
/// (<https://docs.stripe.com/currencies#zero-decimal>). UGX is not here, though that list has it: its
/// special case (<https://docs.stripe.com/currencies#special-cases>), as that of ISK, is an amount with
/// two decimals that are 0, so that 5 shillings are 500.
const ZERO_DECIMAL: &[&str] = &[
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
];
/// Currencies with three decimals (<https://docs.stripe.com/currencies#three-decimal>).
const THREE_DECIMAL: &[&str] = &["BHD", "JOD", "KWD", "OMR", "TND"];
/// Signs that are written before the amount; every other currency is written with its code.
const SIGNS: &[(&str, &str)] = &[
    ("INR", "₹"),
    ("USD", "$"),
    ("EUR", "€"),
    ("GBP", "£"),
    ("JPY", "¥"),
    ("KRW", "₩"),
    ("VND", "₫"),
    ("ILS", "₪"),
    ("NGN", "₦"),
    ("PHP", "₱"),
    ("UAH", "₴"),
    ("BRL", "R$"),
];

impl Currency {
    /// From a code in capitals.
    pub fn new(code: &str) -> Result<Self, InvalidCurrency> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(InvalidCurrency(code.into())),
        }
    }

    /// From Stripe's lower-case form.
    pub fn from_stripe(code: &str) -> Result<Self, InvalidCurrency> {
        Self::new(&code.to_ascii_uppercase())
    }

    /// The code in capitals.
    pub fn code(&self) -> &str {
        // Only ASCII capitals get in, so this never takes the default.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Stripe's form: the code in lower case.
    pub fn to_stripe(self) -> String {
        self.code().to_ascii_lowercase()
    }

    /// Decimals of the minor unit: JPY 0, INR 2, KWD 3.
    pub fn exponent(self) -> u32 {
        if ZERO_DECIMAL.contains(&self.code()) {
            0
        } else if THREE_DECIMAL.contains(&self.code()) {
            3
        } else {
            2
        }
    }

    /// Every price is a multiple of this, in minor units: of currencies with three decimals the last
    /// digit must be 0 (<https://docs.stripe.com/currencies#three-decimal>), and ISK and UGX have
    /// decimals only in form (<https://docs.stripe.com/currencies#special-cases>).
    pub fn price_step(self) -> i64 {
        match (self.code(), self.exponent()) {
            ("ISK" | "UGX", _) => 100,
            (_, 3) => 10,
            _ => 1,
        }
    }

    /// What is written before the number: `₹`, or the code and a no-break space, which keeps both on
    /// one line.
    pub fn prefix(self) -> Cow<'static, str> {
        let sign = SIGNS.iter().find(|(code, _)| *code == self.code());
        sign.map_or_else(|| format!("{self}\u{a0}").into(), |(_, sign)| (*sign).into())
    }

    /// Digits in each group of a number but the last, which has three: two for the rupee's lakh and
    /// crore (12,34,567).
    pub fn group(self) -> usize {
        if matches!(self.code(), "INR" | "NPR" | "PKR" | "BDT" | "LKR") { 2 } else { 3 }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::str::FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(code: &str) -> Result<Self, InvalidCurrency> {
        Self::new(code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&code).map_err(de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[A-Z]{3}$",
            "description": "ISO 4217 code, in capitals.",
        })
    }
}

/// An amount with its currency; `Display` writes it in the currency's own form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// In minor units.
    pub amount: i64,
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amount < 0 {
            f.write_str("-")?;
        }
        f.write_str(&self.currency.prefix())?;
        let unit = 10_u64.pow(self.currency.exponent());
        let magnitude = self.amount.unsigned_abs();
        f.write_str(&grouped(magnitude / unit, self.currency))?;
        match self.currency.exponent() {
            0 => Ok(()),
            digits => write!(f, ".{:0width$}", magnitude % unit, width = digits as usize),
        }
    }
}

/// Digits in groups, from the right: three, then the currency's own.
fn grouped(whole: u64, currency: Currency) -> String {
    let (digits, higher) = (whole.to_string(), currency.group());
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left >= 3 && (left - 3_usize).is_multiple_of(higher) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(amount: i64, code: &str) -> String {
        Money { amount, currency: code.parse().unwrap() }.to_string()
    }

    #[test]
    fn money_is_shown_in_the_currencys_own_form() {
        assert_eq!(shown(1_899_900, "INR"), "₹18,999.00");
        assert_eq!(shown(123_456_789, "INR"), "₹12,34,567.89");
        assert_eq!(shown(123_456_789_000, "INR"), "₹1,23,45,67,890.00");
        assert_eq!(shown(500, "JPY"), "¥500");
        assert_eq!(shown(1_234_567, "JPY"), "¥1,234,567");
        assert_eq!(shown(1_250, "KWD"), "KWD\u{a0}1.250");
        assert_eq!(shown(500, "UGX"), "UGX\u{a0}5.00");
        assert_eq!(shown(-5, "USD"), "-$0.05");
        assert_eq!(shown(0, "CHF"), "CHF\u{a0}0.00");
        assert_eq!(shown(i64::MIN, "USD"), "-$92,233,720,368,547,758.08");
    }

    #[test]
    fn prices_have_steps_where_digits_are_only_form() {
        let step = |code: &str| code.parse::<Currency>().unwrap().price_step();
        assert_eq!((step("INR"), step("JPY"), step("KWD")), (1, 1, 10));
        assert_eq!((step("ISK"), step("UGX")), (100, 100));
    }

    #[test]
    fn a_currency_is_three_capitals() {
        for bad in ["", "inr", "IN", "INRR", "I1R", "₹"] {
            assert_eq!(Currency::new(bad), Err(InvalidCurrency(bad.into())));
        }
        assert_eq!(Currency::from_stripe("kwd").unwrap().exponent(), 3);
    }
}
