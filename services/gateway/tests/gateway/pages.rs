//! The pages, made of what services say.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::support::{Answer, Gateway, Reply, Seen, Service, eventually, ok, settings};

const CATALOG: &str = r#"{"currency": "INR", "products": [
    {"id": "phone", "name": "Nova & Co", "price": 1899900, "image": "/img/phone.svg", "later": 1}]}"#;
const PAID: &str = r#"{"status": "paid", "orderId": "2f1e9c3a-7a5d-5d0e-9a51-3c8f0d1f2a11",
    "userId": "ada", "cart": [{"id": "phone", "name": "Nova & Co", "quantity": 2, "price": 1899900}],
    "amount": 3799800, "currency": "INR"}"#;
const ORDER: &str =
    r#"{"orderId": "2f1e9c3a-7a5d-5d0e-9a51-3c8f0d1f2a11", "mail": {"state": "sent"}}"#;

/// A gateway before one service that plays payment and order.
async fn shop(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Gateway, Service) {
    let service = Service::start(reply).await;
    let mut settings = settings(service.address);
    let orders = format!("/orders=order@http://{}", service.address);
    settings.routes.push(orders.parse().unwrap());
    (Gateway::start(settings).await, service)
}

fn catalog(seen: &Seen) -> Reply {
    assert_eq!(seen.line(), "GET /catalog HTTP/1.1");
    assert_eq!(seen.fields("accept"), ["application/json"]);
    assert_eq!(seen.fields("traceparent").len(), 1);
    ok(CATALOG)
}

fn not_found() -> Reply {
    Reply::Bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_vec())
}

async fn get(gateway: &Gateway, path: &str, fields: &str) -> Answer {
    gateway.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n")).await
}

fn contains(answer: &Answer, parts: &[&str]) {
    for part in parts {
        assert!(answer.text().contains(part), "{part} is not in\n{}", answer.text());
    }
}

#[tokio::test]
async fn the_cart_page_has_the_catalog_in_it() {
    let (gateway, payment) = shop(catalog).await;
    let page = gateway.get("/").await;
    assert_eq!((page.status, page.fields("content-type")), (200, vec!["text/html; charset=utf-8"]));
    contains(&page, &["<h3>Nova &#38; Co</h3>", "₹18,999.00", "/img/phone.svg", "<form"]);
    let policy = page.fields("content-security-policy")[0];
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    // Kept for a moment, and not sent again to who has it.
    let etag = page.fields("etag")[0];
    let again = get(&gateway, "/", &format!("If-None-Match: {etag}\r\n")).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(payment.seen().len(), 1);
    // Who was sent back sees what is sold now.
    let back = gateway.get("/?notice=price-changed&changed=phone&quantity.phone=2").await;
    contains(&back, &["A price has changed", "card changed", "value=\"2\""]);
    assert_eq!(payment.seen().len(), 2);
}

#[tokio::test]
async fn many_shoppers_at_once_are_one_question() {
    let (gateway, payment) = shop(catalog).await;
    let pages = (0..50).map(|_| gateway.get("/"));
    for page in futures_util::future::join_all(pages).await {
        assert_eq!(page.status, 200);
    }
    assert!(payment.seen().len() <= 2, "{}", payment.seen().len());
}

#[tokio::test]
async fn a_moment_without_payment_is_not_seen_and_a_longer_one_is_told() {
    let away = Arc::new(AtomicBool::new(true));
    let is_away = away.clone();
    let (gateway, _payment) =
        shop(
            move |seen| {
                if is_away.load(Ordering::SeqCst) { Reply::Last(Vec::new()) } else { catalog(seen) }
            },
        )
        .await;
    let closed = gateway.get("/").await;
    assert_eq!((closed.status, closed.fields("retry-after")), (503, vec!["5"]));
    assert_eq!(closed.fields("cache-control"), ["no-store"]);
    contains(&closed, &["The shop cannot take orders at the moment", "<noscript><meta"]);
    away.store(false, Ordering::SeqCst);
    eventually("the shop is open", async || gateway.get("/").await.status == 200).await;
    away.store(true, Ordering::SeqCst);
    // A query asks for the newest, and gets the last that there was.
    let kept = gateway.get("/?notice=cancelled").await;
    assert_eq!(kept.status, 200);
    contains(&kept, &["You left the payment", "Nova"]);
}

#[tokio::test]
async fn the_success_page_shows_the_order() {
    let (gateway, service) = shop(|seen| match seen.line() {
        "GET /payment/verify?session_id=cs_test_1 HTTP/1.1" => ok(PAID),
        "GET /orders/2f1e9c3a-7a5d-5d0e-9a51-3c8f0d1f2a11 HTTP/1.1" => ok(ORDER),
        _ => not_found(),
    })
    .await;
    let page = gateway.get("/success?session_id=cs_test_1").await;
    assert_eq!((page.status, page.fields("cache-control")), (200, vec!["no-store"]));
    contains(&page, &["Thank you", "2f1e9c3a-7a5d", "Nova &#38; Co", "₹37,998.00", "sent"]);
    assert!(!page.text().contains("data-live"), "nothing changes any more");
    assert_eq!(service.seen().len(), 2);
    for made_up in
        ["/success?session_id=cs_test_2", "/success", "/success?session_id=%22%3E%3Cb%3E"]
    {
        let page = gateway.get(made_up).await;
        assert_eq!(page.status, 404, "{made_up}");
        contains(&page, &["This shop knows no such payment"]);
        assert!(!page.text().contains("<b>"));
    }
}

#[tokio::test]
async fn a_payment_that_cannot_be_asked_for_is_told_and_looked_for_again() {
    let (gateway, _service) = shop(|_| Reply::Last(Vec::new())).await;
    let page = gateway.get("/success?session_id=cs_test_1").await;
    assert_eq!((page.status, page.fields("retry-after")), (503, vec!["5"]));
    contains(&page, &["cannot be checked at the moment", "data-live=\"2000\""]);
}

#[tokio::test]
async fn people_get_problems_as_pages() {
    let (gateway, _service) = shop(|_| Reply::Last(Vec::new())).await;
    let browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let page = get(&gateway, "/no/such?x=y", browser).await;
    assert_eq!((page.status, page.fields("content-type")), (404, vec!["text/html; charset=utf-8"]));
    contains(&page, &["There is nothing here", "there is nothing at /no/such"]);
    let page = get(&gateway, "/payment", browser).await;
    assert_eq!(page.status, 502);
    contains(&page, &["This does not work at the moment", "Please try again in a moment"]);
    assert!(!page.text().contains("charged"), "nobody knows that here");
    let page = gateway.ask(&format!("POST / HTTP/1.1\r\nHost: shop\r\n{browser}\r\n")).await;
    assert_eq!((page.status, page.fields("allow")), (405, vec!["GET, HEAD"]));
    contains(&page, &["This could not be understood"]);
    assert_eq!(gateway.get("/no/such").await.json()["status"], 404);
}
