//! Ids of Checkout sessions, as they come from browsers and webhooks. Decides by form alone, so that a
//! made-up id costs neither a query nor a call to Stripe.

use std::{fmt, sync::Arc};

use crate::key::Mode;

/// Longest id. Stripe promises at most 255 characters for any of its ids
/// (<https://docs.stripe.com/upgrades#what-changes-does-stripe-consider-to-be-backwards-compatible>).
pub const SESSION_ID_MAX_LENGTH: usize = 255;

/// A well-formed id: `cs_test_…` or `cs_live_…`. Whether such a session exists is another question.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// `None` when the text cannot be a session's id.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("cs_test_").or_else(|| text.strip_prefix("cs_live_"))?;
        let fits = !rest.is_empty() && text.len() <= SESSION_ID_MAX_LENGTH;
        let plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (fits && plain).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which half of a Stripe account the session lives in.
    pub fn mode(&self) -> Mode {
        if self.0.starts_with("cs_live_") { Mode::Live } else { Mode::Test }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stripes_form_is_an_id() {
        let id = SessionId::parse("cs_test_a1B2c3").unwrap();
        assert_eq!((id.as_str(), id.mode()), ("cs_test_a1B2c3", Mode::Test));
        assert_eq!(SessionId::parse("cs_live_a1").unwrap().mode(), Mode::Live);
        let long = format!("cs_test_{}", "a".repeat(248));
        let slash = "cs_test_a/../../v1/charges";
        let bad = ["", "cs_test_", "pi_123", "cs_prod_a", "cs_test_a b", "cs_test_é", slash, &long];
        for text in bad {
            assert_eq!(SessionId::parse(text), None, "{text:?}");
        }
    }
}
