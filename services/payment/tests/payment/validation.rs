//! Every call that payment makes is one that Stripe describes: each goes to stripe-mock as well, which holds it against
//! Stripe's `OpenAPI` description.

#![expect(clippy::unwrap_used, reason = "helpers of a test, too")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use http_body_util::Full;
use serde_json::json;
use storefront_sandbox::Action;
use storefront_testkit::{Http, Reply, StripeMock, eventually};
use tokio::net::TcpListener;

use crate::shop::{On, SOON, Shop, Wish, text};

const BODY_MAX_BYTES: usize = 1 << 20;

/// Hands each call to both stand-ins: the answer is the sandbox's, the judgement stripe-mock's.
pub struct Validator {
    url: String,
    judge: Arc<Judge>,
}

struct Judge {
    mock: StripeMock,
    sandbox: String,
    http: Http,
    /// Method and path of what was let through, ids left out.
    valid: Mutex<BTreeSet<String>>,
    complaints: Mutex<Vec<String>>,
}

impl Validator {
    pub async fn start(sandbox: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let judge = Arc::new(Judge {
            mock: StripeMock::start().await?,
            sandbox,
            http: Http::default(),
            valid: Mutex::default(),
            complaints: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(judge.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, judge })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn valid(&self) -> Vec<String> {
        self.judge.valid.lock().unwrap().iter().cloned().collect()
    }

    pub fn complaints(&self) -> Vec<String> {
        self.judge.complaints.lock().unwrap().clone()
    }
}

async fn pass(State(judge): State<Arc<Judge>>, request: Request) -> Result<Response, StatusCode> {
    judge.pass(request).await.map_err(|_| StatusCode::BAD_GATEWAY)
}

impl Judge {
    async fn pass(&self, request: Request) -> anyhow::Result<Response> {
        let (mut parts, body) = request.into_parts();
        let body = to_bytes(body, BODY_MAX_BYTES).await?;
        let target = parts.uri.to_string();
        let send = async |base: &str, parts: http::request::Parts| {
            let mut request = http::Request::from_parts(parts, Full::from(body.clone()));
            *request.uri_mut() = format!("{base}{target}").parse()?;
            self.http.send(request).await
        };
        parts.headers.remove("host");
        let judged = send(self.mock.url(), parts.clone()).await?;
        let path = parts
            .uri
            .path()
            .split('/')
            .map(|part| if part.starts_with("cs_") { "ID" } else { part });
        let call = format!("{} {}", parts.method, path.collect::<Vec<_>>().join("/"));
        if judged.status == 200 {
            self.valid.lock().unwrap().insert(call);
        } else {
            let form = String::from_utf8_lossy(&body);
            let complaint = format!("{} {target} {form}: {}", parts.method, judged.text());
            self.complaints.lock().unwrap().push(complaint);
        }
        let Reply { status, headers, body } = send(&self.sandbox, parts).await?;
        let mut response = Response::new(Body::from(body));
        (*response.status_mut(), *response.headers_mut()) =
            (StatusCode::from_u16(status)?, headers);
        Ok(response)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_one_that_stripe_describes() -> anyhow::Result<()> {
    let wish = Wish { validated: true, sweep_interval_ms: 200, ..Wish::default() };
    let shop = Shop::open_with(On::Sqlite, wish).await?;
    let validator = shop.validator.as_ref().unwrap();
    // With an address and without, one line and a hundred, what form encoding must not lose.
    let lines: Vec<_> = (0..100)
        .map(|number| json!({"id": if number % 2 == 0 { "phone" } else { "case" }, "quantity": 1}))
        .collect();
    let mut sessions = Vec::new();
    for (user, email, cart) in [
        ("u-1", json!("ada+shop@example.com"), json!([{"id": "phone", "quantity": 2}])),
        ("Ädä & <co> 100%", json!(null), json!(lines)),
    ] {
        let body = json!({"userId": user, "email": email, "cart": cart});
        let reply = shop.post(&body, None).await?.expect_status(200)?.json()?;
        sessions.push(text(&reply["id"]).to_owned());
    }
    assert_eq!(shop.status(&sessions[0]).await?, "open");
    // Rows that were lost are rebuilt from the session's lines.
    shop.sql("DELETE FROM payments RETURNING id", &[]).await?;
    assert_eq!(shop.status(&sessions[1]).await?, "open");
    shop.sandbox.pay(&sessions[1]).await?;
    shop.reaches(&sessions[1], "paid").await;
    let expired = shop.checkout("u-3").await?;
    shop.sandbox.act(&expired, Action::Expire).await?;
    shop.reaches(&expired, "expired").await;
    let list = format!("{}/audit/sessions?since=1&until=2", shop.admin);
    shop.http.get(list).await?.expect_status(200)?;
    let called = [
        "GET /v1/checkout/sessions",
        "GET /v1/checkout/sessions/ID",
        "GET /v1/checkout/sessions/ID/line_items",
        "GET /v1/events",
        "POST /v1/checkout/sessions",
    ];
    eventually(SOON, "the sweeper asks for events", async || validator.valid() == called).await;
    assert_eq!(validator.complaints(), Vec::<String>::new());

    // And it would complain.
    let wrong = "mode=payment&line_items[0][quantity]=one&discount=all";
    let target = format!("{}/v1/checkout/sessions", validator.url());
    let request = http::Request::post(target)
        .header("authorization", "Bearer sk_test_4eC39HqLyjWDarjtT1")
        .header("content-type", "application/x-www-form-urlencoded");
    shop.http.send(request.body(Full::from(wrong))?).await?;
    assert_eq!(validator.complaints().len(), 1, "{:?}", validator.complaints());
    shop.close().await
}
