//! Whether a webhook comes from Stripe: the check of `Stripe-Signature`
//! (<https://docs.stripe.com/webhooks#verify-manually>). Pure: bytes, secrets and the time go in. The
//! body must be the very bytes that came; a parsed and re-written one has another signature.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Longest header looked at. Stripe sends one `t` and one `v1` a secret, some 200 bytes.
const HEADER_MAX_BYTES: usize = 4096;
/// Most signatures in one header; during a rotation Stripe sends one for each live secret.
const SIGNATURES_MAX: usize = 16;

/// Why a webhook is not taken. Its words tell a sender nothing about the secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the header Stripe-Signature is missing")]
    Missing,
    #[error("the header Stripe-Signature must be t=SECONDS,v1=SIGNATURE with one t")]
    Malformed,
    #[error("the header Stripe-Signature has no v1 signature")]
    NoSignature,
    #[error("the signature does not match the body")]
    Mismatch,
    #[error("the signature's time is too far from now")]
    Time,
}

impl SignatureError {
    /// A fixed word for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::NoSignature => "no-signature",
            Self::Mismatch => "mismatch",
            Self::Time => "time",
        }
    }
}

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
struct Header<'a> {
    /// As it is written: it is part of what was signed.
    time: &'a str,
    seconds: i64,
    signatures: Vec<[u8; 32]>,
}

/// Checks the signature of `body` with any of `secrets`, then its time: at most `tolerance_s` seconds
/// before or after `now_s` (Unix time). The time comes last, so that a wrong clock is told apart from
/// a forged message.
pub fn check(
    header: Option<&str>,
    body: &[u8],
    secrets: impl IntoIterator<Item = impl AsRef<[u8]>>,
    now_s: i64,
    tolerance_s: u64,
) -> Result<(), SignatureError> {
    let header = parse(header.ok_or(SignatureError::Missing)?)?;
    let mut matched = subtle::Choice::from(0);
    for secret in secrets {
        let secret = secret.as_ref();
        // Anybody can sign with an empty secret. It is refused at the start; this is the second lock.
        if secret.is_empty() {
            continue;
        }
        let expected = sign(secret, header.time, body);
        for signature in &header.signatures {
            matched |= expected.ct_eq(signature);
        }
    }
    if !bool::from(matched) {
        return Err(SignatureError::Mismatch);
    }
    if header.seconds.abs_diff(now_s) > tolerance_s {
        return Err(SignatureError::Time);
    }
    Ok(())
}

/// HMAC-SHA256 of `TIME.BODY`.
fn sign(secret: &[u8], time: &str, body: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so this never takes the default.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return [0; 32] };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// `t=1,v1=…,v1=…,v0=…`. Schemes other than `v1` are ignored, as Stripe asks: `v0` is for tests and
/// signs nothing.
fn parse(text: &str) -> Result<Header<'_>, SignatureError> {
    if text.len() > HEADER_MAX_BYTES {
        return Err(SignatureError::Malformed);
    }
    let (mut time, mut signatures) = (None, Vec::new());
    for part in text.split(',') {
        let (name, value) = part.split_once('=').ok_or(SignatureError::Malformed)?;
        match name.trim() {
            "t" if time.is_some() => return Err(SignatureError::Malformed),
            "t" => time = Some(value),
            "v1" if signatures.len() == SIGNATURES_MAX => return Err(SignatureError::Malformed),
            "v1" => {
                let mut signature = [0; 32];
                // One that cannot be right does not spoil the others.
                if hex::decode_to_slice(value, &mut signature).is_ok() {
                    signatures.push(signature);
                }
            }
            _ => {}
        }
    }
    let time = time.ok_or(SignatureError::Malformed)?;
    let digits = (1..=12).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
    let seconds = time.parse().ok().filter(|_| digits).ok_or(SignatureError::Malformed)?;
    if signatures.is_empty() {
        return Err(SignatureError::NoSignature);
    }
    Ok(Header { time, seconds, signatures })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;
    const BODY: &[u8] = br#"{"id": "evt_1"}"#;

    fn v1(secret: &str, time: i64, body: &[u8]) -> String {
        hex::encode(sign(secret.as_bytes(), &time.to_string(), body))
    }

    fn checked(header: &str, body: &[u8]) -> &'static str {
        let secrets = ["whsec_new", "whsec_old"];
        match check(Some(header), body, secrets, NOW, 300) {
            Ok(()) => "taken",
            Err(error) => error.reason(),
        }
    }

    #[test]
    fn a_signature_that_is_known_to_be_right() {
        // Made with another program: printf '1790000000.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_new
        let known = "d35e4cffc28ed4b2ae9c8c9ef6b2879a1a8938802a893c01209800d29f5815ea";
        assert_eq!(v1("whsec_new", NOW, BODY), known);
    }

    #[test]
    fn who_may_pass_and_who_may_not() {
        let signed = |secret: &str, time: i64| format!("t={time},v1={}", v1(secret, time, BODY));
        let good = v1("whsec_new", NOW, BODY);
        let table = [
            ("the new secret", signed("whsec_new", NOW), "taken"),
            ("the old one", signed("whsec_old", NOW), "taken"),
            ("a foreign one", signed("whsec_foreign", NOW), "mismatch"),
            ("no secret at all", signed("", NOW), "mismatch"),
            ("just young enough", signed("whsec_new", NOW - 300), "taken"),
            ("too old", signed("whsec_new", NOW - 301), "time"),
            ("just not too early", signed("whsec_new", NOW + 300), "taken"),
            ("from the future", signed("whsec_new", NOW + 301), "time"),
            ("another time than signed", format!("t={},v1={good}", NOW - 1), "mismatch"),
            ("several v1, one right", format!("t={NOW},v1={},v1={good}", "0".repeat(64)), "taken"),
            ("v1 before t", format!("v1={good},t={NOW}"), "taken"),
            ("unknown schemes beside", format!("t={NOW},v0=ab,v1={good},v2=cd"), "taken"),
            ("blanks after commas", format!("t={NOW}, v1={good}"), "taken"),
            ("capitals", format!("t={NOW},v1={}", good.to_uppercase()), "taken"),
            ("only v0", format!("t={NOW},v0={good}"), "no-signature"),
            ("cut off", format!("t={NOW},v1={}", &good[..62]), "no-signature"),
            ("no hexadecimal", format!("t={NOW},v1={}", "x".repeat(64)), "no-signature"),
            ("no time", format!("v1={good}"), "malformed"),
            ("two times", format!("t={NOW},t={NOW},v1={good}"), "malformed"),
            ("a signed time", format!("t=+{NOW},v1={good}"), "malformed"),
            ("no number", format!("t=now,v1={good}"), "malformed"),
            ("an endless number", format!("t={},v1={good}", "9".repeat(40)), "malformed"),
            ("nothing", String::new(), "malformed"),
            ("noise", "Bearer abc".into(), "malformed"),
            ("too many", format!("t={NOW}{}", format!(",v1={good}").repeat(17)), "malformed"),
            ("too long", format!("t={NOW},v1={good}{}", ",v0=a".repeat(1000)), "malformed"),
        ];
        for (what, header, expected) in table {
            assert_eq!(checked(&header, BODY), expected, "{what}");
        }
        let missing = check(None, BODY, ["s"], NOW, 300);
        assert_eq!(missing, Err(SignatureError::Missing));
    }

    #[test]
    fn the_body_is_taken_byte_for_byte() {
        let header = format!("t={NOW},v1={}", v1("whsec_new", NOW, BODY));
        assert_eq!(checked(&header, BODY), "taken");
        for other in
            [&br#"{"id": "evt_2"}"#[..], br#"{"id":"evt_1"}"#, b"{\"id\": \"evt_1\"}\n", b""]
        {
            assert_eq!(checked(&header, other), "mismatch");
        }
    }

    #[test]
    fn an_empty_secret_opens_nothing() {
        let header = format!("t={NOW},v1={}", v1("", NOW, BODY));
        assert_eq!(check(Some(&header), BODY, [""], NOW, 300), Err(SignatureError::Mismatch));
        let none: [&str; 0] = [];
        assert_eq!(check(Some(&header), BODY, none, NOW, 300), Err(SignatureError::Mismatch));
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(header in ".{0,200}", noise in "[tv01=,0-9a-f]{0,200}") {
            checked(&header, BODY);
            checked(&noise, BODY);
        }
    }
}
