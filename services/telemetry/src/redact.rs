//! The last line of defence: what must never be in a log is taken out of it, should some code have
//! put it there. Card numbers, keys of the payment provider, bearer tokens, mail addresses.

use std::borrow::Cow;

/// Beginnings of Stripe's secrets, and of a bearer token.
const SECRET_PREFIXES: [&str; 6] =
    ["sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", "earer "];
const REDACTED: &str = "[redacted]";

/// The text without what must not be logged.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let suspicious = text.contains('@')
        || SECRET_PREFIXES.iter().any(|prefix| text.contains(prefix))
        || has_long_number(text);
    if !suspicious {
        return text.into();
    }
    let mut clean = secrets(text);
    clean = cards(&clean);
    addresses(&clean).into()
}

fn has_long_number(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 13
}

fn secrets(text: &str) -> String {
    let mut rest = text;
    let mut clean = String::with_capacity(text.len());
    while let Some((at, prefix)) =
        SECRET_PREFIXES.iter().filter_map(|prefix| Some((rest.find(prefix)?, prefix))).min()
    {
        let (before, after) = rest.split_at(at + prefix.len());
        let end = after.find(|c: char| !is_token(c)).unwrap_or(after.len());
        clean.push_str(before);
        if end > 0 {
            clean.push_str(REDACTED);
        }
        rest = &after[end..];
    }
    clean + rest
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=')
}

/// 13 to 19 digits, alone or in groups, that pass the check of ISO/IEC 7812 (Luhn).
fn cards(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, run) = rest.split_at(at);
        let glued = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '-');
        let end = run.find(|c: char| !(c.is_ascii_digit() || c == ' ' || c == '-'));
        let (run, after) = run.split_at(end.unwrap_or(run.len()));
        let number = run.trim_end_matches([' ', '-']);
        clean.push_str(before);
        let continues = after.starts_with(char::is_alphanumeric) && number.len() == run.len();
        if !glued && !continues && is_card(number) {
            clean.push_str(REDACTED);
            clean.push_str(&run[number.len()..]);
        } else {
            clean.push_str(run);
        }
        rest = after;
    }
    clean + rest
}

fn is_card(number: &str) -> bool {
    let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && digits.iter().any(|d| *d > 0)
}

/// Keeps the first letter and the domain of a mail address, enough to find the mail again.
fn addresses(text: &str) -> String {
    let is_local = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%');
    let mut parts = text.split('@');
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for next in parts {
        let start = clean
            .rfind(|c: char| !is_local(c))
            .map_or(0, |at| at + clean[at..].chars().next().map_or(1, char::len_utf8));
        let first = clean[start..].chars().next();
        let domain_follows = next.starts_with(char::is_alphanumeric) && next.contains('.');
        if let (Some(first), true) = (first, domain_follows) {
            clean.truncate(start + first.len_utf8());
            clean.push_str("***");
        }
        clean.push('@');
        clean.push_str(next);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_cards_and_addresses_are_taken_out() {
        for (text, clean) in [
            ("paid with 4242424242424242.", "paid with [redacted]."),
            ("card 4242 4242 4242 4242 declined", "card [redacted] declined"),
            ("key sk_test_4eC39HqLyjWDarj, then", "key sk_test_[redacted], then"),
            ("whsec_8f3a and rk_live_1", "whsec_[redacted] and rk_live_[redacted]"),
            ("Authorization: Bearer eyJ.abc.d-e", "Authorization: Bearer [redacted]"),
            ("mail to jane.doe@example.com failed", "mail to j***@example.com failed"),
            ("<é@exämple.de>", "<é***@exämple.de>"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "order 0190b5f2-6f0a-5c1e-9e0f-123456789012 stored",
            "offset 4242424242424241",
            "trace 4bf92f3577b34da6a3ce929d0e0e4736",
            "at 1772366400000 ms",
            "partition 3 @ 17",
            "cs_test_a1b2c3",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = redact(&text);
        }

        #[test]
        fn no_number_panics(text in "[0-9 @.a\\-é]{0,60}") {
            let _ = redact(&text);
        }
    }
}
