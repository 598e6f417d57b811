//! `spec.catalog`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigMapKeyRef, rules};

/// What the shop sells: written here, or kept in a ConfigMap when it is long.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::CATALOG_ONE)]
pub struct Catalog {
    /// The products, at most 200. A longer catalog goes into a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["id".into()]),
        validation = rules::PRODUCTS_SOME,
        validation = rules::PRODUCTS_UNIQUE
    )]
    pub products: Option<Vec<Product>>,

    /// A key of a ConfigMap that holds JSON `{"products": [{"id", "name", "price", "image"}]}`. An
    /// edit of it is taken up without a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,
}

/// One product. What a shopper pays always comes from here, never from a browser.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// Identifier, unique in the shop: 1 to 64 letters, digits, `.`, `_` and `-`.
    ///
    /// Example: `phone`.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::PRODUCT_ID)]
    pub id: String,

    /// Name that shoppers read, 1 to 200 characters.
    ///
    /// Example: `Nova 5G`.
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::PRODUCT_NAME)]
    pub name: String,

    /// Price of one piece in the currency's minor unit: paise, cents, whole yen.
    ///
    /// Example: `1899900` is 18,999.00 in INR, and 1,899,900 in JPY.
    #[x_kube(validation = rules::PRODUCT_PRICE)]
    pub price: i64,

    /// Picture: a path on the shop's own host, or an `https://` URL. At most 2048 characters.
    ///
    /// Example: `/img/phone.svg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::PICTURE)]
    pub image: Option<String>,
}
