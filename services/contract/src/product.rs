//! What a shop sells.

use serde::{Deserialize, Serialize};

/// One product of the catalog. Prices always come from here, never from a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// Identifier, unique in the shop: 1 to 64 letters, digits, `.`, `_` and `-`.
    #[schemars(regex(pattern = ID_PATTERN))]
    pub id: String,
    /// Name shown to the shopper and on the receipt, 1 to 200 characters.
    pub name: String,
    /// Price of one piece in the currency's minor unit (paise, cents; whole yen).
    pub price: i64,
    /// Picture, as a path on the shop's own host or an `https://` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// What [`is_product_id`] takes, for schemas.
pub const ID_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";
/// Longest product id.
pub const ID_MAX_LENGTH: usize = 64;

/// Whether a text may be a product's id. `:` and `,` are what the compact cart is written with.
pub fn is_product_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= ID_MAX_LENGTH
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether a text may be the address of a picture: a path on the shop's own host, or an `https://`
/// URL.
pub fn is_picture(address: &str) -> bool {
    let here = address.starts_with('/') && !address.starts_with("//");
    (here || address.starts_with("https://"))
        && !address.contains(|c: char| c.is_control() || c.is_whitespace())
}
