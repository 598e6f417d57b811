//! `Stripe-Signature` (<https://docs.stripe.com/webhooks#verify-manually>): HMAC-SHA256 over the time,
//! a dot and the body, byte for byte. The key is the secret as it stands, with its `whsec_`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What `old-secret` signs with: one that the endpoint had before (rolling a secret,
/// <https://docs.stripe.com/webhooks>).
pub const OLD_SECRET: &str = "whsec_sandboxold5b0e7d21c94f8a36";

/// The header for a body sent at `time`, in seconds.
pub fn header(secret: &str, body: &str, time: i64) -> String {
    // HMAC takes keys of any length, so this cannot fail; without a key nothing would verify.
    let signature = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_or_else(
        |_| String::new(),
        |mut mac| {
            mac.update(time.to_string().as_bytes());
            mac.update(b".");
            mac.update(body.as_bytes());
            hex::encode(mac.finalize().into_bytes())
        },
    );
    format!("t={time},v1={signature}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_signature_is_stripes() {
        // printf '1492774577.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        assert_eq!(
            super::header("whsec_test", r#"{"id":"evt_1"}"#, 1_492_774_577),
            "t=1492774577,v1=7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2"
        );
    }
}
