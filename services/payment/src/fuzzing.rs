//! Opens to `tests/properties` what is made of a request's body, of a webhook and of a catalog.

pub use crate::{
    catalog::Catalog,
    http::{form::Form, problems},
    pricing::{PricedCart, PricingError, price},
    request::{CheckedRequest, FieldProblem, PaymentRequest, QUANTITY_MAX, RequestedLine},
    session_id::SessionId,
    signature::{SignatureError, check as check_signature},
    stripe::objects::Event,
};
