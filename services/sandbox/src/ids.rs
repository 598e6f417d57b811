//! Random ids in the shapes of Stripe and of Mailpit, from the operating system's generator.
//! Nothing here knows what an id is for.

use uuid::Uuid;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Letters taken from one UUID: 62^20 is below its 122 random bits.
const LETTERS_OF_ONE: usize = 20;

/// `length` random letters and digits, as hard to guess as the number of them allows.
pub fn token(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bits = Uuid::new_v4().as_u128();
        for _ in 0..LETTERS_OF_ONE.min(length - text.len()) {
            text.push(char::from(ALPHABET[(bits % 62) as usize]));
            bits /= 62;
        }
    }
    text
}

/// A Checkout session's id. Stripe's have 58 letters after a mark of two; they cannot be guessed.
pub fn session() -> String {
    format!("cs_test_a1{}", token(58))
}

/// An id with one of Stripe's prefixes, such as `pi` or `evt`.
pub fn stripe(prefix: &str) -> String {
    format!("{prefix}_{}", token(24))
}

/// The id of a message in the inbox.
pub fn message() -> String {
    token(22)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn ids_have_their_shape_and_do_not_repeat() {
        let ids: BTreeSet<String> = (0..1000).map(|_| super::session()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 68 && id.starts_with("cs_test_a1")));
        assert!(super::stripe("evt").strip_prefix("evt_").is_some_and(|rest| rest.len() == 24));
    }
}
