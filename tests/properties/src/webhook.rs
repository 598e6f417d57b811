//! A webhook: the header `Stripe-Signature` and the body that it signs.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use storefront_contract::object::Object;
use storefront_payment::fuzzing::{Event, SessionId, SignatureError, check_signature};

use crate::{halves, is_readable};

const SECRETS: [&str; 2] = ["whsec_new", "whsec_old"];
const NOW_S: i64 = 1_790_000_000;
const TOLERANCE_S: u64 = 300;

/// Bytes are the header, up to the end of the line, and the body. In the header `{now}` is the time, and `{new}` and
/// `{old}` are right signatures of the body at that time, which nobody would guess.
pub fn webhook(bytes: &[u8]) {
    let (header, body) = halves(bytes, b"\n");
    event(body);
    let Ok(header) = std::str::from_utf8(header) else { return };
    let [new, old] = SECRETS.map(|secret| sign(secret, &NOW_S.to_string(), body));
    let header =
        header.replace("{now}", &NOW_S.to_string()).replace("{new}", &new).replace("{old}", &old);
    let taken = check(&header, body, NOW_S);
    match taken {
        Ok(()) => assert!(is_signed(&header, body), "{header:?} was taken"),
        Err(error) => is_readable("a refusal", &error.to_string()),
    }
    let usual = !header.contains(' ') && header.matches("v1=").count() < 16 && header.len() < 4096;
    if usual && is_signed(&header, body) {
        assert_eq!(taken, Ok(()), "{header:?}");
    }
    if taken == Ok(()) {
        opens_nothing_else(&header, body);
    }
}

fn check(header: &str, body: &[u8], now_s: i64) -> Result<(), SignatureError> {
    check_signature(Some(header), body, SECRETS, now_s, TOLERANCE_S)
}

fn sign(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(&[time.as_bytes(), b".", body].concat());
    hex::encode(mac.finalize().into_bytes())
}

/// The rule of <https://docs.stripe.com/webhooks#verify-manually>, as slow and plain as it can be written.
fn is_signed(header: &str, body: &[u8]) -> bool {
    let parts: Vec<(&str, &str)> = header.split(',').filter_map(|it| it.split_once('=')).collect();
    let values = |name: &str| {
        let named = parts.iter().filter(|(known, _)| known.trim() == name);
        named.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let [time] = values("t")[..] else { return false };
    let seconds = time.parse::<i64>().unwrap_or_default();
    let is_near = seconds.abs_diff(NOW_S) <= TOLERANCE_S && !time.starts_with('+');
    let right = SECRETS.map(|secret| sign(secret, time, body));
    let is_whole = parts.len() == header.split(',').count() && time.len() <= 12;
    let is_right = values("v1").iter().any(|value| right.contains(&value.to_ascii_lowercase()));
    is_near && is_whole && is_right
}

/// It is this body's signature, by these secrets, at this time.
fn opens_nothing_else(header: &str, body: &[u8]) {
    let longer = [body, b" "].concat();
    assert_eq!(check(header, &longer, NOW_S), Err(SignatureError::Mismatch));
    for at in [0, body.len() / 2, body.len().saturating_sub(1)] {
        let mut other = body.to_vec();
        let Some(byte) = other.get_mut(at) else { continue };
        *byte ^= 1;
        assert_eq!(check(header, &other, NOW_S), Err(SignatureError::Mismatch));
    }
    for (secrets, now_s, expected) in [
        (["whsec_foreign", ""], NOW_S, SignatureError::Mismatch),
        (SECRETS, NOW_S + 601, SignatureError::Time),
        (SECRETS, NOW_S - 601, SignatureError::Time),
    ] {
        let taken = check_signature(Some(header), body, secrets, now_s, TOLERANCE_S);
        assert_eq!(taken, Err(expected));
    }
}

/// What is read of an event is what stands there.
fn event(body: &[u8]) {
    let Ok(Object(event)) = serde_json::from_slice::<Object<Event>>(body) else { return };
    if let Some(session) = event.object_id().and_then(SessionId::parse) {
        let plain = session.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        assert!(plain && session.as_str().len() <= 255, "{session}");
    }
    // A number beyond all numbers is passed over in a field that nobody reads.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    let object = &value["data"]["object"];
    assert_eq!(Some(event.id.as_str()), value["id"].as_str());
    assert_eq!(event.kind, value["type"].as_str().unwrap_or_default());
    assert_eq!(event.created, value["created"].as_i64());
    assert_eq!(event.object_id(), object["id"].as_str());
    if let Some(shop) = event.metadata("shop") {
        assert_eq!(Some(shop), object["metadata"]["shop"].as_str());
    }
}
