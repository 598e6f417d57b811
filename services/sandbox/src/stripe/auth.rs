//! Who may call: any test key, by Bearer or Basic. A live key is refused wherever it turns up, so
//! that nobody sends one to a stand-in for long. No key is ever logged.

use base64::Engine as _;
use http::{HeaderMap, header};

use super::error::StripeError;

/// Longest `Idempotency-Key`.
pub const KEY_LENGTH_MAX: usize = 255;
const LIVE: [&str; 2] = ["sk_live_", "rk_live_"];
const TEST: [&str; 2] = ["sk_test_", "rk_test_"];

/// Whether a text holds a live key of Stripe's.
pub fn has_live_key(text: &[u8]) -> bool {
    LIVE.iter().any(|live| text.windows(live.len()).any(|window| window == live.as_bytes()))
}

/// The refusal of a live key.
pub fn live_key_refused() -> StripeError {
    StripeError::unauthorized(
        "This is the Storefront sandbox, not Stripe, and it refuses live keys (sk_live_, rk_live_): \
         no payment here is real. Use any key that begins with sk_test_, and roll the live key if \
         others can read this machine's traffic.",
    )
}

/// Lets in whoever has a test key; which one, masked.
pub fn check(headers: &HeaderMap) -> Result<String, StripeError> {
    if headers.values().any(|value| has_live_key(value.as_bytes())) {
        return Err(live_key_refused());
    }
    let Some(key) = api_key(headers) else {
        return Err(StripeError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization \
             header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
             https://docs.stripe.com/api#authentication for details.",
        ));
    };
    if has_live_key(key.as_bytes()) {
        return Err(live_key_refused());
    }
    if TEST.iter().any(|test| key.strip_prefix(test).is_some_and(|rest| !rest.is_empty())) {
        return Ok(masked(&key));
    }
    if key.starts_with("pk_") {
        return Err(StripeError::unauthorized(
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
        ));
    }
    let message = format!("Invalid API Key provided: {}", masked(&key));
    Err(StripeError::unauthorized(message))
}

/// From `Bearer KEY`, or the user of `Basic`.
fn api_key(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = credentials.trim();
    let key = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => credentials.to_owned(),
        "basic" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(credentials).ok()?;
            let pair = String::from_utf8(decoded).ok()?;
            pair.split_once(':').map_or(pair.as_str(), |(user, _)| user).to_owned()
        }
        _ => return None,
    };
    (!key.is_empty()).then_some(key)
}

/// As Stripe shows keys: the first and last few letters.
fn masked(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    if letters.len() < 16 {
        return "*".repeat(letters.len());
    }
    let (head, tail) = (&letters[..8], &letters[letters.len() - 4..]);
    let hidden = "*".repeat((letters.len() - 12).min(32));
    head.iter().chain(hidden.chars().collect::<Vec<_>>().iter()).chain(tail).collect()
}

/// The `Idempotency-Key`, if one was sent.
pub fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("idempotency-key")?.to_str().ok()?;
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(authorization: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        match check(&headers) {
            Ok(_) => "in".into(),
            Err(error) => format!("{} {}", error.status, error.message),
        }
    }

    fn basic(user: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:")))
    }

    #[test]
    fn any_test_key_opens() {
        for key in ["sk_test_1", "rk_test_x"] {
            assert_eq!(told(&format!("Bearer {key}")), "in");
            assert_eq!(told(&basic(key)), "in");
        }
    }

    #[test]
    fn live_keys_are_refused_in_clear_words() {
        for authorization in ["Bearer sk_live_1", "Bearer rk_live_1", "Token token=sk_live_2"] {
            assert!(told(authorization).contains("refuses live keys"), "{authorization}");
        }
        assert!(told(&basic("sk_live_1")).contains("refuses live keys"));
    }

    #[test]
    fn other_keys_are_refused_without_showing_them() {
        assert!(told("Bearer pk_test_1").starts_with("401 This API call cannot be made"));
        assert!(told("Token x").starts_with("401 You did not provide an API key"));
        assert!(told("Bearer ").starts_with("401 You did not provide an API key"));
        assert_eq!(told("Bearer secret"), "401 Invalid API Key provided: ******");
        assert_eq!(
            told("Bearer sk_prod_abcdefghijklmnop"),
            "401 Invalid API Key provided: sk_prod_************mnop"
        );
        assert!(check(&HeaderMap::new()).is_err());
    }
}
