//! `POST /payment` as a browser without scripts sends it: a form with `quantity.ID` and `price.ID` for
//! each product, and `email`. What a shopper can put right leads back to the cart with a notice; what
//! only the author of the form can is a problem, as in JSON.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use storefront_contract::{
    Notice,
    notice::{CHANGED, NOTICE, PRICE_PREFIX, QUANTITY_PREFIX},
};
use storefront_runtime::Problem;
use url::form_urlencoded;
use uuid::Uuid;

use crate::{
    create::{Checkout, CreateError},
    pricing::PricingError,
    request::{FieldProblem, PaymentRequest, RequestedLine},
};

/// Longest query with which a form is sent back with its quantities. A longer one comes back empty.
const QUERY_MAX_BYTES: usize = 4_000;

/// A form that was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    pub request: PaymentRequest,
    /// Pieces by product, for the way back.
    quantities: Vec<(String, u32)>,
}

/// Whether a request's body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl Form {
    /// Reads the fields. A quantity that is left empty is none.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        let (mut user_id, mut email) = (None, None);
        let (mut quantities, mut prices) = (Vec::new(), BTreeMap::new());
        for (name, value) in form_urlencoded::parse(body) {
            let value = value.trim();
            if let Some(id) = name.strip_prefix(QUANTITY_PREFIX) {
                let quantity = if value.is_empty() { 0 } else { number(&name, value)? };
                if quantity > 0 {
                    quantities.push((id.to_owned(), quantity));
                }
            } else if let Some(id) = name.strip_prefix(PRICE_PREFIX) {
                prices.insert(id.to_owned(), number(&name, value)?);
            } else {
                match &*name {
                    "userId" => user_id = Some(value.to_owned()),
                    "email" => email = Some(value.to_owned()).filter(|email| !email.is_empty()),
                    _ => return Err(unknown(&name)),
                }
            }
        }
        let line = |(id, quantity): &(String, u32)| RequestedLine {
            id: id.clone(),
            quantity: *quantity,
            price: prices.get(id).copied(),
        };
        let cart = quantities.iter().map(line).collect();
        // Nobody can be known without a script: each such payment is of a guest of its own.
        let user_id = user_id.unwrap_or_else(|| format!("guest-{}", Uuid::new_v4().simple()));
        Ok(Self { request: PaymentRequest { user_id, email, cart }, quantities })
    }

    /// The way to the payment.
    pub fn accepted(checkout: &Checkout) -> Response {
        see_other(&checkout.url)
    }

    /// The way back when fields are wrong.
    pub fn wrong(quantities: &[(String, u32)], errors: &[FieldProblem]) -> Option<Response> {
        let notice = match errors.first()?.pointer.as_str() {
            "/cart" if quantities.is_empty() => Notice::EmptyCart,
            "/cart" => Notice::Amount,
            "/email" => Notice::Email,
            pointer if pointer.ends_with("/quantity") => Notice::Quantity,
            _ => return None,
        };
        Some(back(notice, quantities, &[]))
    }

    /// The way back when there is no session.
    pub fn refused(quantities: &[(String, u32)], error: &CreateError) -> Response {
        match error {
            CreateError::Pricing(PricingError::PricesChanged(changes)) => {
                let changed: Vec<_> = changes.iter().map(|change| &*change.product).collect();
                back(Notice::PriceChanged, quantities, &changed)
            }
            CreateError::Pricing(PricingError::UnknownProducts(_)) => {
                back(Notice::UnknownProduct, quantities, &[])
            }
            CreateError::Pricing(_) => back(Notice::Amount, quantities, &[]),
            CreateError::Refused { reason } if reason == "email_invalid" => {
                back(Notice::Email, quantities, &[])
            }
            CreateError::Refused { reason }
                if ["amount_too_small", "amount_too_large"].contains(&reason.as_str()) =>
            {
                back(Notice::Amount, quantities, &[])
            }
            _ => back(Notice::Unavailable, quantities, &[]),
        }
    }

    pub fn into_parts(self) -> (PaymentRequest, Vec<(String, u32)>) {
        (self.request, self.quantities)
    }
}

/// 303 to the cart, which says what happened and has the quantities as they were.
fn back(notice: Notice, quantities: &[(String, u32)], changed: &[&str]) -> Response {
    let query = |quantities: &[(String, u32)]| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(NOTICE, notice.name());
        query.extend_pairs(changed.iter().map(|id| (CHANGED, id)));
        query.extend_pairs(
            quantities
                .iter()
                .map(|(id, quantity)| (format!("{QUANTITY_PREFIX}{id}"), quantity.to_string())),
        );
        query.finish()
    };
    let full = query(quantities);
    let query = if full.len() > QUERY_MAX_BYTES { query(&[]) } else { full };
    see_other(&format!("/?{query}"))
}

fn see_other(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            let headers = [
                (header::LOCATION, location),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        // Stripe's URLs are ASCII; nothing else can lead anywhere.
        Err(_) => Problem::of(StatusCode::BAD_GATEWAY).into_response(),
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request")
            .detail(format!("the field {} must be a whole number", clipped(name).escape_debug()))
    })
}

/// As much of a name as is repeated to whoever sent it.
fn clipped(name: &str) -> String {
    name.chars().take(80).collect()
}

fn unknown(name: &str) -> Problem {
    let name = clipped(name);
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid request").detail(format!(
        "the form has the field {name:?}; there are quantity.ID, price.ID, email and userId"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pricing::PriceChange;

    fn read(body: &str) -> Form {
        Form::read(body.as_bytes()).unwrap()
    }

    fn location(response: &Response) -> (u16, &str) {
        (response.status().as_u16(), response.headers()["location"].to_str().unwrap())
    }

    #[test]
    fn a_form_is_a_request_with_the_prices_that_were_seen() {
        let form = read(
            "price.phone=1899900&quantity.phone=2&quantity.chai=&quantity.diya=0\
             &price.chai=34900&email=+ada%40example.com&userId=ada",
        );
        let line = RequestedLine { id: "phone".into(), quantity: 2, price: Some(1_899_900) };
        let (user_id, email) = ("ada".into(), Some("ada@example.com".into()));
        assert_eq!(form.request, PaymentRequest { user_id, email, cart: vec![line] });
    }

    #[test]
    fn each_form_without_a_user_is_a_guests() {
        let (one, two) = (read("quantity.phone=1&email=").request, read("").request);
        assert!(one.user_id.starts_with("guest-") && one.user_id != two.user_id);
        assert_eq!(one.email, None);
    }

    #[test]
    fn what_only_the_forms_author_can_mend_is_a_problem() {
        let detail = |body: &str| {
            let problem = Form::read(body.as_bytes()).unwrap_err().to_json();
            problem["detail"].as_str().unwrap().to_owned()
        };
        assert_eq!(detail("quantity.phone=two"), "the field quantity.phone must be a whole number");
        assert_eq!(detail("price.phone=1.5"), "the field price.phone must be a whole number");
        assert_eq!(
            detail("amount=1"),
            r#"the form has the field "amount"; there are quantity.ID, price.ID, email and userId"#
        );
    }

    #[test]
    fn what_a_shopper_can_mend_leads_back_to_the_cart() {
        let cart = [("phone".to_owned(), 2), ("a b".to_owned(), 1)];
        let wrong = |pointer: &str| FieldProblem { pointer: pointer.into(), detail: String::new() };
        let back = Form::wrong(&cart, &[wrong("/email")]).unwrap();
        assert_eq!(location(&back), (303, "/?notice=email&quantity.phone=2&quantity.a+b=1"));
        let back = Form::wrong(&[], &[wrong("/cart")]).unwrap();
        assert_eq!(location(&back), (303, "/?notice=empty-cart"));
        assert!(Form::wrong(&cart, &[wrong("/userId")]).is_none());
        let changes = vec![PriceChange { product: "phone".into(), price: 1 }];
        let changed = CreateError::Pricing(PricingError::PricesChanged(changes));
        let back = Form::refused(&cart[..1], &changed);
        assert_eq!(location(&back), (303, "/?notice=price-changed&changed=phone&quantity.phone=2"));
        let back = Form::refused(&cart[..1], &CreateError::Lost);
        assert_eq!(location(&back), (303, "/?notice=unavailable&quantity.phone=2"));
        let many: Vec<_> = (0..200).map(|n| (format!("{n}{}", "x".repeat(60)), 1)).collect();
        let back = Form::refused(&many, &CreateError::Lost);
        assert_eq!(location(&back), (303, "/?notice=unavailable"));
    }
}
