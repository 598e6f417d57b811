//! Metadata and its limits (<https://docs.stripe.com/api/metadata>): 50 keys of 40 characters with
//! values of 500.

use std::collections::BTreeMap;

use super::{error::StripeError, params::Param};

const KEYS_MAX: usize = 50;
const KEY_LENGTH_MAX: usize = 40;
const VALUE_LENGTH_MAX: usize = 500;

/// A hash of texts within the limits. A key with an empty value is one that is unset: left out.
pub fn read(param: &Param<'_>) -> Result<BTreeMap<String, String>, StripeError> {
    let mut metadata = param.texts()?;
    metadata.retain(|_, value| !value.is_empty());
    if metadata.len() > KEYS_MAX {
        return Err(param.invalid(format!(
            "Metadata can have up to {KEYS_MAX} keys, but you passed in {} keys.",
            metadata.len()
        )));
    }
    for (key, value) in &metadata {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if key_length > KEY_LENGTH_MAX {
            return Err(param.invalid(format!(
                "Metadata keys can have up to {KEY_LENGTH_MAX} characters, but you passed in a key \
                 that is {key_length} characters. Invalid key: {key}"
            )));
        }
        if value_length > VALUE_LENGTH_MAX {
            return Err(param.child(key).invalid(format!(
                "Metadata values can have up to {VALUE_LENGTH_MAX} characters, but you passed in a \
                 value that is {value_length} characters. Invalid value: {value}"
            )));
        }
    }
    Ok(metadata)
}
