//! Which shop this is: the namespace and name of its Storefront.

use std::sync::Arc;

/// A shop's identity, `namespace/name`. It is part of every event id, of `ce_source` and of the
/// metadata on Stripe sessions, so two shops may share brokers and a Stripe account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shop(Arc<str>);

/// Why a text is no shop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no shop: write `namespace/name`, each a DNS label of at most 63 characters")]
pub struct InvalidShop(pub String);

impl Shop {
    /// From a namespace and a name, each an RFC 1123 label.
    pub fn new(namespace: &str, name: &str) -> Result<Self, InvalidShop> {
        format!("{namespace}/{name}").parse()
    }

    /// `namespace/name`.
    pub fn id(&self) -> &str {
        &self.0
    }

    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(_, name)| name)
    }
}

impl std::str::FromStr for Shop {
    type Err = InvalidShop;

    fn from_str(text: &str) -> Result<Self, InvalidShop> {
        match text.split_once('/') {
            Some((namespace, name)) if is_label(namespace) && is_label(name) => {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidShop(text.into())),
        }
    }
}

impl std::fmt::Display for Shop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 1123 label: lower-case letters, digits and `-`, at most 63, no `-` at either end.
fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shop_is_a_namespace_and_a_name() {
        let shop: Shop = "blue/demo".parse().unwrap();
        assert_eq!((shop.namespace(), shop.name(), shop.id()), ("blue", "demo", "blue/demo"));
        for bad in ["demo", "a/b/c", "A/b", "-a/b", "a/", "a/b_c"] {
            assert_eq!(bad.parse::<Shop>(), Err(InvalidShop(bad.into())));
        }
    }
}
