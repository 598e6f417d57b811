//! Which keys of Stripe were used, and when last, as Stripe's own dashboard tells it: so one knows that an old one can go.
//! In memory only, and never more of a key than its ends.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Those that were not used for longest are forgotten.
const KEYS_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyUse {
    /// Its first and last letters.
    pub key: String,
    pub calls: u64,
    /// Unix time, in seconds.
    pub last_used: i64,
}

#[derive(Default)]
pub struct KeysUsed(Mutex<Vec<KeyUse>>);

impl KeysUsed {
    /// A call was let in by this key.
    pub fn add(&self, key: String, now_s: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().position(|used| used.key == key);
        let calls = known.map_or(0, |at| all.remove(at).calls) + 1;
        all.truncate(KEYS_MAX - 1);
        all.insert(0, KeyUse { key, calls, last_used: now_s });
    }

    /// The last one first.
    pub fn all(&self) -> Vec<KeyUse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known() {
        let keys = KeysUsed::default();
        for number in 0..100 {
            keys.add(format!("sk_{number}"), number);
        }
        keys.add("sk_90".into(), 100);
        let all = keys.all();
        assert_eq!(all.len(), KEYS_MAX);
        assert_eq!(all[0], KeyUse { key: "sk_90".into(), calls: 2, last_used: 100 });
        assert_eq!(all[1].key, "sk_99");
    }
}
