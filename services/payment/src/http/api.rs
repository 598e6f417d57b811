//! What payment's doors take and answer, for the OpenAPI document. The problems are those that the doors
//! answer with, made by the same functions.

use http::StatusCode;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use storefront_contract::{Currency, Topic, cart::CartError, examples, examples::SESSION_ID};
use storefront_runtime::{Problem, openapi::Operation};

use super::{create, problems, verify, webhook};
use crate::{
    catalog,
    create::{Checkout, CreateError},
    fulfil::FulfilError,
    pricing::{PriceChange, PricingError},
    request::{FieldProblem, PaymentRequest},
    session_id::SESSION_ID_MAX_LENGTH,
    signature::SignatureError,
    stripe::StripeError,
};

/// Where the example's shopper pays.
const CHECKOUT_URL: &str = "https://checkout.stripe.com/c/pay/cs_test_a1B2c3D4e5F6g7H8";

/// Members of the 409 about prices.
fn price_changed(schemas: &mut SchemaGenerator) -> Schema {
    let changes = schemas.subschema_for::<Vec<PriceChange>>();
    json_schema!({"properties": {
        "product": {"type": "string", "description": "The first product of `changes`"},
        "price": {"type": "integer", "description": "Its price now, in minor units"},
        "currency": schemas.subschema_for::<Currency>(),
        "changes": changes,
    }})
}

/// Members of the 422.
fn unprocessable(schemas: &mut SchemaGenerator) -> Schema {
    json_schema!({"properties": {
        "errors": schemas.subschema_for::<Vec<FieldProblem>>(),
        "product": {"type": "string", "description": "The first of `products`"},
        "products": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What the shop does not sell",
        },
    }})
}

pub(super) fn catalog() -> Operation {
    Operation::get(
        "/catalog",
        "listProducts",
        "List what the shop sells, with prices in minor units",
    )
    .answers::<catalog::Answer<'_>>(
        200,
        "The products, in the order of the catalog",
        json!({
            "currency": "INR",
            "products": [{"id": "phone", "name": "Nova 5G phone, 128 GB", "price": 1_899_900}],
        }),
    )
}

pub(super) fn create() -> Operation {
    Operation::post("/payment", "createPayment", "Begin a payment")
        .description(
            "Prices the cart from the catalog, stores it, and makes a Checkout session that the shopper \
             pays at `url`. A `price` in the cart is what the shopper saw: when it is not the \
             catalog's, the answer is a 409 that names the product and its price now. Send the same \
             `Idempotency-Key` with a repeated request: for 24 hours it gets the same session. A \
             browser without scripts may send a form, `application/x-www-form-urlencoded`, with \
             `quantity.ID` and `price.ID` for each product, and `email`: it is answered with 303 to \
             the payment, or back to the cart at `/?notice=REASON`.",
        )
        .parameter(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "One for each cart, such as a UUID",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": create::KEY_MAX_LENGTH,
                "pattern": r"^[!-~]([\t -~]*[!-~])?$",
            },
            "example": "6c84fb90-12c4-11e1-840d-7b25c5ee775a",
        }))
        .takes::<PaymentRequest>(json!({
            "userId": examples::USER_ID,
            "email": examples::EMAIL,
            "cart": [{"id": "phone", "quantity": 1, "price": 1_899_900}, {"id": "chai", "quantity": 2}],
        }))
        .answers::<Checkout>(200, "The session", json!({"id": SESSION_ID, "url": CHECKOUT_URL}))
        .links(200, json!({
            "verify": {
                "operationId": "verifyPayment",
                "parameters": {"session_id": "$response.body#/id"},
                "description": "How the payment stands",
            },
        }))
        .answers_nothing(
            303,
            "A form was sent: `Location` leads to the payment, or back to the cart with a notice",
        )
        .members(409, price_changed)
        .members(422, unprocessable)
        .problems([
            create::invalid_key(),
            Problem::of(StatusCode::BAD_REQUEST)
                .detail("the body is not JSON: expected value at line 1 column 1"),
            Problem::of(StatusCode::PAYLOAD_TOO_LARGE).detail("the request's body is too large; send a smaller one"),
            Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .detail("the body must be sent with Content-Type: application/json"),
        ])
        .problems(cart_problems())
        .problems(provider_problems())
}

/// What can be wrong with a cart that was read.
fn cart_problems() -> Vec<Problem> {
    let wrong = FieldProblem {
        pointer: "/cart/0/quantity".into(),
        detail: "must be 1 to 1000 pieces of a product in all".into(),
    };
    let mut problems = vec![problems::fields(vec![wrong])];
    if let Ok(inr) = "INR".parse() {
        let change = PriceChange { product: "phone".into(), price: 1_899_900 };
        let errors = [
            CreateError::Pricing(PricingError::PricesChanged(vec![change])),
            CreateError::Running,
            CreateError::OtherRequest,
            CreateError::Pricing(PricingError::UnknownProducts(vec!["tv".into()])),
            CreateError::Pricing(PricingError::Overflow),
            CreateError::Pricing(PricingError::Metadata(CartError::TooBig)),
            CreateError::Refused { reason: "parameter_unknown".into() },
        ];
        problems.extend(errors.iter().map(|error| problems::create(error, inr)));
    }
    let shape =
        "unknown field `amount`, expected one of `userId`, `email`, `cart` at line 1 column 9";
    problems.push(Problem::of(StatusCode::UNPROCESSABLE_ENTITY).detail(shape));
    problems
}

/// When neither the shopper nor the shop is at fault.
pub(super) fn provider_problems() -> [Problem; 4] {
    [
        problems::provider(&StripeError::Busy).retry_after_s(2),
        problems::storage_unavailable(),
        problems::provider(&StripeError::Timeout).retry_after_s(2),
        Problem::of(StatusCode::INTERNAL_SERVER_ERROR),
    ]
}

pub(super) fn verify() -> Operation {
    let mut paid = json!({"status": "paid"});
    for name in ["orderId", "userId", "cart", "amount", "currency"] {
        paid[name] = examples::value(Topic::PaymentSuccessful)[name].take();
    }
    Operation::get("/payment/verify", "verifyPayment", "Tell how a payment stands")
        .description(
            "What the success page asks, as often as it likes: Stripe is asked until the payment has \
             ended. The session's id is the key to it: unguessable, and only the shopper's browser \
             has it. `processing` is said of delayed methods, and of payments that somebody looks at.",
        )
        .parameter(json!({
            "name": "session_id",
            "in": "query",
            "required": true,
            "schema": {"type": "string", "maxLength": SESSION_ID_MAX_LENGTH},
            "example": SESSION_ID,
        }))
        .answers::<verify::Answer<'_>>(200, "The payment", paid)
        .links(200, json!({
            "order": {
                "operationId": "getOrder",
                "parameters": {"orderId": "$response.body#/orderId"},
                "description": "The order, as soon as it is stored",
            },
        }))
        .problems([verify::no_id(), verify::not_ours(), problems::fulfil(&FulfilError::Busy)])
        .problems(provider_problems())
}

pub(super) fn webhook() -> Operation {
    let example: Value = json!({
        "id": "evt_1", "object": "event", "type": "checkout.session.completed",
        "data": {"object": {"id": SESSION_ID, "object": "checkout.session"}},
    });
    Operation::post("/payment/webhook", "takeEvent", "Take an event of Stripe's")
        .description(
            "For Stripe only: the body is checked, byte for byte, against its signature. Any event type \
             is answered 200; those of Checkout sessions are acted on, once. What is not answered 200 \
             Stripe sends again, for three days.",
        )
        .parameter(json!({
            "name": "Stripe-Signature",
            "in": "header",
            "required": true,
            "description": "`t=` and at least one `v1=` <https://docs.stripe.com/webhooks#verify-manually>",
            "schema": {"type": "string"},
            "example": "t=1767323045,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
        }))
        .takes_other(json!({
            "required": true,
            "content": {"application/json": {
                "schema": {
                    "type": "object",
                    "required": ["id", "type"],
                    "properties": {"id": {"type": "string"}, "type": {"type": "string"}},
                },
                "example": example,
            }},
        }))
        .answers_nothing(200, "What the event means is stored, or there is nothing to do")
        .problems([
            webhook::invalid_signature(SignatureError::Mismatch),
            webhook::no_event(),
            Problem::of(StatusCode::PAYLOAD_TOO_LARGE).detail("the request's body is too large; send a smaller one"),
        ])
        .problems(provider_problems())
}
