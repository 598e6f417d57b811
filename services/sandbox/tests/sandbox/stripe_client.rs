//! The typed client that payment uses reads what the sandbox writes.

use std::collections::HashMap;

use storefront_sandbox::{Action, Sandbox};
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_checkout::{
    CheckoutSessionMode, CheckoutSessionPaymentStatus, CheckoutSessionStatus,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems,
        CreateCheckoutSessionLineItemsPriceData, ExpireCheckoutSession, ListCheckoutSession,
        ListLineItemsCheckoutSession, ProductData, RetrieveCheckoutSession,
    },
};
use stripe_core::event::{ListEvent, RetrieveEvent};

fn client(sandbox: &Sandbox) -> Client {
    ClientBuilder::new(Sandbox::API_KEY).url(sandbox.stripe_url()).build().unwrap()
}

fn creation() -> CreateCheckoutSession {
    let product = ProductData::new("Nova 5G");
    let price = CreateCheckoutSessionLineItemsPriceData {
        currency: "inr".parse().unwrap(),
        product: None,
        product_data: Some(product),
        recurring: None,
        tax_behavior: None,
        unit_amount: Some(1_899_900),
        unit_amount_decimal: None,
    };
    let mut line = CreateCheckoutSessionLineItems::new();
    line.price_data = Some(price);
    line.quantity = Some(2);
    CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .success_url("http://shop.example/success?session_id={CHECKOUT_SESSION_ID}")
        .metadata(HashMap::from([("shop".to_owned(), "default/demo".to_owned())]))
        .line_items(vec![line])
}

#[tokio::test]
async fn a_session_is_made_read_listed_and_expired() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = client(&sandbox);
    let key = IdempotencyKey::new("k1").unwrap();
    let strategy = RequestStrategy::Idempotent(key);
    let made =
        creation().customize().request_strategy(strategy.clone()).send(&client).await.unwrap();
    assert_eq!(made.amount_total, Some(3_799_800));
    let again = creation().customize().request_strategy(strategy).send(&client).await.unwrap();
    assert_eq!(again.id, made.id);
    let read = RetrieveCheckoutSession::new(made.id.clone())
        .expand(vec!["line_items.data.price.product".into()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(read.status, Some(CheckoutSessionStatus::Open));
    assert_eq!(read.metadata.unwrap()["shop"], "default/demo");
    assert_eq!(read.line_items.unwrap().data[0].description.as_deref(), Some("Nova 5G"));
    let lines = ListLineItemsCheckoutSession::new(made.id.clone()).send(&client).await.unwrap();
    assert_eq!((lines.data[0].quantity, lines.data[0].amount_total), (Some(2), 3_799_800));
    assert_eq!(ListCheckoutSession::new().send(&client).await.unwrap().data.len(), 1);
    let expired = ExpireCheckoutSession::new(made.id).send(&client).await.unwrap();
    assert_eq!(expired.status, Some(CheckoutSessionStatus::Expired));
}

#[tokio::test]
async fn every_state_and_event_can_be_read() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = client(&sandbox);
    let stories: [&[Action]; 4] = [
        &[Action::Pay],
        &[Action::Decline, Action::Expire],
        &[Action::Delay, Action::Settle],
        &[Action::Delay, Action::Fail],
    ];
    for actions in stories {
        let made = creation().send(&client).await.unwrap();
        for action in actions {
            sandbox.act(made.id.as_str(), *action).await.unwrap();
            let read = RetrieveCheckoutSession::new(made.id.clone())
                .expand(vec!["payment_intent.latest_charge".into()])
                .send(&client)
                .await
                .unwrap();
            let paid = matches!(action, Action::Pay | Action::Settle);
            assert_eq!(read.payment_status == CheckoutSessionPaymentStatus::Paid, paid);
        }
    }
    let events = ListEvent::new().limit(100).send(&client).await.unwrap();
    assert_eq!(events.data.len(), 4 + 5 + 7 + 7);
    let first = RetrieveEvent::new(events.data[0].id.clone()).send(&client).await.unwrap();
    assert_eq!(first.type_, events.data[0].type_);
}

#[tokio::test]
async fn an_error_is_read_with_its_code() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let error = RetrieveCheckoutSession::new("cs_test_none").send(&client(&sandbox)).await;
    let Err(StripeError::Stripe(error, status)) = error else { panic!("{error:?}") };
    assert_eq!(status, 404);
    assert_eq!(error.message.as_deref(), Some("No such checkout.session: 'cs_test_none'"));
}
