//! What a shop in the sandbox sells when its manifest does not say. The pictures are the gateway's
//! own.

use storefront_contract::{Currency, Product};

/// Id, name, and price in hundredths of a rupee.
const PRODUCTS: &[(&str, &str, i64)] = &[
    ("phone", "Nova 5G phone, 128 GB", 1_899_900),
    ("earbuds", "Lehar wireless earbuds", 249_900),
    ("kurta", "Handloom cotton kurta", 129_900),
    ("chai", "Masala chai from Assam, 250 g", 34_900),
    ("filter", "Brass coffee filter", 119_500),
    ("diya", "Terracotta diyas, set of 12", 19_900),
];

/// The demo catalog. In another currency than the rupee a hundredth of the number is asked; where the unit has no
/// parts, the number, as that is less than the smallest charge otherwise.
pub fn products(currency: Currency) -> Vec<Product> {
    let product = |(id, name, price): &(&str, &str, i64)| Product {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
        price: if currency.code() == "INR" {
            *price
        } else {
            // In hundredths of the unit, then in its minor unit; in whole steps, as Stripe wants.
            let exact = match currency.exponent() {
                0 => price / 100,
                exponent => price / 100 * 10_i64.pow(exponent) / 100,
            };
            exact - exact % currency.price_step()
        },
        image: Some(format!("/img/{id}.svg")),
    };
    PRODUCTS.iter().map(product).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_fit_the_currency() {
        let phone = |code: &str| products(Currency::new(code).unwrap())[0].price;
        assert_eq!(phone("INR"), 1_899_900);
        assert_eq!(phone("USD"), 18_999);
        assert_eq!(phone("JPY"), 18_999);
        assert_eq!(phone("KWD"), 189_990);
        assert_eq!(phone("ISK"), 18_900);
        for code in ["INR", "USD", "JPY", "KWD", "ISK", "UGX", "KRW"] {
            let currency = Currency::new(code).unwrap();
            let (least, most) = currency.charge_limits();
            for product in products(currency) {
                assert!((least..=most).contains(&product.price), "{code} {}", product.id);
                assert_eq!(product.price % currency.price_step(), 0, "{code} {}", product.id);
            }
        }
    }
}
