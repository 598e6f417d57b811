//! Stripe's API: objects, lists, errors, headers.

use http::Request;
use serde_json::{Value, json};
use storefront_sandbox::{Action, Sandbox};

use crate::client::{CART, Client, ids, redacted};

/// Snapshots whose ids and times are replaced by words.
fn check(name: &str, value: &Value) {
    let mut settings = insta::Settings::clone_current();
    settings.set_sort_maps(true);
    settings.bind(|| insta::assert_json_snapshot!(name, redacted(value)));
}

#[tokio::test]
async fn objects_are_those_of_stripe() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let id = client.session().await;
    let path = format!("/v1/checkout/sessions/{id}");
    check("session_open", &client.get_json(&path).await);
    let pay = client.act(&id, "pay").await.expect_status(200).unwrap().json().unwrap();
    check("control_paid", &pay);
    let whole = "?expand[]=line_items.data.price.product&expand[]=payment_intent.latest_charge";
    let paid = client.get_json(&format!("{path}{whole}")).await;
    check("session_paid_expanded", &paid);
    let events = client.get_json("/v1/events?limit=1").await;
    check("event_completed", &events["data"][0]);
    let intent = paid["payment_intent"]["id"].as_str().unwrap();
    let read = client.get_json(&format!("/v1/payment_intents/{intent}")).await;
    assert_eq!(
        (&read["status"], &read["amount_received"]),
        (&json!("succeeded"), &json!(3_849_700))
    );
}

#[tokio::test]
async fn a_delayed_payment_is_complete_before_it_is_paid() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let (settled, failed) = (client.session().await, client.session().await);
    for (id, end, status) in [(&settled, "settle", "paid"), (&failed, "fail", "unpaid")] {
        client.act(id, "delay").await.expect_status(200).unwrap();
        let path = format!("/v1/checkout/sessions/{id}?expand[]=payment_intent");
        let delayed = client.get_json(&path).await;
        assert_eq!(delayed["status"], "complete");
        assert_eq!(delayed["payment_status"], "unpaid");
        assert_eq!(delayed["payment_intent"]["status"], "processing");
        client.act(id, end).await.expect_status(200).unwrap();
        assert_eq!(client.get_json(&path).await["payment_status"], status);
    }
    let types: Vec<Value> = client.get_json("/v1/events?type=checkout.session.*").await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(
        types,
        [
            "checkout.session.async_payment_failed",
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
            "checkout.session.completed"
        ]
    );
}

#[tokio::test]
async fn sessions_are_listed_newest_first() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(client.session().await);
    }
    client.act(&made[1], "pay").await.expect_status(200).unwrap();
    client.act(&made[3], "expire").await.expect_status(200).unwrap();
    made.reverse();
    let list = async |query: &str| {
        let page = client.get_json(&format!("/v1/checkout/sessions?{query}")).await;
        (ids(&page), page["has_more"].as_bool().unwrap())
    };
    assert_eq!(list("").await, (made.clone(), false));
    assert_eq!(list("limit=2").await, (made[..2].to_vec(), true));
    assert_eq!(
        list(&format!("limit=2&starting_after={}", made[1])).await,
        (made[2..4].to_vec(), true)
    );
    assert_eq!(list(&format!("starting_after={}", made[3])).await, (made[4..].to_vec(), false));
    assert_eq!(
        list(&format!("limit=2&ending_before={}", made[3])).await,
        (made[1..3].to_vec(), true)
    );
    assert_eq!(list("status=complete").await, (vec![made[3].clone()], false));
    assert_eq!(list("status=expired").await, (vec![made[1].clone()], false));
    let created = client.get_json(&format!("/v1/checkout/sessions/{}", made[0])).await;
    let created = created["created"].as_i64().unwrap();
    assert_eq!(list(&format!("created[gte]={}", created - 60)).await.0.len(), 5);
    assert_eq!(list(&format!("created[lt]={}", created + 60)).await.0.len(), 5);
    assert_eq!(list(&format!("created[gt]={}", created + 60)).await.0.len(), 0);
    let intent =
        client.get_json("/v1/checkout/sessions?status=complete").await["data"][0]["payment_intent"]
            .as_str()
            .unwrap()
            .to_owned();
    assert_eq!(list(&format!("payment_intent={intent}")).await.0, vec![made[3].clone()]);
}

#[tokio::test]
async fn events_are_followed_by_a_cursor() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let first = client.session().await;
    sandbox.pay(&first).await.unwrap();
    let seen = ids(&client.get_json("/v1/events").await);
    assert_eq!(seen.len(), 4);
    let second = client.session().await;
    sandbox.act(&second, Action::Expire).await.unwrap();
    sandbox.pay(&client.session().await).await.unwrap();
    let fresh = client.get_json(&format!("/v1/events?ending_before={}&limit=3", seen[0])).await;
    assert_eq!(ids(&fresh).len(), 3);
    assert_eq!(fresh["has_more"], true);
    assert_eq!(fresh["data"][2]["type"], "checkout.session.expired");
    let types = "types[]=checkout.session.completed&types[]=checkout.session.expired";
    let chosen = client.get_json(&format!("/v1/events?{types}")).await;
    assert_eq!(ids(&chosen).len(), 3);
    assert_eq!(ids(&client.get_json("/v1/events?type=customer.created").await).len(), 0);
    let one = client.get_json(&format!("/v1/events/{}", seen[0])).await;
    assert_eq!(one["data"]["object"]["id"], json!(first));
}

#[tokio::test]
async fn long_sessions_show_ten_lines_and_list_the_rest() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let mut params: Vec<(String, String)> =
        CART.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for line in 2..25 {
        for (field, value) in
            [("[currency]", "inr"), ("[unit_amount]", "100"), ("[product_data][name]", "Extra")]
        {
            params.push((format!("line_items[{line}][price_data]{field}"), value.to_owned()));
        }
        params.push((format!("line_items[{line}][quantity]"), "1".to_owned()));
    }
    let params: Vec<(&str, &str)> =
        params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let made = client.post("/v1/checkout/sessions?expand[]=line_items", &params, None).await;
    let made = made.expect_status(200).unwrap().json().unwrap();
    assert_eq!(made["line_items"]["data"].as_array().unwrap().len(), 10);
    assert_eq!(made["line_items"]["has_more"], true);
    let url = made["line_items"]["url"].as_str().unwrap();
    let mut names = Vec::new();
    let mut after = String::new();
    for _ in 0..3 {
        let page = client.get_json(&format!("{url}?limit=10{after}")).await;
        after = format!("&starting_after={}", ids(&page).last().unwrap());
        names.extend(ids(&page));
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(names.len(), 25);
}

#[tokio::test]
async fn errors_are_stripes_own() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let id = client.session().await;
    client.act(&id, "pay").await.expect_status(200).unwrap();
    let sessions = "/v1/checkout/sessions";
    let expire = format!("{sessions}/{id}/expire");
    let replies = [
        client.get(&format!("{sessions}/cs_test_none")).await,
        client.get("/v1/events/evt_none").await,
        client.get("/v1/payment_intents/pi_none").await,
        client.get("/v1/customers").await,
        client.get(&format!("{sessions}?limit=1000")).await,
        client.get(&format!("{sessions}?starting_after=cs_test_none")).await,
        client.get(&format!("{sessions}?status=paid")).await,
        client.post(&expire, &[], None).await,
        client.post(sessions, &[("mode", "payment"), ("mode[x]", "y")], None).await,
    ];
    let mut told = String::new();
    for reply in replies {
        let error = reply.json().unwrap()["error"].clone();
        told += &format!("{} {:#}\n", reply.status, error).replace(&id, "[id]");
        assert_eq!(reply.header("stripe-should-retry"), Some("false"));
        assert!(reply.header("request-id").unwrap().starts_with("req_"));
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn keys_are_checked_before_anything_else() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let url = format!("{}/v1/customers", client.base);
    let with = async |name: &str, value: &str| {
        let request = Request::get(&url).header(name, value).body(Vec::new().into()).unwrap();
        let reply = client.http.send(request).await.unwrap();
        assert_eq!(reply.status == 401, reply.header("www-authenticate").is_some());
        (reply.status, reply.json().unwrap()["error"]["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(with("x-none", "1").await.0, 401);
    assert_eq!(with("authorization", "Bearer sk_test_1").await.0, 404);
    let (status, message) = with("authorization", "Bearer sk_live_1").await;
    assert_eq!(status, 401);
    assert!(message.contains("refuses live keys"), "{message}");
    // A live key is as wrong in a parameter.
    let query = client.get("/v1/events?type=rk_live_1").await;
    assert_eq!(query.status, 401);
    let body = client.post("/v1/checkout/sessions", &[("client_reference_id", "sk_live_1")], None);
    assert_eq!(body.await.status, 401);
}

#[tokio::test]
async fn bodies_are_bounded_and_of_one_type() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let post = async |kind: &str, body: Vec<u8>| {
        let request = Request::post(format!("{}/v1/checkout/sessions", client.base))
            .header("authorization", "Bearer sk_test_1")
            .header("content-type", kind)
            .body(body.into())
            .unwrap();
        client.http.send(request).await.unwrap().status
    };
    assert_eq!(post("application/json", b"{\"mode\":\"payment\"}".to_vec()).await, 400);
    assert_eq!(post("application/x-www-form-urlencoded", vec![b'a'; 1_100_000]).await, 413);
    assert_eq!(post("application/x-www-form-urlencoded", b"a=%ff".to_vec()).await, 400);
}

#[tokio::test]
async fn the_version_asked_for_is_echoed() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let reply = client.get("/v1/events").await;
    assert_eq!(reply.header("stripe-version"), Some(storefront_sandbox::API_VERSION));
    let request = Request::get(format!("{}/v1/events", client.base))
        .header("authorization", "Basic c2tfdGVzdF8xOg==")
        .header("stripe-version", "2025-01-27.acacia");
    let reply = client.http.send(request.body(Vec::new().into()).unwrap()).await.unwrap();
    assert_eq!((reply.status, reply.header("stripe-version")), (200, Some("2025-01-27.acacia")));
}
