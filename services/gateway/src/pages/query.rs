//! What a page's query says. Everything in it may be made up.

use std::collections::{BTreeMap, BTreeSet};

use storefront_contract::{
    Notice,
    notice::{CHANGED, NOTICE, QUANTITY_PREFIX},
};
use url::form_urlencoded;

/// Most pieces of one product that the page's inputs take.
const QUANTITY_MAX: u32 = 99;

/// What the cart page is asked to show besides the catalog.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CartQuery {
    pub notice: Option<Notice>,
    /// Pieces by product id: what a form had when it was sent back.
    pub quantities: BTreeMap<String, u32>,
    /// Ids of products whose price is another than the shopper saw.
    pub changed: BTreeSet<String>,
}

impl CartQuery {
    pub fn read(query: &str) -> Self {
        let mut cart = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == NOTICE {
                cart.notice = value.parse().ok();
            } else if name == CHANGED {
                cart.changed.insert(value.into_owned());
            } else if let Some(id) = name.strip_prefix(QUANTITY_PREFIX)
                && let Ok(quantity) = value.parse::<u32>()
            {
                cart.quantities.insert(id.to_owned(), quantity.min(QUANTITY_MAX));
            }
        }
        cart
    }

    /// Whether it is the page that everybody gets.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// The one session that the success page is asked about.
pub fn session_id(query: &str) -> Option<String> {
    let mut ids = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, value)| name == "session_id" && !value.is_empty());
    match (ids.next(), ids.next()) {
        (Some((_, id)), None) => Some(id.into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_comes_back_as_it_was_sent() {
        let query = "notice=price-changed&changed=phone&quantity.phone=2&quantity.chai=1000&x=%FF";
        let cart = CartQuery::read(query);
        assert_eq!(cart.notice, Some(Notice::PriceChanged));
        assert_eq!(cart.quantities, [("chai".into(), 99), ("phone".into(), 2)].into());
        assert_eq!(cart.changed, ["phone".into()].into());
        for plain in ["", "utm_source=mail", "notice=%3Cscript%3E", "quantity.phone=-1"] {
            assert!(CartQuery::read(plain).is_plain(), "{plain}");
        }
    }

    #[test]
    fn a_session_is_named_once() {
        assert_eq!(session_id("session_id=cs_1&x=y"), Some("cs_1".into()));
        for none in ["", "session_id=", "session_id=cs_1&session_id=cs_2"] {
            assert_eq!(session_id(none), None, "{none}");
        }
    }
}
