//! What the cart page says when a shopper comes back to it. Payment sends them there with the
//! notice's name in the query, the gateway has the words.

use std::{fmt, str::FromStr};

/// Name of the query's parameter.
pub const NOTICE: &str = "notice";

/// Why a shopper is back at the cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// They left the payment page.
    Cancelled,
    /// Nothing was in the cart.
    EmptyCart,
    /// The e-mail address is none.
    Email,
    /// A quantity is out of bounds.
    Quantity,
    /// A price is not what it was when they saw it.
    PriceChanged,
    /// A product is not sold any more.
    UnknownProduct,
    /// The sum is below or above what can be paid in one go, or the cart has too many lines.
    Amount,
    /// Payments cannot be begun at the moment.
    Unavailable,
}

impl Notice {
    pub const ALL: [Self; 8] = [
        Self::Cancelled,
        Self::EmptyCart,
        Self::Email,
        Self::Quantity,
        Self::PriceChanged,
        Self::UnknownProduct,
        Self::Amount,
        Self::Unavailable,
    ];

    /// The name in the query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::EmptyCart => "empty-cart",
            Self::Email => "email",
            Self::Quantity => "quantity",
            Self::PriceChanged => "price-changed",
            Self::UnknownProduct => "unknown-product",
            Self::Amount => "amount",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text is no notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such notice")]
pub struct UnknownNotice;

impl FromStr for Notice {
    type Err = UnknownNotice;

    fn from_str(name: &str) -> Result<Self, UnknownNotice> {
        Self::ALL.into_iter().find(|notice| notice.name() == name).ok_or(UnknownNotice)
    }
}

/// What comes before a product's id in the name of its quantity, in the form and in the query.
pub const QUANTITY_PREFIX: &str = "quantity.";
/// What comes before a product's id in the form's name of the price that the shopper saw.
pub const PRICE_PREFIX: &str = "price.";
/// Name of the query's parameter for each product whose price has changed.
pub const CHANGED: &str = "changed";
