//! The whole service on a real Kafka: what is put on the three topics is in the report once.

use std::time::Duration;

use serde_json::Value;
use storefront_contract::{
    AnyEvent, ServiceId, Template,
    settings::{AnalyticsSettings, Common, DatabaseSettings, DatabaseUrl},
};
use storefront_runtime::{Listeners, Shutdown};
use storefront_testkit::{Http, Topics, eventually};

use crate::support::{Sale, shop};

const LIMIT: Duration = Duration::from_secs(60);

async fn put(topics: &Topics, event: AnyEvent, id: String) {
    let put = match event {
        AnyEvent::Payment(event) => topics.put(&event, &id).await,
        AnyEvent::Order(event) => topics.put(&event, &id).await,
        AnyEvent::Email(event) => topics.put(&event, &id).await,
    };
    put.unwrap();
}

async fn every_event_counts_once(database_url: String) {
    let topics = Topics::of(ServiceId::Analytics).await.unwrap();
    let listeners = Listeners::loopback().await.unwrap();
    let url = format!("http://{}/analytics", listeners.http_address().unwrap());
    let common = Common {
        shop: shop(),
        http_listen: listeners.http_address().unwrap(),
        admin_listen: listeners.admin_address().unwrap(),
        drain_ms: 0,
    };
    let settings = AnalyticsSettings {
        common,
        kafka: topics.settings.clone(),
        database: DatabaseSettings { url: DatabaseUrl::Plain(database_url), max_connections: 6 },
    };
    let shutdown = Shutdown::new();
    let run = storefront_analytics::run_on(listeners, settings, shutdown.clone());
    let running = tokio::spawn(Box::pin(run));
    for n in 0..30 {
        let sale = Sale::rupees(n, 1_000);
        for _ in 0..2 {
            put(&topics, sale.mailed(2.0, Template::PaymentReceipt), format!("m{n}")).await;
            put(&topics, sale.ordered(1.0), format!("o{n}")).await;
            put(&topics, sale.paid(0.0), format!("p{n}")).await;
        }
    }
    let report = async || -> Value {
        Http::default().get(&url).await.unwrap().expect_status(200).unwrap().json().unwrap()
    };
    eventually(LIMIT, "every latency", async || report().await["paymentToMail"]["count"] == 30)
        .await;
    // One more of each behind all the others.
    let last = Sale::rupees(99, 1);
    for (event, id) in [(last.paid(0.0), "p"), (last.ordered(1.0), "o")] {
        put(&topics, event, id.into()).await;
    }
    eventually(LIMIT, "the last", async || {
        let report = report().await;
        report["revenue"]["INR"] == 30_001 && report["orders"] == 31
    })
    .await;
    let report = report().await;
    assert_eq!((&report["payments"], &report["mails"]["sent"]), (&31.into(), &30.into()));
    assert_eq!(report["mails"]["awaited"], 1);
    assert_eq!(report["paymentToMail"]["averageMs"], 2_000);
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(25), running).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_counts_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("analytics.db").display());
    every_event_counts_once(url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_counts_once_on_postgres() {
    let url = storefront_testkit::postgres().await.unwrap().database().await.unwrap();
    every_event_counts_once(url).await;
}
