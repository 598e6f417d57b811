//! Stripe's error object (<https://docs.stripe.com/api/errors>): what a client of the API reads.
//! The texts are Stripe's own where they are known, because people match on them.

use serde_json::{Map, Value, json};

/// One refusal, as Stripe words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StripeError {
    /// The HTTP status.
    pub status: u16,
    /// `invalid_request_error`, `idempotency_error` or `api_error`.
    pub kind: &'static str,
    /// One of <https://docs.stripe.com/error-codes>.
    pub code: Option<&'static str>,
    pub message: String,
    /// The parameter at fault, as `line_items[0][quantity]`.
    pub param: Option<String>,
}

impl StripeError {
    /// A 400 about the request.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            message: message.into(),
            param: None,
        }
    }

    pub fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
    }

    /// No such object: Stripe names its kind and the id.
    pub fn no_such(object: &str, id: &str, param: &str) -> Self {
        Self {
            status: 404,
            ..Self::invalid(format!("No such {object}: '{id}'"))
                .code("resource_missing")
                .param(param)
        }
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self { status: 401, ..Self::invalid(message) }
    }

    pub fn no_such_url(method: &http::Method, path: &str) -> Self {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). The sandbox knows Checkout sessions, \
             their line items, events and payment intents. See https://docs.stripe.com/api."
        );
        Self { status: 404, ..Self::invalid(message) }
    }

    /// The sandbox's own failure, as a ledger that could not be written.
    pub fn internal() -> Self {
        Self {
            status: 500,
            kind: "api_error",
            ..Self::invalid("The sandbox could not keep its ledger; see its log.")
        }
    }

    #[must_use]
    pub fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    #[must_use]
    pub fn param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// The body that goes with [`Self::status`].
    pub fn body(&self) -> Value {
        let mut error = Map::new();
        if let Some(code) = self.code {
            let page = code.replace('_', "-");
            error.insert("code".into(), code.into());
            error.insert(
                "doc_url".into(),
                format!("https://docs.stripe.com/error-codes/{page}").into(),
            );
        }
        error.insert("message".into(), self.message.clone().into());
        if let Some(param) = &self.param {
            error.insert("param".into(), param.clone().into());
        }
        error.insert("type".into(), self.kind.into());
        json!({ "error": error })
    }
}
