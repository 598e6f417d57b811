//! A checked cart and the catalog into what is charged. Pure. Prices come from the catalog only.

use storefront_contract::{
    CartLine, Money,
    cart::{self, CartError},
};

use crate::{
    catalog::Catalog,
    request::{CheckedRequest, RequestedLine},
};

/// What a session will charge; the amount is the sum of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedCart {
    pub lines: Vec<CartLine>,
    /// In minor units.
    pub amount: i64,
}

/// A product whose price is not what the shopper saw.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct PriceChange {
    pub product: String,
    /// Price of one piece now, in minor units.
    pub price: i64,
}

/// Why a cart cannot be charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    #[error("the cart has products that the shop does not sell")]
    UnknownProducts(Vec<String>),
    #[error("prices have changed")]
    PricesChanged(Vec<PriceChange>),
    #[error("the cart's sum is beyond what can be counted; remove something")]
    Overflow,
    #[error("the cart costs {amount}, and the smallest payment is {least}; add something")]
    TooSmall { amount: Money, least: Money },
    #[error("the cart costs {amount}, and the largest payment is {most}; remove something")]
    TooLarge { amount: Money, most: Money },
    #[error("the cart does not fit the payment's metadata")]
    Metadata(#[source] CartError),
}

/// Prices a cart, or says all that is wrong with it of the first kind that is.
pub fn price(request: &CheckedRequest, catalog: &Catalog) -> Result<PricedCart, PricingError> {
    let unknown = request.cart.iter().filter(|line| catalog.product(&line.id).is_none());
    let unknown: Vec<String> = unknown.map(|line| line.id.clone()).collect();
    if !unknown.is_empty() {
        return Err(PricingError::UnknownProducts(unknown));
    }
    let changed: Vec<PriceChange> =
        request.cart.iter().filter_map(|line| price_change(line, catalog)).collect();
    if !changed.is_empty() {
        return Err(PricingError::PricesChanged(changed));
    }
    let lines: Vec<CartLine> =
        request.cart.iter().filter_map(|line| priced(line, catalog)).collect();
    let amount = sum(&lines).ok_or(PricingError::Overflow)?;
    let (least, most) = catalog.currency().charge_limits();
    let money = |amount| Money { amount, currency: catalog.currency() };
    if amount < least {
        return Err(PricingError::TooSmall { amount: money(amount), least: money(least) });
    }
    if amount > most {
        return Err(PricingError::TooLarge { amount: money(amount), most: money(most) });
    }
    cart::compact(lines.iter().map(|line| (line.id.as_str(), line.quantity)))
        .map_err(PricingError::Metadata)?;
    Ok(PricedCart { lines, amount })
}

/// The sum of a cart's lines, in minor units; `None` beyond 64 bits.
pub fn sum(lines: &[CartLine]) -> Option<i64> {
    lines.iter().try_fold(0_i64, |sum, line| {
        sum.checked_add(line.price.checked_mul(i64::from(line.quantity))?)
    })
}

fn price_change(line: &RequestedLine, catalog: &Catalog) -> Option<PriceChange> {
    let product = catalog.product(&line.id)?;
    let seen = line.price?;
    (seen != product.price)
        .then(|| PriceChange { product: product.id.clone(), price: product.price })
}

fn priced(line: &RequestedLine, catalog: &Catalog) -> Option<CartLine> {
    let product = catalog.product(&line.id)?;
    Some(CartLine {
        id: product.id.clone(),
        name: product.name.clone(),
        quantity: line.quantity,
        price: product.price,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::PaymentRequest;

    fn charged(cart: &str) -> Result<PricedCart, PricingError> {
        let catalog = r#"{"products": [
            {"id": "phone", "name": "Nova 5G", "price": 1899900},
            {"id": "case", "name": "Case", "price": 49900},
            {"id": "sticker", "name": "Sticker", "price": 10},
            {"id": "gift", "name": "Gift", "price": 0}
        ]}"#;
        let catalog = Catalog::parse(catalog.as_bytes(), "INR".parse().unwrap()).unwrap();
        let body = format!(r#"{{"userId": "u", "cart": [{cart}]}}"#);
        let request: PaymentRequest = serde_json::from_str(&body).unwrap();
        price(&request.check().unwrap(), &catalog)
    }

    #[test]
    fn prices_are_the_catalogs() {
        let cart = charged(r#"{"id": "phone", "quantity": 2}, {"id": "gift", "quantity": 1}"#);
        let cart = cart.unwrap();
        assert_eq!(cart.amount, 3_799_800);
        assert_eq!((cart.lines[0].name.as_str(), cart.lines[0].price), ("Nova 5G", 1_899_900));
        let seen = charged(r#"{"id": "phone", "quantity": 1, "price": 1899900}"#);
        assert_eq!(seen.unwrap().amount, 1_899_900);
    }

    #[test]
    fn a_cart_that_cannot_be_charged_says_why() {
        let changed = charged(
            r#"{"id": "phone", "quantity": 1, "price": 1}, {"id": "case", "quantity": 1, "price": 2}"#,
        );
        let now = |product: &str, price| PriceChange { product: product.into(), price };
        assert_eq!(
            changed,
            Err(PricingError::PricesChanged(vec![now("phone", 1_899_900), now("case", 49_900)]))
        );
        let unknown =
            charged(r#"{"id": "phone", "quantity": 1, "price": 1}, {"id": "x", "quantity": 1}"#);
        assert_eq!(unknown, Err(PricingError::UnknownProducts(vec!["x".into()])));
        let said = |cart: &str| charged(cart).unwrap_err().to_string();
        assert_eq!(
            said(r#"{"id": "gift", "quantity": 1}"#),
            "the cart costs ₹0.00, and the smallest payment is ₹0.50; add something"
        );
        assert_eq!(
            said(r#"{"id": "phone", "quantity": 1000}"#),
            "the cart costs ₹1,89,99,000.00, and the largest payment is ₹99,99,999.99; remove something"
        );
    }

    #[test]
    fn a_sum_beyond_64_bits_is_none() {
        let line = |price| CartLine { id: "a".into(), name: "A".into(), quantity: 2, price };
        assert_eq!(sum(&[line(i64::MAX)]), None);
        assert_eq!(sum(&[line(i64::MAX / 2), line(1)]), None);
        assert_eq!(sum(&[line(5), line(1)]), Some(12));
    }
}
