//! Which currencies Stripe takes, and its smallest and largest charges
//! (<https://docs.stripe.com/currencies>).

use storefront_contract::{Currency, Money};

use super::error::StripeError;

const SUPPORTED: &[&str] = &[
    "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt",
    "bgn", "bhd", "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf",
    "chf", "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp", "etb",
    "eur", "fjd", "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hkd", "hnl", "htg",
    "huf", "idr", "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr", "kmf", "krw",
    "kwd", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd", "mmk",
    "mnt", "mop", "mur", "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr",
    "nzd", "omr", "pab", "pen", "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub",
    "rwf", "sar", "sbd", "scr", "sek", "sgd", "shp", "sos", "srd", "std", "szl", "thb", "tjs",
    "tnd", "top", "try", "ttd", "twd", "tzs", "uah", "ugx", "usd", "uyu", "uzs", "vnd", "vuv",
    "wst", "xaf", "xcd", "xof", "xpf", "yer", "zar", "zmw",
];

/// Smallest charges, in minor units. For a currency that is not listed, any positive amount goes.
const MINIMUMS: &[(&str, i64)] = &[
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1_500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1_000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1_000),
    ("usd", 50),
];

/// Largest charges: eight digits, and more for currencies of small units.
const MAXIMUM: i64 = 99_999_999;
const MAXIMUMS: &[(&str, i64)] = &[
    ("cop", 9_999_999_999),
    ("huf", 9_999_999_999),
    ("idr", 999_999_999_999),
    ("inr", 999_999_999),
    ("jpy", 9_999_999_999),
    ("lbp", 999_999_999_999),
];

/// The currency that a parameter names, in lower case as Stripe writes it.
pub fn read(text: &str, param: &str) -> Result<String, StripeError> {
    let code = text.to_ascii_lowercase();
    if SUPPORTED.contains(&code.as_str()) {
        return Ok(code);
    }
    let list = SUPPORTED.join(", ");
    Err(StripeError::invalid(format!(
        "Invalid currency: {text}. Stripe currently supports these currencies: {list}"
    ))
    .param(param))
}

/// Checks what a session asks for in all.
pub fn check_total(total: i64, currency: &str) -> Result<(), StripeError> {
    let of = |table: &[(&str, i64)]| table.iter().find(|(code, _)| *code == currency).map(|e| e.1);
    let (least, most) = (of(MINIMUMS).unwrap_or(1), of(MAXIMUMS).unwrap_or(MAXIMUM));
    let (problem, limit, code) = if total < least {
        ("add up to at least", least, "amount_too_small")
    } else if total > most {
        ("be no more than", most, "amount_too_large")
    } else {
        return Ok(());
    };
    let limit = shown(limit, currency);
    Err(StripeError::invalid(format!(
        "The Checkout Session's total amount due must {problem} {limit} {currency}"
    ))
    .code(code))
}

/// Some currencies are charged in steps of ten or a hundred
/// (<https://docs.stripe.com/currencies#three-decimal>, <https://docs.stripe.com/currencies#special-cases>).
pub fn check_step(amount: i64, currency: &str, param: &str) -> Result<(), StripeError> {
    let step = Currency::from_stripe(currency).map_or(1, Currency::price_step);
    if amount % step != 0 {
        return Err(StripeError::invalid(format!(
            "Invalid amount: {amount} {currency} must be evenly divisible by {step}."
        ))
        .param(param));
    }
    Ok(())
}

/// An amount for people.
pub fn shown(amount: i64, currency: &str) -> String {
    match Currency::from_stripe(currency) {
        Ok(currency) => Money { amount, currency }.to_string(),
        Err(_) => format!("{amount} {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(amount: i64, currency: &str) -> String {
        check_total(amount, currency).map_or_else(|error| error.message, |()| "taken".into())
    }

    #[test]
    fn totals_have_the_limits_of_their_currency() {
        assert_eq!(total(50, "usd"), "taken");
        assert_eq!(
            total(49, "usd"),
            "The Checkout Session's total amount due must add up to at least $0.50 usd"
        );
        assert!(total(0, "xof").contains("at least"));
        assert_eq!(total(99_999_999, "eur"), "taken");
        assert!(total(100_000_000, "eur").contains("no more than €999,999.99 eur"));
        assert_eq!(total(999_999_999, "inr"), "taken");
    }

    #[test]
    fn a_currency_must_be_stripes() {
        assert_eq!(read("INR", "p"), Ok("inr".into()));
        for bad in ["", "in", "xyz", "₹", "inrr"] {
            assert_eq!(read(bad, "p").unwrap_err().param.as_deref(), Some("p"));
        }
        assert!(check_step(1250, "kwd", "p").is_ok());
        assert!(check_step(1255, "kwd", "p").is_err());
        assert!(check_step(1250, "ugx", "p").is_err());
        assert!(check_step(1255, "inr", "p").is_ok());
    }
}
