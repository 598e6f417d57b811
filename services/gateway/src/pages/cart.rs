//! The cart page: every product with its quantity in one form, which a browser can send without any
//! script. `cart.js` makes a cart of it. Pure.

use askama::Template;
use storefront_contract::{Currency, Money, Notice};

use super::{
    catalog::{Catalog, Product},
    icons::{ICONS, Icons},
    query::CartQuery,
    shop::Shop,
};

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage<'a> {
    shop: Shop<'a>,
    icons: Icons,
    currency: Currency,
    products: Vec<ProductShown<'a>>,
    notice: Option<NoticeShown>,
}

/// One product, as the page has it.
struct ProductShown<'a> {
    id: &'a str,
    name: &'a str,
    /// In minor units, and in words.
    price: i64,
    price_text: String,
    image: Option<&'a str>,
    /// In place of a picture.
    initial: String,
    quantity: u32,
    changed: bool,
}

struct NoticeShown {
    kind: &'static str,
    text: &'static str,
}

/// The page, as HTML.
pub fn page(shop: Shop<'_>, catalog: &Catalog, query: &CartQuery) -> Result<String, askama::Error> {
    let shown = |product| shown(product, catalog.currency, query);
    let products = catalog.products.iter().map(shown).collect();
    let notice = query.notice.map(words);
    CartPage { shop, icons: ICONS, currency: catalog.currency, products, notice }.render()
}

fn shown<'a>(product: &'a Product, currency: Currency, query: &CartQuery) -> ProductShown<'a> {
    let Product { id, name, price, image } = product;
    ProductShown {
        id,
        name,
        price: *price,
        price_text: Money { amount: *price, currency }.to_string(),
        image: image.as_deref(),
        initial: name.trim().chars().take(1).collect(),
        quantity: query.quantities.get(id).copied().unwrap_or_default(),
        changed: query.changed.contains(id),
    }
}

fn words(notice: Notice) -> NoticeShown {
    let (kind, text) = match notice {
        Notice::Cancelled => {
            ("info", "You left the payment. Nothing was charged, and your cart is as you left it.")
        }
        Notice::EmptyCart => ("warning", "Your cart is empty. Choose how many you want, then pay."),
        Notice::Email => {
            ("warning", "The e-mail address is not complete: it looks like name@example.com.")
        }
        Notice::Quantity => ("warning", "A quantity is too large. Please choose fewer, then pay."),
        Notice::PriceChanged => (
            "warning",
            "A price has changed in the meantime. Nothing was charged: look at the new price, then pay.",
        ),
        Notice::UnknownProduct => (
            "warning",
            "A product is not sold any more. Nothing was charged: look at your cart again, then pay.",
        ),
        Notice::Amount => (
            "warning",
            "This sum cannot be paid in one go: it is too small or too large. Please change your cart.",
        ),
        Notice::Unavailable => (
            "warning",
            "The payment could not be started. Nothing was charged: please try again in a moment.",
        ),
    };
    NoticeShown { kind, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(products: &str) -> Catalog {
        serde_json::from_str(&format!(r#"{{"currency": "INR", "products": [{products}]}}"#))
            .unwrap()
    }

    const PHONE: &str = r#"{"id": "phone", "name": "Nova \"5G\" <b>", "price": 1899900, "image": "/img/phone.svg"}"#;

    #[test]
    fn a_product_is_text_a_price_and_two_fields() {
        let query = CartQuery::read("quantity.phone=2&changed=phone&notice=price-changed");
        let html = page(Shop::for_tests(), &catalog(PHONE), &query).unwrap();
        for part in [
            "<h3>Nova &#34;5G&#34; &#60;b&#62;</h3>",
            r#"<p class="price">₹18,999.00</p>"#,
            r#"name="price.phone" value="1899900""#,
            r#"name="quantity.phone" value="2""#,
            r#"class="card changed" data-id="phone" data-price="1899900""#,
            "A price has changed in the meantime",
            r#"data-prefix="₹" data-exponent="2" data-group="2""#,
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }

    #[test]
    fn a_shop_without_products_says_so() {
        let html = page(Shop::for_tests(), &catalog(""), &CartQuery::default()).unwrap();
        assert!(html.contains("Nothing is sold at the moment"), "{html}");
        assert!(!html.contains("Pay securely"), "{html}");
    }
}
