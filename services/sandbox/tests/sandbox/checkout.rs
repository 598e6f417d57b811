//! The hosted page, as a browser without scripts meets it.

use http::Request;
use serde_json::{Value, json};
use storefront_sandbox::Sandbox;
use storefront_testkit::Reply;

use crate::client::{CART, Client, page_text};

const SUCCESS: &str = "http://shop.example/success?session_id=ID";

/// What an honest shopper types.
const TYPED: [(&str, &str); 5] = [
    ("method", "card"),
    ("number", "4242 4242 4242 4242"),
    ("expiry", "12/34"),
    ("cvc", "123"),
    ("name", "Asha Rao"),
];

/// A shopper in front of the page of a new session.
struct Shopper {
    client: Client,
    id: String,
}

impl Shopper {
    async fn arrives(sandbox: &Sandbox) -> Self {
        let client = Client::of(sandbox);
        let id = client.session().await;
        Self { client, id }
    }

    fn url(&self, below: &str) -> String {
        format!("{}/sandbox/checkout/{}{below}", self.client.base, self.id)
    }

    async fn looks(&self, below: &str) -> Reply {
        self.client.http.get(self.url(below)).await.unwrap()
    }

    async fn posts(&self, below: &str, fields: &[(&str, &str)]) -> Reply {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(self.url(below))
            .header("content-type", "application/x-www-form-urlencoded");
        self.client.http.send(request.body(body.into_bytes().into()).unwrap()).await.unwrap()
    }

    /// Fills the form in, but for what is typed otherwise, and presses "Pay".
    async fn pays(&self, otherwise: &[(&str, &str)]) -> Reply {
        self.posts("", &[&TYPED, otherwise].concat()).await
    }

    /// Where a form led, with the session's id left out.
    fn led(&self, reply: &Reply) -> String {
        assert_eq!(reply.status, 303, "{}", reply.text());
        reply.header("location").unwrap().replace(&self.id, "ID")
    }

    async fn session(&self) -> Value {
        let path = format!("/v1/checkout/sessions/{}?expand[]=payment_intent", self.id);
        self.client.get_json(&path).await
    }

    async fn events(&self) -> Vec<String> {
        let events = self.client.get_json("/v1/events").await;
        let events = events["data"].as_array().unwrap().iter().rev();
        events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn the_page_shows_the_order_as_text() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    let page = shopper.looks("").await;
    assert_eq!(page.status, 200);
    let html = page.text();
    for shown in [
        "Stand-in for Stripe.</strong> No money moves.",
        "Nova &#60;b&#62;5G&#60;/b&#62; {{7*7}}",
        "2 × ₹18,999.00",
        "₹37,998.00",
        ">Pay ₹38,497.00</button>",
        "href=\"http://shop.example/\"",
        "Back to the shop",
        "asha@example.com",
    ] {
        assert!(html.contains(shown), "{shown} is not in {html}");
    }
    for label in ["Card number", "Expiry", "CVC", "Name on card"] {
        assert!(html.contains(&format!("\">{label}</label>")), "{label} is not in {html}");
    }
    assert!(!html.contains("<b>5G") && !html.contains("http-equiv"), "{html}");
}

#[tokio::test]
async fn nothing_from_elsewhere_runs_or_is_loaded() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    let page = shopper.looks("").await;
    let policy = page.header("content-security-policy").unwrap();
    let hash = policy.split("'sha256-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(hash.len(), 44, "{policy}");
    let without_hashes: Vec<&str> =
        policy.split(' ').filter(|word| !word.starts_with("'sha256-")).collect();
    assert_eq!(
        without_hashes.join(" "),
        "default-src 'none'; style-src script-src img-src data:; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self' http://shop.example"
    );
    for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(page.header(name), Some(value));
    }
    let html = page.text();
    assert!(!html.contains(" src=") && !html.contains(" style=") && !html.contains(" onclick="));
    assert_eq!(html.matches("<script").count(), 1, "the one whose hash is in the policy");
}

#[tokio::test]
async fn a_good_card_pays_and_leads_to_the_shop() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    // Twice, as an impatient shopper does.
    for _ in 0..2 {
        let reply = shopper.pays(&[]).await;
        assert_eq!(shopper.led(&reply), SUCCESS);
    }
    let session = shopper.session().await;
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&"complete".into(), &"paid".into())
    );
    assert_eq!(session["customer_details"]["name"], "Asha Rao");
    assert_eq!(session["customer_details"]["email"], "asha@example.com");
    assert_eq!(session["payment_intent"]["last_payment_error"], Value::Null);
    assert_eq!(
        shopper.events().await,
        [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed"
        ]
    );
    let page = shopper.looks("").await;
    assert!(page.text().contains("₹38,497.00 is paid") && !page.text().contains("<form"));
    assert!(page.text().contains(&format!("success?session_id={}", shopper.id)));
}

/// Each card that is declined, with Stripe's words: docs.stripe.com/testing#declined-payments.
#[tokio::test]
async fn a_declined_card_says_why_and_another_one_pays() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let declined = "Your card was declined.";
    for (number, code, decline_code, message) in [
        ("4000000000000002", "card_declined", json!("generic_decline"), declined),
        (
            "4000000000009995",
            "card_declined",
            json!("insufficient_funds"),
            "Your card has insufficient funds.",
        ),
        ("4000000000009987", "card_declined", json!("lost_card"), declined),
        ("4000000000009979", "card_declined", json!("stolen_card"), declined),
        ("4000000000000069", "expired_card", Value::Null, "Your card has expired."),
        (
            "4000000000000127",
            "incorrect_cvc",
            Value::Null,
            "Your card's security code is incorrect.",
        ),
        (
            "4000000000000119",
            "processing_error",
            Value::Null,
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        (
            "4000000000006975",
            "card_declined",
            json!("card_velocity_exceeded"),
            "Your card was declined for making repeated attempts too frequently or exceeding its \
             amount limit.",
        ),
    ] {
        let shopper = Shopper::arrives(&sandbox).await;
        let reply = shopper.pays(&[("number", number)]).await;
        assert_eq!(shopper.led(&reply), "/sandbox/checkout/ID");
        let intent = shopper.session().await["payment_intent"].clone();
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(
            intent["last_payment_error"],
            json!({
                "charge": intent["latest_charge"], "code": code, "decline_code": decline_code,
                "message": message, "type": "card_error",
            })
        );
        assert!(intent["latest_charge"].is_string());
        let html = shopper.looks("").await.text();
        let shown = message.replace('\'', "&#39;");
        assert!(html.contains(&shown) && html.contains(code), "{shown} is not in {html}");
        if let Some(decline_code) = decline_code.as_str() {
            assert!(html.contains(&format!("decline code <code>{decline_code}</code>")), "{html}");
        }
        assert!(!html.contains(number) || html.matches(number).count() == 1, "only its button");
        let reply = shopper.pays(&[]).await;
        assert_eq!(shopper.led(&reply), SUCCESS);
        assert_eq!(shopper.session().await["payment_intent"]["last_payment_error"], Value::Null);
    }
}

#[tokio::test]
async fn three_d_secure_asks_and_takes_the_answer() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    for (number, answer, leads_to, error) in [
        ("4000002500003155", "complete", SUCCESS, Value::Null),
        ("4000000000003220", "complete", SUCCESS, Value::Null),
        (
            "4000000000003220",
            "fail",
            "/sandbox/checkout/ID",
            json!("payment_intent_authentication_failure"),
        ),
        ("4000008400001629", "complete", "/sandbox/checkout/ID", json!("card_declined")),
    ] {
        let shopper = Shopper::arrives(&sandbox).await;
        let reply = shopper.pays(&[("number", number)]).await;
        assert_eq!(shopper.led(&reply), "/sandbox/checkout/ID/authenticate");
        let intent = shopper.session().await["payment_intent"].clone();
        assert_eq!(
            (&intent["status"], &intent["latest_charge"]),
            (&"requires_action".into(), &Value::Null)
        );
        let back = shopper.looks("").await.text();
        assert!(back.contains("Your bank is waiting for your answer."), "{back}");
        let page = shopper.looks("/authenticate").await.text();
        for shown in ["Complete authentication", "Fail authentication", &number[12..]] {
            assert!(page.contains(shown), "{shown} is not in {page}");
        }
        let reply = shopper.posts("/authenticate", &[("answer", answer)]).await;
        assert_eq!(shopper.led(&reply), leads_to, "{number} {answer}");
        let intent = shopper.session().await["payment_intent"].clone();
        assert_eq!(intent["last_payment_error"]["code"], error);
        // The question was answered: it is not asked again.
        let again = shopper.looks("/authenticate").await;
        assert_eq!(shopper.led(&again), "/sandbox/checkout/ID");
    }
}

#[tokio::test]
async fn a_bank_is_asked_before_anything_is_charged() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    shopper.pays(&[("number", "4000000000003220")]).await;
    shopper.posts("/authenticate", &[("answer", "fail")]).await;
    shopper.pays(&[("number", "4000000000003220")]).await;
    // Neither an answer: the question stands.
    let reply = shopper.posts("/authenticate", &[("answer", "perhaps")]).await;
    assert_eq!(shopper.led(&reply), "/sandbox/checkout/ID/authenticate");
    shopper.posts("/authenticate", &[("answer", "complete")]).await;
    assert_eq!(
        shopper.events().await,
        [
            "payment_intent.created",
            "payment_intent.requires_action",
            "payment_intent.payment_failed",
            "payment_intent.requires_action",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed",
        ]
    );
}

#[tokio::test]
async fn a_delayed_payment_is_settled_or_fails_on_its_page() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    for (money, title, status) in [
        ("settle", "₹38,497.00 is paid", "paid"),
        ("fail", "The bank did not send the money", "unpaid"),
    ] {
        let shopper = Shopper::arrives(&sandbox).await;
        let reply = shopper.posts("", &[("method", "bank")]).await;
        assert_eq!(shopper.led(&reply), SUCCESS);
        let session = shopper.session().await;
        assert_eq!(
            (&session["status"], &session["payment_status"]),
            (&"complete".into(), &"unpaid".into())
        );
        let page = shopper.looks("").await.text();
        assert!(page.contains("The money arrives") && page.contains("The money does not arrive"));
        // Twice, in two windows.
        for _ in 0..2 {
            let reply = shopper.posts("/bank", &[("money", money)]).await;
            assert_eq!(shopper.led(&reply), "/sandbox/checkout/ID");
        }
        assert!(shopper.looks("").await.text().contains(title));
        assert_eq!(shopper.session().await["payment_status"], status);
        let reloaded = shopper.looks("/bank").await;
        assert_eq!(shopper.led(&reloaded), "/sandbox/checkout/ID");
    }
}

#[tokio::test]
async fn mistakes_are_told_beside_their_fields_and_nothing_is_tried() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    let reply = shopper.pays(&[("number", "4242 4242 4242 4241"), ("expiry", "01/20")]).await;
    assert_eq!(reply.status, 422);
    let html = reply.text();
    for shown in [
        "<title>Please check: Pay ₹38,497.00</title>",
        "aria-invalid=\"true\" aria-describedby=\"number-mistake\" autofocus>",
        "<p class=\"mistake\" id=\"number-mistake\">Your card number is invalid",
        "aria-invalid=\"true\" aria-describedby=\"expiry-mistake\">",
        "Your card&#39;s expiry date is in the past.",
        "value=\"Asha Rao\"",
    ] {
        assert!(html.contains(shown), "{shown} is not in {html}");
    }
    assert_eq!(html.matches("autofocus").count(), 1);
    assert_eq!(shopper.events().await, Vec::<String>::new());
    assert_eq!(shopper.session().await["payment_intent"], Value::Null);
}

#[tokio::test]
async fn a_number_that_may_be_real_is_refused_and_kept_nowhere() {
    const NUMBER: &str = "4111111111111111";
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().to_owned());
    let options = storefront_sandbox::SandboxOptions { data, ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    let reply = shopper.pays(&[("number", NUMBER)]).await;
    assert_eq!(reply.status, 422);
    assert!(reply.text().contains("Never type a real card&#39;s number here."));
    assert!(!reply.text().contains(NUMBER), "it is not sent back");
    let typed_into_the_name = shopper.pays(&[("name", NUMBER)]).await;
    assert_eq!(typed_into_the_name.status, 422);
    // One that pays is known by its brand and its last four digits.
    shopper.pays(&[("number", "5555 5555 5555 4444")]).await;
    let path =
        format!("/v1/checkout/sessions/{}?expand[]=payment_intent.latest_charge", shopper.id);
    let session = shopper.client.get_json(&path).await;
    let card = &session["payment_intent"]["latest_charge"]["payment_method_details"]["card"];
    assert_eq!((&card["brand"], &card["last4"]), (&"mastercard".into(), &"4444".into()));
    sandbox.stop().await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for number in [NUMBER, "5555555555554444", "5555 5555 5555 4444"] {
            let found = bytes.windows(number.len()).any(|window| window == number.as_bytes());
            assert!(!found, "{number} is in the ledger's files");
        }
    }
}

#[tokio::test]
async fn a_test_cards_button_fills_the_form() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    let fields = [("number", "1"), ("name", "Asha"), ("fill", "378282246310005")];
    let page = shopper.posts("", &fields).await;
    assert_eq!(page.status, 200);
    let html = page.text();
    for filled in ["value=\"3782 822463 10005\"", "value=\"1234\"", "value=\"12 / 34\"", "\"Asha\""]
    {
        assert!(html.contains(filled), "{filled} is not in {html}");
    }
    assert!(html.contains("<button class=\"pay\" autofocus>"), "{html}");
    assert_eq!(shopper.events().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_address_that_the_shop_does_not_know_is_asked_for() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let cart: Vec<_> = CART.iter().copied().filter(|(name, _)| *name != "customer_email").collect();
    let session = client.post("/v1/checkout/sessions", &cart, None).await.json().unwrap();
    let id = session["id"].as_str().unwrap().to_owned();
    let shopper = Shopper { client, id };
    let reply = shopper.pays(&[]).await;
    assert_eq!(reply.status, 422);
    assert!(reply.text().contains("Enter your email"), "{}", reply.text());
    let decline = [("email", "meera@example.com"), ("number", "4000000000000002")];
    shopper.pays(&decline).await;
    assert!(shopper.looks("").await.text().contains("value=\"meera@example.com\""), "it is kept");
    let reply = shopper.pays(&[("email", "meera@example.com")]).await;
    assert_eq!(shopper.led(&reply), SUCCESS);
    assert_eq!(shopper.session().await["customer_details"]["email"], "meera@example.com");
}

#[tokio::test]
async fn what_cannot_be_paid_any_more_says_so() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    shopper.client.act(&shopper.id, "expire").await.expect_status(200).unwrap();
    let page = shopper.looks("").await;
    assert_eq!(page.status, 410);
    assert!(page.text().contains("This checkout has expired") && !page.text().contains("<form"));
    assert!(page.text().contains("href=\"http://shop.example/\""), "{}", page.text());
    let reply = shopper.pays(&[]).await;
    assert_eq!(shopper.led(&reply), "/sandbox/checkout/ID");
    for id in ["cs_test_none", "%3Cscript%3E", "a%2Fb%0D%0Ac"] {
        for below in ["", "/authenticate"] {
            let url = format!("{}/sandbox/checkout/{id}{below}", shopper.client.base);
            let page = shopper.client.http.get(&url).await.unwrap();
            assert_eq!(page.status, 404, "{url}");
            assert!(page.text().contains("There is no such checkout"), "{}", page.text());
            assert!(!page.text().contains("<script"), "{}", page.text());
            assert_eq!(shopper.client.http.post(&url).await.unwrap().status, 404, "{url}");
        }
    }
    let reply = shopper.client.http.get(shopper.url("/../%0d%0a/bank")).await.unwrap();
    assert!(matches!(reply.status, 303 | 400 | 404), "{}", reply.status);
    let large = "x".repeat(20_000);
    assert_eq!(shopper.pays(&[("name", &large)]).await.status, 413);
}

#[tokio::test]
async fn a_long_cart_leaves_the_form_near() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let mut cart: Vec<(String, String)> =
        CART.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for line in 2..12 {
        for (name, value) in [
            ("[price_data][currency]", "inr"),
            ("[price_data][unit_amount]", "100"),
            ("[price_data][product_data][name]", "कलम"),
            ("[quantity]", "1"),
        ] {
            cart.push((format!("line_items[{line}]{name}"), value.to_owned()));
        }
    }
    let cart: Vec<(&str, &str)> =
        cart.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let session = client.post("/v1/checkout/sessions", &cart, None).await.json().unwrap();
    let html = client.http.get(session["url"].as_str().unwrap()).await.unwrap().text();
    assert!(html.contains("<summary>6 more</summary>"), "{html}");
    assert_eq!(html.matches("<bdi>कलम</bdi>").count(), 10);
}

#[tokio::test]
async fn the_front_page_lists_sessions() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    let url = format!("{}/", client.base);
    assert!(client.http.get(&url).await.unwrap().text().contains("None yet."));
    let id = client.session().await;
    client.act(&id, "delay").await.expect_status(200).unwrap();
    let page = client.http.get(&url).await.unwrap().text();
    for shown in [&format!("href=\"/sandbox/checkout/{id}\""), "processing", "₹38,497.00"] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
}

/// The pages whole, to be looked at when they change.
#[tokio::test]
async fn the_pages_as_they_are_written() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let shopper = Shopper::arrives(&sandbox).await;
    let written = |page: Reply| page_text(&page.text(), &[&shopper.id]);
    insta::assert_snapshot!("checkout_open", written(shopper.looks("").await));
    let nothing = [("number", ""), ("expiry", ""), ("cvc", ""), ("name", "")];
    insta::assert_snapshot!("checkout_wrong", written(shopper.pays(&nothing).await));
    shopper.pays(&[("number", "4000000000009995")]).await;
    insta::assert_snapshot!("checkout_declined", written(shopper.looks("").await));
    shopper.pays(&[("number", "4000000000003220")]).await;
    insta::assert_snapshot!("checkout_challenge", written(shopper.looks("/authenticate").await));
    shopper.posts("", &[("method", "bank")]).await;
    insta::assert_snapshot!("checkout_processing", written(shopper.looks("").await));
}
