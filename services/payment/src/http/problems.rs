//! Errors as the shop's clients read them. A failure of ours or of others is logged here, once, with
//! its cause; the client reads what to do.

use std::{error::Error, fmt::Write as _};

use http::StatusCode;
use storefront_contract::{Currency, Money};
use storefront_runtime::Problem;

use crate::{
    create::CreateError, events::TakeError, fulfil::FulfilError, key::KeyError,
    pricing::PricingError, request::FieldProblem, store::StoreError, stripe::StripeError,
};

/// After which time to come again when nobody has said otherwise.
const RETRY_AFTER_S: u64 = 2;
/// Longest time that a client is asked to wait, whatever Stripe says.
const RETRY_AFTER_MAX_S: u64 = 60;

/// Wrong fields.
pub fn fields(errors: Vec<FieldProblem>) -> Problem {
    let first = errors.first().map(|e| format!("{} {}", e.pointer, e.detail)).unwrap_or_default();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request")
        .detail(first)
        .with("errors", errors)
}

/// No session.
pub(super) fn create(error: &CreateError, currency: Currency) -> Problem {
    match error {
        CreateError::Pricing(error) => pricing(error, currency),
        CreateError::OtherRequest => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Idempotency key reused").detail(
                "this Idempotency-Key was sent with another request; use a new one for each cart",
            )
        }
        CreateError::Running => Problem::new(StatusCode::CONFLICT, "Request still running")
            .detail("a request with this Idempotency-Key is still running; ask again")
            .retry_after_s(1),
        CreateError::Refused { reason } => refused(reason),
        CreateError::Stripe(error) => stripe(error),
        CreateError::Store(error) => store(error),
        CreateError::Lost => Problem::of(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

pub fn pricing(error: &PricingError, currency: Currency) -> Problem {
    let unprocessable = |title: &'static str| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, title).detail(error.to_string())
    };
    match error {
        PricingError::UnknownProducts(products) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Unknown product")
                .detail(format!(
                    "the shop does not sell {}; remove it from the cart",
                    products.join(", ")
                ))
                .with("product", products.first())
                .with("products", products)
        }
        PricingError::PricesChanged(changes) => {
            let mut detail = String::new();
            for change in changes {
                let now = Money { amount: change.price, currency };
                let comma = if detail.is_empty() { "" } else { ", " };
                write!(detail, "{comma}{} costs {now} now", change.product).ok();
            }
            detail.push_str("; show it to the shopper, and send what they agree to");
            let first = changes.first();
            Problem::new(StatusCode::CONFLICT, "Price changed")
                .detail(detail)
                .with("product", first.map(|change| &change.product))
                .with("price", first.map(|change| change.price))
                .with("currency", currency)
                .with("changes", changes)
        }
        PricingError::Overflow | PricingError::TooSmall { .. } | PricingError::TooLarge { .. } => {
            unprocessable("Amount not payable")
        }
        PricingError::Metadata(source) => unprocessable("Cart too big").detail(source.to_string()),
    }
}

/// Stripe's last word on a payment, by its code.
pub(super) fn refused(reason: &str) -> Problem {
    match reason {
        "amount_too_small" => not_payable("small; add something to the cart"),
        "amount_too_large" => not_payable("large; remove something from the cart"),
        "email_invalid" => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request")
            .detail("/email is no address that the payment provider takes"),
        _ => Problem::new(StatusCode::BAD_GATEWAY, "Payment refused")
            .detail("the payment provider refuses this payment"),
    }
}

fn not_payable(why: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Amount not payable")
        .detail(format!("for the payment provider the amount is too {why}"))
}

/// Stripe is slow, away or unhappy with us: the same request may be sent again.
pub(super) fn stripe(error: &StripeError) -> Problem {
    let reason = error.reason();
    tracing::error!(error = causes(error), reason, "Stripe could not be asked");
    let told = error.retry_after().map_or(RETRY_AFTER_S, |after| after.as_secs());
    provider(error).retry_after_s(told.clamp(1, RETRY_AFTER_MAX_S))
}

pub(super) fn provider(error: &StripeError) -> Problem {
    let problem = match error {
        // A conflict at the end means that an attempt given up by us is still running at Stripe.
        StripeError::Timeout
        | StripeError::Connection(_)
        | StripeError::Refused { status: 409, .. } => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "Payment provider not reached")
        }
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Payment provider unavailable"),
    };
    problem.detail("the payment provider cannot be asked now; send the same request again")
}

/// The database is away, or a row cannot be read.
pub(super) fn store(error: &StoreError) -> Problem {
    storage(error, error.is_temporary(), error.reason())
}

fn storage(error: &(dyn Error + 'static), temporary: bool, reason: &'static str) -> Problem {
    tracing::error!(error = causes(error), reason, "a payment could not be read or stored");
    if temporary { storage_unavailable() } else { Problem::of(StatusCode::INTERNAL_SERVER_ERROR) }
}

pub(super) fn storage_unavailable() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Storage unavailable")
        .detail("nothing can be stored now; send the same request again")
        .retry_after_s(RETRY_AFTER_S)
}

/// A secret cannot be used any more.
pub(super) fn key(error: &KeyError) -> Problem {
    tracing::error!(error = causes(error), reason = error.reason(), "a secret cannot be used");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Payment provider unavailable")
        .retry_after_s(RETRY_AFTER_S)
}

/// A session could not be looked at.
pub(super) fn fulfil(error: &FulfilError) -> Problem {
    match error {
        FulfilError::Stripe(error) => stripe(error),
        FulfilError::Store(error) => store(error),
        FulfilError::Event(_) => storage(error, error.is_temporary(), error.reason()),
        FulfilError::Busy | FulfilError::TooMany => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many questions")
                .detail("the session is being looked at; ask again")
                .retry_after_s(1)
        }
        FulfilError::Lost => Problem::of(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// An event could not be taken: Stripe sends it again.
pub(super) fn take(error: &TakeError) -> Problem {
    match error {
        TakeError::Database(error) => storage(error, error.is_temporary(), error.reason()),
        TakeError::Fulfil(error) => fulfil(error),
    }
}

/// An error and its causes on one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        write!(text, ": {cause}").ok();
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{catalog::Catalog, pricing::price, request::PaymentRequest};

    fn shown(problem: &Problem) -> String {
        let mut text = String::new();
        for (name, value) in problem.headers() {
            writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        text + &serde_json::to_string(&problem.to_json()).unwrap()
    }

    fn refusal(cart: &str) -> Problem {
        let inr = "INR".parse().unwrap();
        let catalog = r#"{"products": [{"id": "phone", "name": "Nova 5G", "price": 1899900},
            {"id": "case", "name": "Case", "price": 49900}]}"#;
        let catalog = Catalog::parse(catalog.as_bytes(), inr).unwrap();
        let body = format!(r#"{{"userId": "u", "cart": {cart}}}"#);
        let request: PaymentRequest = match storefront_runtime::http::parse(body.as_bytes()) {
            Ok(request) => request,
            Err(problem) => return problem,
        };
        match request.check() {
            Err(errors) => fields(errors),
            Ok(request) => create(&price(&request, &catalog).unwrap_err().into(), inr),
        }
    }

    #[test]
    fn what_a_client_reads_of_a_cart_that_cannot_be_paid() {
        let carts = [
            "[]",
            r#"[{"id": "phone", "quantity": 0}, {"id": "a b", "quantity": 1}]"#,
            r#"[{"id": "phone", "quantity": 1.5}]"#,
            r#"[{"id": "phone", "quantity": 1, "total": 1}]"#,
            "[{",
            r#"[{"id": "tv", "quantity": 1}, {"id": "phone", "quantity": 1}]"#,
            r#"[{"id": "phone", "quantity": 1, "price": 1}]"#,
            r#"[{"id": "phone", "quantity": 1, "price": 1}, {"id": "case", "quantity": 1, "price": 1}]"#,
            r#"[{"id": "phone", "quantity": 1000}]"#,
        ];
        let table: Vec<_> =
            carts.iter().map(|cart| format!("{cart}\n{}", shown(&refusal(cart)))).collect();
        insta::assert_snapshot!(table.join("\n\n"));
    }

    #[test]
    fn what_a_client_reads_when_it_is_not_the_carts_fault() {
        let inr = "INR".parse().unwrap();
        let answered = |status, retry_after| {
            CreateError::Stripe(StripeError::Refused {
                status,
                code: "rate_limit".into(),
                param: String::new(),
                request_id: "req_1".into(),
                retry_after,
            })
        };
        let errors = [
            CreateError::OtherRequest,
            CreateError::Running,
            CreateError::Refused { reason: "amount_too_small".into() },
            CreateError::Refused { reason: "parameter_unknown".into() },
            CreateError::Stripe(StripeError::Timeout),
            CreateError::Stripe(StripeError::Connection("at 10.0.0.1:443".into())),
            answered(429, Some(Duration::from_secs(7))),
            answered(401, None),
            CreateError::Stripe(StripeError::Busy),
            CreateError::Store(StoreError::Unreadable { id: "1".into(), column: "cart" }),
            CreateError::Lost,
        ];
        let table: Vec<_> =
            errors.iter().map(|e| format!("{e}\n{}", shown(&create(e, inr)))).collect();
        insta::assert_snapshot!(table.join("\n\n"));
    }
}
