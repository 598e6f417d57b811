//! The whole service on a real Kafka: payments go in as records, orders come out as records and by HTTP.

use std::time::Duration;

use serde_json::Value;
use storefront_contract::{
    ServiceId, Topic,
    settings::{Common, DatabaseSettings, DatabaseUrl, OrderSettings},
};
use storefront_runtime::{Listeners, Shutdown};
use storefront_testkit::{Http, Topics, eventually};

use crate::support::{payment, shop};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs the service until the end of `work`, which gets its URL; it must end cleanly and soon.
async fn with_service(database_url: String, topics: &Topics, work: impl AsyncFnOnce(String)) {
    let listeners = Listeners::loopback().await.unwrap();
    let url = format!("http://{}", listeners.http_address().unwrap());
    let common = Common {
        shop: shop(),
        http_listen: listeners.http_address().unwrap(),
        admin_listen: listeners.admin_address().unwrap(),
        drain_ms: 0,
    };
    let settings = OrderSettings {
        common,
        kafka: topics.settings.clone(),
        database: DatabaseSettings { url: DatabaseUrl::Plain(database_url), max_connections: 6 },
        email_url: None,
        email_timeout_ms: 300,
    };
    let shutdown = Shutdown::new();
    let run = storefront_order::run_on(listeners, settings, shutdown.clone());
    let running = tokio::spawn(Box::pin(run));
    work(url).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(25), running).await.unwrap().unwrap().unwrap();
}

async fn each_session_becomes_one_order(database_url: String) {
    let topics = Topics::of(ServiceId::Order).await.unwrap();
    for n in 0..30 {
        let mut payment = payment(&format!("cs_{n}"));
        payment.user_id = format!("user-{}", n % 7);
        for copy in 0..3 {
            // The first two are one event sent twice, the third is the same session under another id.
            topics.put(&payment, &format!("e{n}-{}", copy / 2)).await.unwrap();
        }
    }
    with_service(database_url, &topics, async |url| {
        let orders = || topics.values(Topic::OrderSuccessful).unwrap();
        eventually(LIMIT, "30 orders", async || orders().len() == 30).await;
        for n in 0..30 {
            let payment = payment(&format!("cs_{n}"));
            let reply = Http::default().get(format!("{url}/orders/{}", payment.order_id)).await;
            let order = reply.unwrap().expect_status(200).unwrap().json().unwrap();
            assert_eq!(order["sessionId"], payment.session_id);
        }
        // One more behind all the others: when it is there, nothing else is still on its way.
        topics.put(&payment("cs_last"), "last").await.unwrap();
        eventually(LIMIT, "the last", async || orders().len() > 30).await;
        let orders = orders();
        let mut sessions: Vec<_> = orders.iter().map(|o| o["sessionId"].to_string()).collect();
        sessions.sort();
        sessions.dedup();
        assert_eq!((orders.len(), sessions.len()), (31, 31));
        assert!(orders.iter().all(|order: &Value| order["amount"] == 3_799_800));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_session_becomes_one_order_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("order.db").display());
    each_session_becomes_one_order(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_session_becomes_one_order_on_postgres() {
    let url = storefront_testkit::postgres().await.unwrap().database().await.unwrap();
    each_session_becomes_one_order(url).await;
}
