//! What the shop sells, as payment knows it: parsed, checked, and ready to be answered. Reading the
//! file is `file`'s.

mod file;

use std::collections::HashSet;

use bytes::Bytes;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storefront_contract::{Currency, Product, product::is_product_id};

pub use file::{CatalogFile, CatalogFileError};

/// Most products. The operator's own limit is lower; this one bounds what a file can do to us.
const PRODUCTS_MAX: usize = 10_000;
/// Longest name, in characters; Stripe's own limit for product names is 5000 bytes.
const NAME_MAX_LENGTH: usize = 200;

/// The products by id, in the file's order.
#[derive(Debug, Clone)]
pub struct Catalog {
    currency: Currency,
    products: IndexMap<String, Product>,
    answer: Bytes,
}

/// Why a file is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("it is no JSON of the form {{\"products\": [{{id, name, price, image?}}]}}")]
    Json(#[source] serde_json::Error),
    #[error("it has {0} products; 1 to {PRODUCTS_MAX} are allowed")]
    Count(usize),
    #[error("product {id:?}: {problem}")]
    Product { id: String, problem: String },
}

impl CatalogError {
    /// A fixed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Json(_) => "undecodable",
            Self::Count(_) => "count",
            Self::Product { .. } => "product",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    products: Vec<Product>,
}

/// The body of `GET /catalog`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Catalog")]
pub struct Answer<'a> {
    currency: Currency,
    products: &'a [Product],
}

impl Catalog {
    /// Reads and checks a catalog whose prices are in `currency`.
    pub fn parse(json: &[u8], currency: Currency) -> Result<Self, CatalogError> {
        let File { products } = serde_json::from_slice(json).map_err(CatalogError::Json)?;
        if products.is_empty() || products.len() > PRODUCTS_MAX {
            return Err(CatalogError::Count(products.len()));
        }
        let mut ids = HashSet::new();
        for product in &products {
            let problem = if ids.insert(&product.id) {
                problem_of(product, currency)
            } else {
                Some("there is another one with this id".into())
            };
            if let Some(problem) = problem {
                return Err(CatalogError::Product { id: product.id.clone(), problem });
            }
        }
        let answer = Answer { currency, products: &products };
        let answer = serde_json::to_vec(&answer).map_err(CatalogError::Json)?.into();
        let products = products.into_iter().map(|product| (product.id.clone(), product)).collect();
        Ok(Self { currency, products, answer })
    }

    /// Of every price.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The product of that id, if the shop sells it.
    pub fn product(&self, id: &str) -> Option<&Product> {
        self.products.get(id)
    }

    /// The body of `GET /catalog`, written once for each version of the file.
    pub fn answer(&self) -> Bytes {
        self.answer.clone()
    }
}

fn problem_of(product: &Product, currency: Currency) -> Option<String> {
    let (_, most) = currency.charge_limits();
    let step = currency.price_step();
    if !is_product_id(&product.id) {
        Some("an id has 1 to 64 letters, digits, `.`, `_` and `-`".into())
    } else if product.name.trim().is_empty() || product.name.chars().count() > NAME_MAX_LENGTH {
        Some(format!("a name has 1 to {NAME_MAX_LENGTH} characters"))
    } else if product.name.chars().any(char::is_control) {
        Some("a name has no control characters".into())
    } else if !(0..=most).contains(&product.price) {
        Some(format!("a price in {currency} is 0 to {most} minor units"))
    } else if product.price % step != 0 {
        Some(format!("a price in {currency} is a multiple of {step} minor units"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str, currency: &str) -> Result<Catalog, String> {
        Catalog::parse(json.as_bytes(), currency.parse().unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_answer_keeps_the_order_and_leaves_out_what_is_absent() {
        let file = r#"{"products": [
            {"id": "phone", "name": "Nova 5G", "price": 1899900, "image": "/img/phone.svg"},
            {"id": "case", "name": "Case", "price": 49900}
        ]}"#;
        let catalog = parse(file, "INR").unwrap();
        insta::assert_snapshot!(
            String::from_utf8_lossy(&catalog.answer()),
            @r#"{"currency":"INR","products":[{"id":"phone","name":"Nova 5G","price":1899900,"image":"/img/phone.svg"},{"id":"case","name":"Case","price":49900}]}"#
        );
        assert_eq!(catalog.product("case").map(|product| product.price), Some(49_900));
        assert!(catalog.product("tv").is_none());
    }

    #[test]
    fn a_wrong_catalog_names_its_product() {
        let one = |product: &str| format!(r#"{{"products": [{product}]}}"#);
        let said = |json: &str, currency: &str| parse(json, currency).unwrap_err();
        let table = [
            said("[]", "INR"),
            said(r#"{"products": []}"#, "INR"),
            said(&one(r#"{"id": "a b", "name": "A", "price": 1}"#), "INR"),
            said(&one(r#"{"id": "a", "name": " ", "price": 1}"#), "INR"),
            said(&one(r#"{"id": "a", "name": "A\nB", "price": 1}"#), "INR"),
            said(&one(r#"{"id": "a", "name": "A", "price": -1}"#), "INR"),
            said(&one(r#"{"id": "a", "name": "A", "price": 100000000}"#), "EUR"),
            said(&one(r#"{"id": "a", "name": "A", "price": 1255}"#), "KWD"),
            said(&one(r#"{"id": "a", "name": "A", "price": 5}"#), "UGX"),
            said(
                &one(
                    r#"{"id": "a", "name": "A", "price": 1}, {"id": "a", "name": "B", "price": 1}"#,
                ),
                "INR",
            ),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        it is no JSON of the form {"products": [{id, name, price, image?}]}
        it has 0 products; 1 to 10000 are allowed
        product "a b": an id has 1 to 64 letters, digits, `.`, `_` and `-`
        product "a": a name has 1 to 200 characters
        product "a": a name has no control characters
        product "a": a price in INR is 0 to 999999999 minor units
        product "a": a price in EUR is 0 to 99999999 minor units
        product "a": a price in KWD is a multiple of 10 minor units
        product "a": a price in UGX is a multiple of 100 minor units
        product "a": there is another one with this id
        "#);
    }
}
