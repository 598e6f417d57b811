//! The hosted page, as a browser meets it.

use storefront_sandbox::Sandbox;

use crate::client::Client;

#[tokio::test]
async fn the_page_shows_the_order_as_text() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let session = client.create().await;
    let page = client.http.get(session["url"].as_str().unwrap()).await.unwrap();
    let html = page.text();
    assert_eq!(page.status, 200);
    for shown in ["₹37,998.00", "Pay ₹38,497.00", "Nova &lt;b&gt;5G&lt;/b&gt; {{7*7}}", "/cancel\""]
    {
        assert!(html.contains(shown), "{shown} is not in {html}");
    }
    assert!(!html.contains("<script") && !html.contains("<b>"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        policy.ends_with("form-action 'self' http://shop.example http://shop.example"),
        "{policy}"
    );
}

#[tokio::test]
async fn each_button_leads_on() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    for (button, target, state) in [
        ("pay", "http://shop.example/success?session_id=ID", "paid"),
        ("delay", "http://shop.example/success?session_id=ID", "processing"),
        ("cancel", "http://shop.example/", "open"),
        ("decline", "/sandbox/checkout/ID?note=declined", "open"),
    ] {
        let id = client.session().await;
        let url = format!("{}/sandbox/checkout/{id}", client.base);
        // Twice, as an impatient shopper does.
        for _ in 0..2 {
            let reply = client.http.post(format!("{url}/{button}")).await.unwrap();
            assert_eq!(reply.status, 303);
            assert_eq!(reply.header("location").unwrap().replace(&id, "ID"), target);
        }
        let entry = client.get_json(&format!("/control/sessions/{id}")).await;
        assert_eq!(entry["state"], state);
        let page = client.http.get(format!("{url}?note=declined")).await.unwrap().text();
        assert_eq!(page.contains("<form"), state == "open");
    }
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let id = client.session().await;
    client.act(&id, "expire").await.expect_status(200).unwrap();
    let url = format!("{}/sandbox/checkout", client.base);
    for (path, status) in [
        (format!("{url}/cs_test_none/pay"), 404),
        (format!("{url}/{id}/pay"), 409),
        (format!("{url}/{id}/dance"), 404),
    ] {
        assert_eq!(client.http.post(path).await.unwrap().status, status);
    }
    assert_eq!(client.http.get(format!("{url}/%3Cscript%3E")).await.unwrap().status, 404);
    let page = client.http.get(format!("{url}/{id}")).await.unwrap().text();
    assert!(page.contains("has expired") && !page.contains("<form"), "{page}");
}
