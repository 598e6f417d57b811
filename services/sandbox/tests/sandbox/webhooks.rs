//! Deliveries to a shop that answers, that does not, and that comes back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use storefront_sandbox::{FaultSettings, Sandbox, SandboxOptions, WebhookFault, webhook_signature};
use storefront_testkit::eventually;
use tokio::net::TcpListener;

use crate::client::Client;

const LIMIT: Duration = Duration::from_secs(10);

/// A shop's webhook: notes what comes, and answers as it is told.
pub struct Shop {
    pub url: String,
    status: AtomicU16,
    seen: Mutex<Vec<(HeaderMap, String)>>,
}

async fn hook(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: String) -> StatusCode {
    shop.seen.lock().unwrap().push((headers, body));
    StatusCode::from_u16(shop.status.load(Ordering::SeqCst)).unwrap()
}

impl Shop {
    pub async fn open() -> Arc<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/payment/webhook", listener.local_addr().unwrap());
        let (status, seen) = (AtomicU16::new(200), Mutex::default());
        let shop = Arc::new(Self { url, status, seen });
        let router = Router::new().route("/payment/webhook", post(hook)).with_state(shop.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        shop
    }

    pub fn seen(&self) -> Vec<(HeaderMap, String)> {
        self.seen.lock().unwrap().clone()
    }

    /// How often each type came.
    fn types(&self) -> BTreeMap<String, usize> {
        let mut types = BTreeMap::new();
        for (_, body) in self.seen() {
            let event: Value = serde_json::from_str(&body).unwrap();
            *types.entry(event["type"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
        types
    }
}

pub async fn sandbox(shop: &Shop) -> Sandbox {
    let options = SandboxOptions { webhook_url: Some(shop.url.clone()), ..Default::default() };
    Sandbox::start(options).await.unwrap()
}

pub async fn all_delivered(sandbox: &Sandbox, events: i64) {
    eventually(LIMIT, "all events are delivered", async || {
        let counts = sandbox.deliveries().await.unwrap();
        counts.delivered == events && counts.pending == 0
    })
    .await;
}

#[tokio::test]
async fn deliveries_are_signed_over_the_very_bytes() {
    let shop = Shop::open().await;
    let sandbox = sandbox(&shop).await;
    let session = Client::of(&sandbox).session().await;
    sandbox.pay(&session).await.unwrap();
    all_delivered(&sandbox, 4).await;
    for (headers, body) in shop.seen() {
        let signature = headers["stripe-signature"].to_str().unwrap();
        let time = signature.strip_prefix("t=").unwrap().split_once(',').unwrap().0;
        let expected = webhook_signature(Sandbox::WEBHOOK_SECRET, &body, time.parse().unwrap());
        assert_eq!(signature, expected);
        assert_eq!(headers["content-type"], "application/json; charset=utf-8");
        assert!(body.contains("\n  "), "indented, as Stripe's");
    }
    assert_eq!(shop.types()["checkout.session.completed"], 1);
    let listed = Client::of(&sandbox).get_json("/v1/events?delivery_success=true").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 4);
    assert_eq!(listed["data"][0]["pending_webhooks"], 0);
}

#[tokio::test]
async fn a_shop_that_fails_is_asked_again() {
    let shop = Shop::open().await;
    shop.status.store(500, Ordering::SeqCst);
    let sandbox = sandbox(&shop).await;
    sandbox.pay(&Client::of(&sandbox).session().await).await.unwrap();
    eventually(LIMIT, "each event was tried twice", async || shop.seen().len() >= 8).await;
    assert_eq!(sandbox.deliveries().await.unwrap().delivered, 0);
    shop.status.store(204, Ordering::SeqCst);
    all_delivered(&sandbox, 4).await;
    let counts = sandbox.deliveries().await.unwrap();
    assert_eq!(counts.attempts, i64::try_from(shop.seen().len()).unwrap());
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_not_delivered() {
    let directory = tempfile::tempdir().unwrap();
    let shop = Shop::open().await;
    let options = |url: &str| SandboxOptions {
        data: Some(directory.path().into()),
        webhook_url: Some(url.to_owned()),
        ..Default::default()
    };
    // Nobody listens there.
    let nobody = Sandbox::start(options("http://127.0.0.1:9/")).await.unwrap();
    nobody.pay(&Client::of(&nobody).session().await).await.unwrap();
    nobody.stop().await.unwrap();
    assert_eq!(shop.seen().len(), 0);
    let sandbox = Sandbox::start(options(&shop.url)).await.unwrap();
    all_delivered(&sandbox, 4).await;
    assert_eq!(sandbox.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn drops_duplicates_and_delays_are_done_as_asked() {
    let shop = Shop::open().await;
    let sandbox = sandbox(&shop).await;
    let client = Client::of(&sandbox);
    let fault = |webhooks| FaultSettings { webhooks, ..FaultSettings::default() };
    sandbox.set_faults(fault(WebhookFault::Drop));
    sandbox.pay(&client.session().await).await.unwrap();
    assert_eq!(sandbox.deliveries().await.unwrap().dropped, 4);
    sandbox.set_faults(fault(WebhookFault::Duplicate));
    sandbox.pay(&client.session().await).await.unwrap();
    all_delivered(&sandbox, 4).await;
    assert!(shop.types().values().all(|count| *count == 2), "{:?}", shop.types());
    sandbox.set_faults(FaultSettings { webhook_delay_ms: 600_000, ..FaultSettings::default() });
    sandbox.pay(&client.session().await).await.unwrap();
    let counts = sandbox.deliveries().await.unwrap();
    assert_eq!((counts.pending, counts.delivered, shop.seen().len()), (4, 4, 8));
}

#[tokio::test]
async fn only_the_types_asked_for_are_sent() {
    let shop = Shop::open().await;
    let options = SandboxOptions {
        webhook_url: Some(shop.url.clone()),
        webhook_events: vec!["checkout.session.completed".into()],
        ..Default::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.pay(&Client::of(&sandbox).session().await).await.unwrap();
    all_delivered(&sandbox, 1).await;
    assert_eq!(sandbox.deliveries().await.unwrap().none, 3);
}

#[tokio::test]
async fn hundreds_are_delivered_once_each() {
    let shop = Shop::open().await;
    let sandbox = sandbox(&shop).await;
    let client = Client::of(&sandbox);
    sandbox.set_faults(FaultSettings { webhook_jitter_ms: 200, ..FaultSettings::default() });
    for _ in 0..100 {
        sandbox.pay(&client.session().await).await.unwrap();
    }
    all_delivered(&sandbox, 400).await;
    assert!(shop.types().values().all(|count| *count == 100), "{:?}", shop.types());
}
