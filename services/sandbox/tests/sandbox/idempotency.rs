//! Idempotency keys, as a shop that retries meets them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::Request;
use serde_json::json;
use storefront_sandbox::Sandbox;
use storefront_testkit::{Reply, eventually};

use crate::client::{CART, Client};

const SESSIONS: &str = "/v1/checkout/sessions";

async fn started() -> (Sandbox, Arc<Client>) {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Arc::new(Client::of(&sandbox));
    (sandbox, client)
}

fn message(reply: &Reply) -> String {
    let error = reply.json().unwrap()["error"].clone();
    format!("{} {} {}", reply.status, error["type"].as_str().unwrap(), error["message"])
}

#[tokio::test]
async fn the_first_answer_is_given_again() {
    let (sandbox, client) = started().await;
    let first = client.post(SESSIONS, CART, Some("k1")).await;
    assert_eq!(first.header("idempotency-key"), Some("k1"));
    assert_eq!(first.header("idempotent-replayed"), None);
    // The same parameters in another order are the same request.
    let mut shuffled = CART.to_vec();
    shuffled.reverse();
    let again = client.post(SESSIONS, &shuffled, Some("k1")).await;
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("original-request"), first.header("request-id"));
    assert_ne!(again.header("request-id"), first.header("request-id"));
    assert_eq!(sandbox.sessions().await.unwrap().len(), 1);
    let stored = &sandbox.sessions().await.unwrap()[0];
    assert_eq!(stored.idempotency_key.as_deref(), Some("k1"));
}

#[tokio::test]
async fn a_key_belongs_to_its_parameters_and_endpoint() {
    let (_sandbox, client) = started().await;
    let first = client.post(SESSIONS, CART, Some("k1")).await;
    let id = first.json().unwrap()["id"].as_str().unwrap().to_owned();
    let other = [CART, &[("metadata[x]", "1")]].concat();
    let reply = client.post(SESSIONS, &other, Some("k1")).await;
    assert_eq!(
        message(&reply),
        "400 idempotency_error \"Keys for idempotent requests can only be used with the same \
         parameters they were first used with. Try using a key other than 'k1' if you meant to \
         execute a different request.\""
    );
    let reply = client.post(&format!("{SESSIONS}/{id}/expire"), &[], Some("k1")).await;
    assert!(message(&reply).contains("for the same endpoint they were first used for ("));
}

#[tokio::test]
async fn a_key_in_flight_is_in_use() {
    let (sandbox, client) = started().await;
    client.faults(json!({"api_delay_ms": 1_000})).await.expect_status(200).unwrap();
    let post = || client.post(SESSIONS, CART, Some("k1"));
    let (first, second) = tokio::join!(post(), post());
    let (won, lost) = if first.status == 200 { (first, second) } else { (second, first) };
    assert_eq!(won.status, 200);
    assert!(message(&lost).starts_with("409 invalid_request_error \"There is currently"));
    assert_eq!(lost.json().unwrap()["error"]["code"], "idempotency_key_in_use");
    assert_eq!(lost.header("stripe-should-retry"), Some("true"));
    assert_eq!(sandbox.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn fifty_at_once_with_one_key_make_one_session() {
    let (sandbox, client) = started().await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                // As a client does that retries what it is told to.
                for _ in 0..1_000 {
                    let reply = client.post(SESSIONS, CART, Some("k1")).await;
                    if reply.status != 409 {
                        return reply;
                    }
                    tokio::task::yield_now().await;
                }
                panic!("in use for ever")
            })
        })
        .collect();
    let mut answers = BTreeMap::new();
    for task in tasks {
        let reply = task.await.unwrap().expect_status(200).unwrap();
        let replayed = reply.header("idempotent-replayed").is_some();
        *answers.entry((reply.text(), replayed)).or_insert(0) += 1;
    }
    let counts: Vec<i32> = answers.into_values().collect();
    assert_eq!(counts, [1, 49], "one body, one original, the others replays");
    assert_eq!(sandbox.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_stored_500_stays_and_an_unstored_one_goes() {
    let (sandbox, client) = started().await;
    let fault = |stored: bool, applied: bool| json!({"api": {"status": 500, "stored": stored, "applied": applied, "calls": ["create"]}});
    client.faults(fault(true, false)).await.expect_status(200).unwrap();
    let stored = client.post(SESSIONS, CART, Some("stored")).await;
    assert_eq!((stored.status, stored.header("stripe-should-retry")), (500, None));
    client.faults(fault(false, false)).await.expect_status(200).unwrap();
    assert_eq!(client.post(SESSIONS, CART, Some("not-stored")).await.status, 500);
    assert_eq!(sandbox.sessions().await.unwrap().len(), 0);
    client.faults(fault(true, true)).await.expect_status(200).unwrap();
    assert_eq!(client.post(SESSIONS, CART, Some("applied")).await.status, 500);
    assert_eq!(sandbox.sessions().await.unwrap().len(), 1, "done, though it says not");

    client.faults(json!({})).await.expect_status(200).unwrap();
    let again = client.post(SESSIONS, CART, Some("stored")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (500, Some("true")));
    assert_eq!(again.header("stripe-should-retry"), Some("false"), "it would not help");
    assert_eq!(again.body, stored.body);
    assert_eq!(client.post(SESSIONS, CART, Some("not-stored")).await.status, 200);
    assert_eq!(client.post(SESSIONS, CART, Some("applied")).await.status, 500);
    assert_eq!(sandbox.sessions().await.unwrap().len(), 2);
}

#[tokio::test]
async fn failed_validation_is_not_kept_and_failed_work_is() {
    let (_sandbox, client) = started().await;
    let bad = [CART, &[("isAdmin", "true")]].concat();
    assert_eq!(client.post(SESSIONS, &bad, Some("k1")).await.status, 400);
    assert_eq!(client.post(SESSIONS, CART, Some("k1")).await.status, 200);
    let expire = format!("{SESSIONS}/cs_test_none/expire");
    assert_eq!(client.post(&expire, &[], Some("k2")).await.status, 404);
    let again = client.post(&expire, &[], Some("k2")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (404, Some("true")));
    let long = "k".repeat(256);
    assert_eq!(client.post(SESSIONS, CART, Some(&long)).await.status, 400);
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_free_its_key() {
    let (sandbox, client) = started().await;
    client.faults(json!({"api_delay_ms": 300})).await.expect_status(200).unwrap();
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(CART).finish();
    let request = Request::post(format!("{}{SESSIONS}", client.base))
        .header("authorization", "Bearer sk_test_1")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("idempotency-key", "k1")
        .body(body.into_bytes().into())
        .unwrap();
    let cut = tokio::time::timeout(Duration::from_millis(100), client.http.send(request)).await;
    assert!(cut.is_err(), "the client was to give up first");
    eventually(Duration::from_secs(5), "the session is there", async || {
        sandbox.sessions().await.unwrap().len() == 1
    })
    .await;
    eventually(Duration::from_secs(5), "its answer is replayed", async || {
        let reply = client.post(SESSIONS, CART, Some("k1")).await;
        reply.status == 200 && reply.header("idempotent-replayed").is_some()
    })
    .await;
    assert_eq!(sandbox.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn expiring_is_idempotent_too() {
    let (_sandbox, client) = started().await;
    let id = client.session().await;
    let expire = format!("{SESSIONS}/{id}/expire");
    let first = client.post(&expire, &[], Some("k1")).await.expect_status(200).unwrap();
    assert_eq!(first.json().unwrap()["status"], "expired");
    assert_eq!(client.post(&expire, &[], Some("k1")).await.body, first.body);
    let refused = client.post(&expire, &[], Some("k2")).await;
    assert!(message(&refused).contains("status of `expired`"));
    let event = client.get_json("/v1/events?limit=1").await["data"][0].clone();
    assert_eq!(event["request"]["idempotency_key"], "k1");
    assert_eq!(event["request"]["id"].as_str(), first.header("request-id"));
}
