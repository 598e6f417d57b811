//! Requests that a browser, a script or a stranger may send to the gateway of a running shop.

use http::Request;
use serde_json::{Value, json};
use storefront_testkit::Http;

use crate::Said;

struct Shop<'a> {
    gateway: &'a str,
    http: Http,
    said: Vec<Said>,
}

impl Shop<'_> {
    async fn ask(&mut self, request: &str, headers: &[(&str, &str)], body: &str) {
        let (method, path) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(format!("{}{path}", self.gateway));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let reply = self.http.send(builder.body(body.to_owned().into()).unwrap()).await.unwrap();
        assert!((400..500).contains(&reply.status), "{request} {body}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{request}");
        let problem: Value = reply.json().unwrap();
        let title = problem["title"].as_str().unwrap();
        let Some(detail) = problem["detail"].as_str() else {
            panic!("{request}: nothing but {title}");
        };
        let shown: String = [request, body].join(" ").trim().chars().take(110).collect();
        self.said.push(Said::new(shown, format!("{} {title}: {detail}", reply.status)));
    }

    async fn pay(&mut self, body: &Value) {
        self.ask("POST /payment", &[JSON], &body.to_string()).await;
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

pub async fn messages(gateway: &str) -> Vec<Said> {
    let mut shop = Shop { gateway, http: Http::default(), said: Vec::new() };
    paths(&mut shop).await;
    payments(&mut shop).await;
    news(&mut shop).await;
    shop.said
}

async fn paths(shop: &mut Shop<'_>) {
    for request in [
        "GET /nothing",
        "GET /paymentx",
        "GET /payment/%2e%2e%2fadmin",
        "GET /payment/a%00b",
        "DELETE /",
        "GET /payment",
        "DELETE /payment/webhook",
        "GET /orders/17",
        "GET /orders/00000000-0000-4000-8000-000000000000",
    ] {
        shop.ask(request, &[], "").await;
    }
}

async fn payments(shop: &mut Shop<'_>) {
    let line = |id: &str, quantity: i64| json!({"id": id, "quantity": quantity});
    let cart = |lines: Value| json!({"userId": "ada", "cart": lines});
    shop.ask("POST /payment", &[], r#"{"userId": "ada"}"#).await;
    for body in ["{", "[]", "{}", "null"] {
        shop.ask("POST /payment", &[JSON], body).await;
    }
    shop.ask("POST /payment", &[JSON], &"x".repeat((2 << 20) + 1)).await;
    for body in [
        json!({"userId": "", "cart": [line("phone", 1)]}),
        json!({"userId": "ada", "email": "ada at example.com", "cart": [line("phone", 1)]}),
        json!({"userId": "ada", "amount": 1, "cart": [line("phone", 1)]}),
        cart(json!([])),
        cart(json!([line("phone", 0)])),
        cart(json!([line("phone", -1)])),
        cart(json!([{"id": "phone", "quantity": 1.5}])),
        cart(json!([{"id": "phone", "quantity": "two"}])),
        cart(json!([line("no such thing", 1)])),
        cart(json!([line("gramophone", 1)])),
        cart(json!([{"id": "phone", "quantity": 1, "price": 1}])),
        cart(json!([line("phone", 1000)])),
        cart(json!(vec![line("phone", 1); 101])),
    ] {
        shop.pay(&body).await;
    }
    let key = "a".repeat(300);
    let body = cart(json!([line("chai", 1)])).to_string();
    shop.ask("POST /payment", &[JSON, ("idempotency-key", &key)], &body).await;
    let request = Request::post(format!("{}/payment", shop.gateway))
        .header(JSON.0, JSON.1)
        .header("idempotency-key", "once");
    let first = request.body(body.into()).unwrap();
    shop.http.send(first).await.unwrap().expect_status(200).unwrap();
    let other = cart(json!([line("chai", 2)])).to_string();
    shop.ask("POST /payment", &[JSON, ("idempotency-key", "once")], &other).await;
}

async fn news(shop: &mut Shop<'_>) {
    for query in ["", "?session_id=cs_test_madeup", "?session_id=cs_live_1", "?session_id=17"] {
        shop.ask(&format!("GET /payment/verify{query}"), &[], "").await;
    }
    let event = r#"{"id": "evt_1", "type": "checkout.session.completed"}"#;
    shop.ask("POST /payment/webhook", &[], event).await;
    for signature in ["t=1,v1=00", "v1=00", "nonsense"] {
        shop.ask("POST /payment/webhook", &[("stripe-signature", signature)], event).await;
    }
}
