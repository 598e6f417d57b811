//! The compact cart: what a Stripe session carries in its metadata, so that a lost row can be
//! rebuilt from Stripe alone.
//!
//! `id:quantity,…`, split at commas over the keys `cart`, `cart_1`, … because Stripe allows 500
//! characters a value and 50 keys (<https://docs.stripe.com/api/metadata>).

use std::collections::BTreeMap;

use crate::product::is_product_id;

/// Stripe's limit for one metadata value, in characters.
pub const VALUE_MAX_LENGTH: usize = 500;
/// Keys left for the cart: Stripe's 50 less `shop`, `userId` and room for the shop's own.
pub const KEYS_MAX: usize = 40;

/// Why a cart does not fit, or cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CartError {
    #[error(
        "the cart is too big: in its compact form it may fill {KEYS_MAX} values of {VALUE_MAX_LENGTH} characters"
    )]
    TooBig,
    #[error("{0:?} is no product id: 1 to 64 letters, digits, `.`, `_` and `-` are allowed")]
    ProductId(String),
    #[error("the cart in the session's metadata cannot be read at {0:?}")]
    Malformed(String),
    #[error("the session's metadata holds no cart")]
    Missing,
}

/// Writes a cart as metadata.
pub fn compact<'a>(
    lines: impl IntoIterator<Item = (&'a str, u32)>,
) -> Result<BTreeMap<String, String>, CartError> {
    let mut values = vec![String::new()];
    for (id, quantity) in lines {
        if !is_product_id(id) {
            return Err(CartError::ProductId(id.into()));
        }
        let line = format!("{id}:{quantity}");
        let last = values.len() - 1;
        let value = &mut values[last];
        if value.is_empty() {
            *value = line;
        } else if value.len() + 1 + line.len() <= VALUE_MAX_LENGTH {
            value.push(',');
            value.push_str(&line);
        } else {
            values.push(line);
        }
    }
    if values.len() > KEYS_MAX {
        return Err(CartError::TooBig);
    }
    Ok(values.into_iter().enumerate().map(|(index, value)| (key(index), value)).collect())
}

/// Reads a cart from metadata; the inverse of [`compact`].
pub fn expand<'a>(
    metadata: impl Fn(&str) -> Option<&'a str>,
) -> Result<Vec<(String, u32)>, CartError> {
    let mut lines = Vec::new();
    for index in 0..KEYS_MAX {
        let Some(value) = metadata(&key(index)) else { break };
        for line in value.split(',') {
            lines.push(parse_line(line).ok_or_else(|| CartError::Malformed(line.into()))?);
        }
    }
    if lines.is_empty() { Err(CartError::Missing) } else { Ok(lines) }
}

fn key(index: usize) -> String {
    if index == 0 { "cart".into() } else { format!("cart_{index}") }
}

fn parse_line(line: &str) -> Option<(String, u32)> {
    let (id, quantity) = line.split_once(':')?;
    let quantity = quantity.parse().ok().filter(|q| *q > 0)?;
    is_product_id(id).then(|| (id.to_owned(), quantity))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cart_is_one_short_value() {
        let metadata = compact([("phone", 1), ("case.red", 2)]).unwrap();
        assert_eq!(metadata, BTreeMap::from([("cart".into(), "phone:1,case.red:2".into())]));
    }

    #[test]
    fn what_stripe_would_refuse_is_refused_before() {
        let ids: Vec<String> = (0..400).map(|i| format!("{i:0>60}")).collect();
        assert_eq!(compact(ids.iter().map(|id| (id.as_str(), 9))), Err(CartError::TooBig));
        assert_eq!(compact([("a:b", 1)]), Err(CartError::ProductId("a:b".into())));
        assert_eq!(expand(|_| None), Err(CartError::Missing));
        assert_eq!(expand(|_| Some("phone:0")), Err(CartError::Malformed("phone:0".into())));
    }

    proptest! {
        #[test]
        fn a_cart_survives_the_metadata(
            cart in prop::collection::vec(("[a-zA-Z0-9._-]{1,64}", 1..=u32::MAX), 1..100)
        ) {
            let metadata = compact(cart.iter().map(|(id, quantity)| (id.as_str(), *quantity))).unwrap();
            prop_assert!(metadata.values().all(|value| value.len() <= VALUE_MAX_LENGTH));
            prop_assert_eq!(expand(|key| metadata.get(key).map(String::as_str)).unwrap(), cart);
        }
    }
}
