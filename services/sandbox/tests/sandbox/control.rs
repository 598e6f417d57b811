//! The control API: what tests steer by and compare with.

use serde_json::json;
use storefront_sandbox::Sandbox;

use crate::client::Client;

#[tokio::test]
async fn the_ledger_lists_every_session() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(client.session().await);
    }
    client.act(&made[0], "pay").await.expect_status(200).unwrap();
    let all = client.get_json("/control/sessions").await;
    assert_eq!(
        all["counts"],
        json!({"open": 2, "processing": 0, "paid": 1, "failed": 0, "expired": 0})
    );
    assert_eq!((all["sessions"].as_array().unwrap().len(), &all["hasMore"]), (3, &json!(false)));
    let paid = client.get_json("/control/sessions?state=paid&limit=10000").await;
    assert_eq!(paid["sessions"][0]["id"], json!(made[0]));
    assert_eq!(paid["sessions"][0]["amountTotal"], 3_849_700);
    let page = client.get_json(&format!("/control/sessions?limit=1&after={}", made[2])).await;
    assert_eq!((&page["sessions"][0]["id"], &page["hasMore"]), (&json!(made[1]), &json!(true)));
}

#[tokio::test]
async fn keys_are_told_by_their_ends_with_their_use() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    assert_eq!(client.get_json("/control/keys").await, json!({"keys": []}));
    client.session().await;
    client.session().await;
    let told = client.get_json("/control/keys").await;
    assert_eq!((told["keys"].as_array().unwrap().len(), &told["keys"][0]["calls"]), (1, &json!(2)));
    let shown = told["keys"][0]["key"].as_str().unwrap();
    assert!(shown.contains('*') && shown != Sandbox::API_KEY, "{shown}");
}

#[tokio::test]
async fn what_cannot_be_done_is_a_problem() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let id = client.session().await;
    for (session, action, status) in
        [("cs_test_none", "pay", 404), (&id, "dance", 404), (&id, "settle", 409)]
    {
        let reply = client.act(session, action).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (status, Some("application/problem+json"))
        );
    }
    let conflict = client.act(&id, "settle").await.json().unwrap();
    assert_eq!(conflict["detail"], "cannot settle a session that is open");
    for query in ["state=lost", "limit=0", "after=cs_test_none"] {
        let reply = client.get(&format!("/control/sessions?{query}")).await;
        assert_eq!(reply.status, 400, "{query}");
    }
    assert_eq!(client.get("/nowhere").await.status, 404);
}

#[tokio::test]
async fn faults_are_set_as_a_whole_and_told_with_their_seed() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let set = client.faults(json!({"seed": 7, "webhooks": "drop"})).await.json().unwrap();
    assert_eq!((&set["seed"], &set["webhooks"]), (&json!(7), &json!("drop")));
    assert_eq!(client.get_json("/control/faults").await, set);
    let reset = client.faults(json!({})).await.json().unwrap();
    assert_eq!(reset["webhooks"], "deliver");
    assert!(reset["seed"].is_u64());
    let mut told = Vec::new();
    for wrong in [
        json!({"webhook": "drop"}),
        json!({"webhooks": "lose"}),
        json!({"webhook_share": 3}),
        json!({"webhook_delay_ms": -1}),
        json!({"seed": "x"}),
        json!({"api": {"status": 200}}),
        json!({"api": {"status": 500, "how": "cut"}}),
        json!({"delayed": {}}),
        json!({"smtp": {"reply": "450 later"}}),
        json!({"smtp": {"at": "rcpt", "reply": "250 fine"}}),
        json!([]),
    ] {
        let reply = client.faults(wrong.clone()).await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (422, Some("application/problem+json"))
        );
        told.push(format!("{wrong}: {}", reply.json().unwrap()["detail"].as_str().unwrap()));
    }
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(client.get_json("/control/faults").await, reset, "nothing of it is in force");
}

#[tokio::test]
async fn a_part_of_the_calls_fails() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let faults = json!({"seed": 42, "api": {"status": 429, "share": 0.5, "calls": ["retrieve"]}});
    client.faults(faults).await.expect_status(200).unwrap();
    let id = client.session().await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let reply = client.get(&format!("/v1/checkout/sessions/{id}")).await;
        if reply.status == 429 {
            assert_eq!(reply.json().unwrap()["error"]["code"], "rate_limit");
            assert_eq!(reply.header("stripe-should-retry"), Some("true"));
        }
        statuses.push(reply.status);
    }
    let limited = statuses.iter().filter(|status| **status == 429).count();
    assert!((10..30).contains(&limited), "{limited} of 40");
    assert_eq!(client.get_json("/control/faults/strikes").await, json!({"strikes": limited}));
    assert_eq!(client.get("/livez").await.text(), "ok\n");
    assert_eq!(client.get("/readyz").await.text(), "ok\n");
}
