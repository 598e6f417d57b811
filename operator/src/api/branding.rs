//! `spec.branding`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// How the shop looks: on the built-in pages and in mails.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Branding {
    /// What shoppers call the shop, 1 to 80 characters. Default: `metadata.name`.
    ///
    /// Example: `Demo Bazaar`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    #[x_kube(validation = rules::SHOP_NAME)]
    pub name: Option<String>,

    /// Logo: a path on the shop's own host, or an `https://` URL. It is shown 32 pixels high before
    /// the name. At most 2048 characters. Default: none.
    ///
    /// Example: `https://cdn.example.com/logo.svg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(validation = rules::PICTURE)]
    pub logo: Option<String>,

    /// Colour of the page's head, of links and outlines. Text on it is black or white, whichever is
    /// read better. Default: `#1f3a8a`.
    ///
    /// Example: `#7a1f3d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7))]
    #[x_kube(validation = rules::COLOR)]
    pub primary_color: Option<String>,

    /// Colour of the button that leads to the payment. Default: `#ff9f1c`.
    ///
    /// Example: `#f2a43a`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7))]
    #[x_kube(validation = rules::COLOR)]
    pub accent_color: Option<String>,
}
