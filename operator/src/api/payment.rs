//! `spec.payment`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{SecretRef, rules};

/// How shoppers pay. Write either `sandbox` or `stripe`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::PAYMENT_ONE)]
pub struct Payment {
    /// A stand-in for Stripe that moves no money, for development, tests and demos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,

    /// Stripe Checkout, in test or live mode as its key says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe: Option<Stripe>,
}

/// The stand-in has nothing to be set: write `{}`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Sandbox {}

/// Access to Stripe.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Stripe {
    /// Secret with the keys `api-key` (a secret or restricted key), `webhook-secret` (signing secret
    /// of the endpoint `/payment/webhook`) and, during a rotation, `webhook-secret-old`. They are
    /// read from mounted files, and again when they change.
    pub secret_ref: SecretRef,
}
