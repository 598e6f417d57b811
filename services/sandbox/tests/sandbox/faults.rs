//! Faults in which an answer does not come, comes too late, or is not what was sent.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use storefront_sandbox::{
    OLD_WEBHOOK_SECRET, Sandbox, SandboxOptions, SmtpLimits, State, webhook_signature,
};
use storefront_testkit::eventually;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    client::{CART, Client},
    webhooks::{Shop, all_delivered, sandbox},
};

const LIMIT: Duration = Duration::from_secs(20);
const SESSIONS: &str = "/v1/checkout/sessions";

async fn started() -> (Sandbox, Client) {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let client = Client::of(&sandbox);
    (sandbox, client)
}

async fn faults(client: &Client, faults: Value) {
    client.faults(faults).await.expect_status(200).unwrap();
}

#[tokio::test]
async fn an_answer_that_is_cut_was_given_or_not() {
    let (sandbox, client) = started().await;
    let cut = |applied: bool| json!({"api": {"how": "cut", "applied": applied}});
    faults(&client, cut(false)).await;
    client.try_post(SESSIONS, CART, Some("k1")).await.unwrap_err();
    assert_eq!(sandbox.sessions().await.unwrap().len(), 0);
    faults(&client, cut(true)).await;
    client.try_post(SESSIONS, CART, Some("k1")).await.unwrap_err();
    let made = sandbox.sessions().await.unwrap();
    assert_eq!(made.len(), 1, "done, though nobody was told");
    faults(&client, json!({})).await;
    let again = client.post(SESSIONS, CART, Some("k1")).await.expect_status(200).unwrap();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json().unwrap()["id"], json!(made[0].id));
}

#[tokio::test]
async fn what_hangs_ends_when_the_faults_are_set_anew() {
    let (sandbox, client) = started().await;
    for (applied, meanwhile, sessions) in [(false, 409, 0), (true, 200, 1)] {
        let key = Some(if applied { "k-applied" } else { "k" });
        faults(&client, json!({"api": {"how": "hang", "applied": applied, "calls": ["create"]}}))
            .await;
        let hanging = client.try_post(SESSIONS, CART, key);
        let mended = async {
            eventually(LIMIT, "the first hangs", async || {
                client.get_json("/control/faults/strikes").await["strikes"] == 1
            })
            .await;
            // In flight until then; or done, and its answer kept.
            eventually(LIMIT, "the second answer", async || {
                let second = client.try_post(SESSIONS, CART, key);
                let second = tokio::time::timeout(Duration::from_millis(500), second).await;
                matches!(second, Ok(Ok(reply)) if reply.status == meanwhile)
            })
            .await;
            faults(&client, json!({})).await;
        };
        let (hung, ()) = tokio::join!(hanging, mended);
        assert!(hung.is_err(), "cut in the end");
        assert_eq!(sandbox.sessions().await.unwrap().len(), sessions);
    }
}

#[tokio::test]
async fn a_shop_can_tell_what_was_tampered_with_and_heals() {
    let shop = Shop::open().await;
    let sandbox = sandbox(&shop).await;
    let client = Client::of(&sandbox);
    for (broken, secret, skew) in [
        (json!({"webhooks": "tamper"}), None, 0),
        (json!({"webhooks": "old-secret"}), Some(OLD_WEBHOOK_SECRET), 0),
        (json!({"webhook_skew_s": -400}), Some(Sandbox::WEBHOOK_SECRET), -400),
        (json!({}), Some(Sandbox::WEBHOOK_SECRET), 0),
    ] {
        faults(&client, broken.clone()).await;
        let before = shop.seen().len();
        let now = jiff::Timestamp::now().as_second();
        sandbox.pay(&client.session().await).await.unwrap();
        all_delivered(&sandbox, i64::try_from(before).unwrap() + 4).await;
        for (headers, body) in &shop.seen()[before..] {
            let signature = headers["stripe-signature"].to_str().unwrap();
            let time = signature.strip_prefix("t=").unwrap().split_once(',').unwrap().0;
            let time: i64 = time.parse().unwrap();
            assert!((skew..=skew + 30).contains(&(time - now)), "{broken}: {}", time - now);
            let right = webhook_signature(Sandbox::WEBHOOK_SECRET, body, time);
            let own = secret.map_or(right.clone(), |own| webhook_signature(own, body, time));
            assert_eq!(signature == own, secret.is_some(), "{broken}");
            assert_eq!(signature == right, secret == Some(Sandbox::WEBHOOK_SECRET), "{broken}");
            serde_json::from_str::<Value>(body).unwrap();
        }
    }
}

#[tokio::test]
async fn news_that_come_days_late() {
    let shop = Shop::open().await;
    let sandbox = sandbox(&shop).await;
    let client = Client::of(&sandbox);
    let days = 3 * 24 * 3_600;
    faults(&client, json!({"webhook_delay_ms": days * 1_000, "webhook_age_s": days})).await;
    sandbox.pay(&client.session().await).await.unwrap();
    assert_eq!(sandbox.deliveries().await.unwrap().pending, 4);
    assert_eq!(shop.seen().len(), 0);
    let url = format!("{}/control/webhooks/deliver", client.base);
    client.http.post(url).await.unwrap().expect_status(200).unwrap();
    all_delivered(&sandbox, 4).await;
    let listed = client.get_json("/v1/events").await;
    let created = listed["data"][0]["created"].as_i64().unwrap();
    for (_, body) in shop.seen() {
        let event: Value = serde_json::from_str(&body).unwrap();
        assert!((0..30).contains(&(created - days - event["created"].as_i64().unwrap())));
    }
}

#[tokio::test]
async fn money_by_bank_comes_or_does_not() {
    let (sandbox, client) = started().await;
    let delayed = json!({"seed": 7, "delayed": {"after_ms": 20, "fail_share": 0.5}});
    faults(&client, delayed).await;
    for _ in 0..12 {
        let id = client.session().await;
        let told = client.act(&id, "delay").await.expect_status(200).unwrap().json().unwrap();
        assert_eq!(told["state"], "processing");
    }
    eventually(LIMIT, "every payment has ended", async || {
        let sessions = sandbox.sessions().await.unwrap();
        sessions.iter().all(|session| session.state != State::Processing)
    })
    .await;
    let sessions = sandbox.sessions().await.unwrap();
    let paid = sessions.iter().filter(|session| session.state == State::Paid).count();
    assert!((1..12).contains(&paid), "{paid} of 12");
    for (event, count) in [("succeeded", paid), ("failed", 12 - paid)] {
        let path = format!("/v1/events?limit=100&type=checkout.session.async_payment_{event}");
        let events = client.get_json(&path).await;
        assert_eq!(events["data"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_or_little() {
    // Longer than the test: what ends a silence is the change of the faults.
    let smtp_limits = SmtpLimits { idle: LIMIT, ..SmtpLimits::default() };
    let options = SandboxOptions { smtp_limits: Some(smtp_limits), ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let client = Client::of(&sandbox);
    let talk = async |bytes: &[u8]| {
        let mut stream = BufReader::new(TcpStream::connect(sandbox.smtp_address()).await.unwrap());
        stream.write_all(bytes).await.unwrap();
        stream
    };
    faults(&client, json!({"smtp": {"at": "connect", "how": "silence"}})).await;
    let mut silent = talk(b"EHLO shop\r\n").await;
    eventually(LIMIT, "the server is silent to it", async || {
        client.get_json("/control/faults/strikes").await["strikes"] == 1
    })
    .await;
    let mut said = String::new();
    let read = silent.read_to_string(&mut said);
    let mended = faults(&client, json!({"smtp": {"at": "connect", "how": "trickle"}}));
    tokio::join!(async { read.await.unwrap() }, mended);
    assert_eq!(said, "");

    let began = Instant::now();
    let mut slow = talk(b"EHLO shop\r\n").await;
    let mut first = [0; 2];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"22");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    // From then on it goes on as if nothing had been.
    faults(&client, json!({})).await;
    slow.write_all(b"QUIT\r\n").await.unwrap();
    let mut lines = slow.lines();
    let mut last = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        last = line;
    }
    assert!(last.starts_with("221"), "{last}");
    assert!(began.elapsed() < LIMIT);
}
