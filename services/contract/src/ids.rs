//! Identifiers that follow from what they name, so that the same happening has the same id however
//! often and by whomever it is sent.

use uuid::Uuid;

use crate::shop::Shop;

/// Namespace of every identifier made here (a fixed, random UUID; RFC 9562, section 6.5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f3c_2b0e_5d0a_4c58_9a5e_3f0d_7c41_b2aa);

/// `ce_id` of an event: UUIDv5 of shop, event type and identity (subject and, for mails, template).
pub fn event_id(shop: &Shop, event_type: &str, identity: &str) -> Uuid {
    derive(&[shop.id(), "event", event_type, identity])
}

/// The order of a Stripe session: known before the order service has run, and as unguessable as
/// the session id.
pub fn order_id(shop: &Shop, session_id: &str) -> Uuid {
    derive(&[shop.id(), "order", session_id])
}

/// Parts are joined by a character that none of them may contain, so that no two lists of parts
/// give the same name.
fn derive(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, parts.join("\u{1f}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ_by_each_part() {
        let (blue, red): (Shop, Shop) =
            ("default/blue".parse().unwrap(), "default/red".parse().unwrap());
        let id = event_id(&blue, "t", "cs_1");
        assert_eq!(id, event_id(&blue, "t", "cs_1"));
        assert_ne!(id, event_id(&red, "t", "cs_1"));
        assert_ne!(id, event_id(&blue, "u", "cs_1"));
        assert_ne!(id, event_id(&blue, "t", "cs_2"));
        // Written down: a change here would make every retried event a new one.
        assert_eq!(
            order_id(&blue, "cs_test_1").to_string(),
            "5ab5989b-728e-548e-b0f9-2ecbda30970d"
        );
        assert_eq!(id.get_version_num(), 5);
    }
}
