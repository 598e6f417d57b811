//! Sums are exact whatever comes twice, late, or out of order, on both databases.

use jiff::Timestamp;
use serde_json::json;
use storefront_analytics::{Record, Report, prune, report, router};
use storefront_contract::{AnyEvent, Template};
use storefront_runtime::{Database, DatabaseError, Received};
use storefront_testkit::{EmptyDatabase, Http, on_both};
use tokio::net::TcpListener;

use crate::support::{Sale, Store, received};

on_both!(
    crate::support::Store::open;
    a_day_of_sales,
    what_comes_again_counts_once,
    the_order_of_arrival_changes_nothing,
    a_batch_that_is_rolled_back_adds_nothing,
    payments_without_an_address_await_no_mail,
    two_instances_at_once_lose_and_double_nothing,
    old_sessions_and_minutes_are_forgotten,
);

const RECEIPT: Template = Template::PaymentReceipt;

fn now() -> Timestamp {
    "2026-11-14T10:40:00Z".parse().unwrap()
}

/// Takes a batch in a transaction, as the runtime does.
async fn take(database: &Database, events: Vec<Received<AnyEvent>>) {
    let events = &events;
    database
        .transact(|tx| {
            Box::pin(async move {
                Record::default().add(events, tx).await?;
                Ok::<_, DatabaseError>(())
            })
        })
        .await
        .unwrap();
}

async fn read(database: &Database) -> Report {
    report(database, now()).await.unwrap()
}

fn first(event: AnyEvent) -> Received<AnyEvent> {
    received(event, "")
}

/// Three sales: two in rupees within a minute, one in yen; one mail is still awaited.
fn sales() -> Vec<Received<AnyEvent>> {
    let (a, b) = (Sale::rupees(1, 1_899_900), Sale::rupees(2, 100));
    let c = Sale { session: 3, amount: 500, currency: "JPY" };
    [
        a.paid(0.0),
        a.ordered(0.2),
        a.mailed(0.4, RECEIPT),
        b.paid(59.0),
        b.ordered(60.5),
        b.mailed(62.0, RECEIPT),
        b.mailed(90.0, Template::OrderConfirmation),
        c.paid(3_600.0),
        c.ordered(3_601.0),
    ]
    .into_iter()
    .map(first)
    .collect()
}

async fn a_day_of_sales(store: Store) {
    take(&store.database, sales()).await;
    let report = report(&store.database, "2026-11-14T10:58:00Z".parse().unwrap()).await.unwrap();
    insta::allow_duplicates! { insta::assert_json_snapshot!(report); }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/analytics", listener.local_addr().unwrap());
    let router = router(store.database.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let served = Http::default().get(url).await.unwrap().expect_status(200).unwrap();
    let served = served.json().unwrap();
    assert_eq!(served["revenue"], json!({"INR": 1_900_000, "JPY": 500}));
    assert_eq!(served["mails"]["awaited"], 1);
}

async fn what_comes_again_counts_once(store: Store) {
    take(&store.database, sales()).await;
    let once = read(&store.database).await;
    // The same happenings under other event ids: the inbox does not know them, the sessions do.
    let again: Vec<_> = sales().into_iter().map(|r| received(r.event, "/again")).collect();
    take(&store.database, again.clone()).await;
    for event in again {
        take(&store.database, vec![event]).await;
    }
    let twice: Vec<_> =
        sales().into_iter().flat_map(|r| [r.clone(), received(r.event, "/b")]).collect();
    assert_eq!(read(&store.database).await, once);
    let other = Store::open(EmptyDatabase::sqlite().unwrap()).await;
    take(&other.database, twice).await;
    assert_eq!(read(&other.database).await, once, "also within one batch");
}

async fn the_order_of_arrival_changes_nothing(store: Store) {
    let expected = {
        let other = Store::open(EmptyDatabase::sqlite().unwrap()).await;
        take(&other.database, sales()).await;
        read(&other.database).await
    };
    let seed = storefront_testkit::seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut events = sales();
    // A session's first mail is the first that is heard, so one of each is enough here.
    events.retain(|received| received.envelope.id != "email-successful/cs_2/order-confirmation");
    random.shuffle(&mut events);
    for received in events {
        take(&store.database, vec![received]).await;
    }
    let seen = read(&store.database).await;
    assert_eq!(seen.payment_to_mail, expected.payment_to_mail);
    assert_eq!((seen.by_hour, seen.by_minute), (expected.by_hour, expected.by_minute));
    assert_eq!((seen.mails.sent, seen.mails.awaited), (2, 1));
}

async fn a_batch_that_is_rolled_back_adds_nothing(store: Store) {
    let mut tx = store.database.begin().await.unwrap();
    Record::default().add(&sales(), &mut tx).await.unwrap();
    tx.rollback().await;
    assert_eq!(read(&store.database).await.payments, 0);
    take(&store.database, sales()).await;
    assert_eq!(read(&store.database).await.payments, 3);
}

async fn payments_without_an_address_await_no_mail(store: Store) {
    take(&store.database, vec![first(Sale::rupees(1, 5).paid_silently(0.0))]).await;
    assert_eq!(read(&store.database).await.mails.awaited, 0);
    take(&store.database, vec![first(Sale::rupees(2, 5).paid(0.0))]).await;
    assert_eq!(read(&store.database).await.mails.awaited, 1);
    // The mail's clock is ahead of the payment's: no time, not a negative one.
    take(&store.database, vec![first(Sale::rupees(2, 5).mailed(-9.0, RECEIPT))]).await;
    let report = read(&store.database).await;
    assert_eq!((report.mails.awaited, report.payment_to_mail.longest_ms), (0, Some(0)));
}

async fn two_instances_at_once_lose_and_double_nothing(store: Store) {
    let batch = |events: fn(Sale) -> AnyEvent| {
        (1..=40).map(|n| first(events(Sale::rupees(n, 7)))).collect::<Vec<_>>()
    };
    let mut mails = batch(|sale| sale.mailed(1.5, RECEIPT));
    mails.reverse();
    let batches = [batch(|sale| sale.paid(1.0)), batch(|sale| sale.ordered(2.0)), mails];
    let tasks: Vec<_> = batches
        .into_iter()
        .flat_map(|batch| batch.chunks(5).map(<[_]>::to_vec).collect::<Vec<_>>())
        .map(|events| {
            let database = store.database.clone();
            tokio::spawn(async move { take(&database, events).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let report = read(&store.database).await;
    assert_eq!((report.payments, report.orders, report.revenue["INR"]), (40, 40, 280));
    assert_eq!((report.mails.sent, report.mails.awaited), (40, 0));
    assert_eq!((report.payment_to_mail.count, report.payment_to_mail.average_ms), (40, Some(500)));
}

async fn old_sessions_and_minutes_are_forgotten(store: Store) {
    let database = &store.database;
    take(database, sales()).await;
    let before = read(database).await;
    assert_eq!(prune(database, Timestamp::now()).await.unwrap(), 0);
    let far = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 400);
    let forgotten = prune(database, far).await.unwrap();
    assert!(forgotten >= 3, "{forgotten} rows");
    let after = read(database).await;
    assert_eq!((after.payments, after.revenue), (before.payments, before.revenue));
    assert_eq!(after.by_hour, before.by_hour);
    assert!(after.by_minute.is_empty());
}
