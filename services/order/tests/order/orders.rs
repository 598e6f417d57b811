//! One order a session, however its payment arrives, on both databases; and how an order is shown.

use std::sync::Arc;

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};
use storefront_contract::{OrderSuccessful, PaymentSuccessful};
use storefront_order::{MailClient, PlaceOrders, router};
use storefront_runtime::{Database, Failure, Received};
use storefront_testkit::{Http, on_both};
use tokio::net::TcpListener;

use crate::support::{Store, payment, received};

on_both!(
    crate::support::Store::open;
    a_batch_makes_one_order_and_one_event_for_each_payment,
    a_session_that_comes_again_under_another_event_id_changes_nothing,
    two_instances_with_the_same_session_place_one_order,
    an_order_id_of_another_session_is_refused,
    an_order_is_shown_with_what_email_knows,
    what_is_no_order_is_not_found,
);

/// Places a batch in a transaction of its own; the new orders.
async fn place(
    database: &Database,
    events: &[Received<PaymentSuccessful>],
) -> Result<Vec<OrderSuccessful>, Failure> {
    let mut tx = database.begin().await?;
    let placed = PlaceOrders::default().place(events, &mut tx).await?;
    let placed = placed.into_iter().map(|(order, _)| order).collect();
    tx.commit().await?;
    Ok(placed)
}

async fn count(database: &Database) -> i64 {
    let rows = database.query("SELECT COUNT(*) AS orders FROM orders", &[]).await.unwrap();
    rows[0].int("orders").unwrap()
}

async fn a_batch_makes_one_order_and_one_event_for_each_payment(store: Store) {
    let events: Vec<_> =
        (0..150).map(|n| received(payment(&format!("cs_{n}")), &format!("e{n}"))).collect();
    let placed = place(&store.database, &events).await.unwrap();
    let expected: Vec<_> = events.iter().map(|received| &received.event.session_id).collect();
    assert_eq!(placed.iter().map(|order| &order.session_id).collect::<Vec<_>>(), expected);
    let (order, paid) = (&placed[7], payment("cs_7"));
    assert_eq!((order.order_id, &order.user_id), (paid.order_id, &paid.user_id));
    assert_eq!(
        (&order.cart, order.amount, order.currency),
        (&paid.cart, paid.amount, paid.currency)
    );
    assert_eq!(count(&store.database).await, 150);
}

async fn a_session_that_comes_again_under_another_event_id_changes_nothing(store: Store) {
    let database = &store.database;
    let twice = [received(payment("cs_1"), "e1"), received(payment("cs_1"), "e2")];
    assert_eq!(place(database, &twice).await.unwrap().len(), 1);
    assert_eq!(place(database, &twice[1..]).await.unwrap(), []);
    // Among new ones it is found out too.
    let mixed = [
        received(payment("cs_2"), "e3"),
        received(payment("cs_1"), "e4"),
        received(payment("cs_3"), "e5"),
    ];
    let placed = place(database, &mixed).await.unwrap();
    assert_eq!(placed.iter().map(|order| &*order.session_id).collect::<Vec<_>>(), ["cs_2", "cs_3"]);
    assert_eq!(count(database).await, 3);
}

async fn two_instances_with_the_same_session_place_one_order(store: Store) {
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let database = store.database.clone();
            tokio::spawn(async move {
                place(&database, &[received(payment("cs_1"), &format!("e{n}"))]).await.unwrap()
            })
        })
        .collect();
    let mut placed = Vec::new();
    for task in tasks {
        placed.extend(task.await.unwrap());
    }
    assert_eq!((placed.len(), count(&store.database).await), (1, 1));
}

async fn an_order_id_of_another_session_is_refused(store: Store) {
    let mut second = payment("cs_2");
    second.order_id = payment("cs_1").order_id;
    let batch = [received(payment("cs_1"), "e1"), received(second.clone(), "e2")];
    for events in [&batch[..], &batch[..1], &batch[1..]] {
        let refused = place(&store.database, events).await;
        match refused {
            Ok(placed) => assert_eq!((events.len(), placed.len()), (1, 1)),
            Err(Failure::Permanent { reason, .. }) => assert_eq!(reason, "order-id-taken"),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(count(&store.database).await, 1, "only the first session's");
}

/// Serves a router on a port of its own; its URL.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// What the order service shows of the mail when email answers with `body`.
async fn shown(database: &Database, email_url: Option<&str>, session_id: &str) -> Value {
    let mails = MailClient::new(email_url.map(|url| url.parse().unwrap()), 300).unwrap();
    let url = serve(router(database.clone(), Arc::new(mails))).await;
    let url = format!("{url}/orders/{}", payment(session_id).order_id);
    Http::default().get(url).await.unwrap().expect_status(200).unwrap().json().unwrap()
}

async fn an_order_is_shown_with_what_email_knows(store: Store) {
    let database = &store.database;
    place(database, &[received(payment("cs_1"), "e1")]).await.unwrap();
    let answer = |body: Value| async move {
        let answers = async move |Path(_): Path<String>| Json(body.clone());
        serve(Router::new().route("/mails/{id}", get(answers))).await
    };
    let sent = answer(json!({"mails": [
        {"template": "order-confirmation", "state": "queued", "messageId": "c@example.com"},
        {"template": "payment-receipt", "state": "sent", "messageId": "r@example.com", "more": 1},
    ]}))
    .await;
    let mut order = shown(database, Some(&sent), "cs_1").await;
    assert!(order["createdAt"].as_str().unwrap().ends_with('Z'));
    order["createdAt"] = "(now)".into();
    insta::allow_duplicates! { insta::assert_json_snapshot!(order); }

    let none = answer(json!({"mails": []})).await;
    assert_eq!(shown(database, Some(&none), "cs_1").await["mail"], json!({"state": "none"}));
    let foreign = answer(json!({"mails": [{"template": "x", "state": "<b>"}]})).await;
    assert_eq!(shown(database, Some(&foreign), "cs_1").await["mail"], json!({"state": "unknown"}));
    // Not configured, not there, not email, too large, silent: the order is shown all the same.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let large = answer(json!({"mails": [], "more": "x".repeat(100_000)})).await;
    let other = serve(Router::new()).await;
    for email in [None, Some("http://127.0.0.1:9/"), Some(&*other), Some(&*large), Some(&*silent)] {
        let mail = shown(database, email, "cs_1").await["mail"].clone();
        assert_eq!(mail, json!({"state": "unknown"}), "{email:?}");
    }
}

async fn what_is_no_order_is_not_found(store: Store) {
    place(&store.database, &[received(payment("cs_1"), "e1")]).await.unwrap();
    let mails = Arc::new(MailClient::new(None, 300).unwrap());
    let url = serve(router(store.database.clone(), mails)).await;
    let existing = payment("cs_1").order_id;
    let http = Http::default();
    for id in [
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "1".into(),
        existing.simple().to_string(),
        format!("{{{existing}}}"),
        format!("urn:uuid:{existing}"),
        "%27%20OR%201%3D1--".into(),
        "a".repeat(5_000),
    ] {
        let reply = http.get(format!("{url}/orders/{id}")).await.unwrap();
        let reply = reply.expect_status(404).unwrap();
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(reply.json().unwrap()["title"], "Order not found", "{id}");
    }
    let capitals = format!("{url}/orders/{}", existing.to_string().to_uppercase());
    http.get(capitals).await.unwrap().expect_status(200).unwrap();
}

#[test]
fn a_url_that_cannot_be_asked_is_told_at_the_start() {
    let url = "https://email.example".parse().unwrap();
    let error = MailClient::new(Some(url), 300).err().unwrap();
    assert!(error.to_string().starts_with("EMAIL_URL must begin with http://"), "{error}");
}
