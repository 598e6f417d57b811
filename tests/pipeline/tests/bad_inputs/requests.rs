//! Requests, on raw sockets.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use storefront_pipeline_tests::{Shop, ok};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than the shop waits for a request that does not come whole.
const LIMIT: Duration = Duration::from_secs(40);
const AT_ONCE: usize = 16;

struct Case {
    what: String,
    bytes: Vec<u8>,
    /// Any of these.
    statuses: &'static [u16],
}

fn case(what: &str, bytes: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Case {
    Case { what: what.into(), bytes: bytes.into(), statuses }
}

fn head(line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n{more}\r\n")
}

fn get(path: &str) -> String {
    head(&format!("GET {path}"), "")
}

fn post(path: &str, more: &str, body: &str) -> String {
    let fields =
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n{more}", body.len());
    head(&format!("POST {path}"), &fields) + body
}

fn pay(body: &Value) -> String {
    post("/payment", "", &body.to_string())
}

fn cart(cart: impl Into<Value>) -> Value {
    json!({"userId": "eve", "cart": cart.into()})
}

fn with(name: &str, value: impl Into<Value>) -> String {
    let mut body = cart(json!([{"id": "chai", "quantity": 1}]));
    body[name] = value.into();
    pay(&body)
}

fn quantity(written: &str) -> String {
    let body = format!(r#"{{"userId": "eve", "cart": [{{"id": "chai", "quantity": {written}}}]}}"#);
    post("/payment", "", &body)
}

/// Carts and their prices.
fn carts() -> Vec<Case> {
    let line = |id: &str| json!({"id": id, "quantity": 1});
    let lines = |count: usize| pay(&cart(vec![line("chai"); count]));
    let mut cases = vec![
        case("an amount", with("amount", 1), &[422]),
        case("a total", with("total", 1), &[422]),
        case(
            "another price",
            pay(&cart(json!([{"id": "chai", "quantity": 1, "price": 1}]))),
            &[409],
        ),
        case(
            "a price below zero",
            pay(&cart(json!([{"id": "chai", "quantity": 1, "price": -1}]))),
            &[409, 422],
        ),
        case("no line", lines(0), &[422]),
        case("101 lines", lines(101), &[422]),
        case("100,000 lines", lines(100_000), &[413]),
        case(
            "more than can be paid",
            pay(&cart(vec![json!({"id": "phone", "quantity": 1_000}); 100])),
            &[422],
        ),
        case("an unknown product", pay(&cart([line("gramophone")])), &[422]),
        case("another currency", with("currency", "USD"), &[422]),
        case("somebody important", with("isAdmin", true), &[422]),
        case("paid already", with("state", "paid"), &[422]),
        case("a prototype", with("__proto__", json!({"price": 1})), &[422]),
    ];
    for written in [
        "-1",
        "0",
        "1.5",
        "2147483648",
        "9223372036854775808",
        "1e400",
        "\"1e9\"",
        "null",
        "[1]",
        "true",
    ] {
        cases.push(case(written, quantity(written), &[400, 422]));
    }
    cases.push(case("NaN", quantity("NaN"), &[400]));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    cases.push(case("ten thousand deep", quantity(&deep), &[400, 422]));
    let array = post("/payment", "", r#"["eve", null, [{"id": "chai", "quantity": 1}]]"#);
    cases.push(case("an array for an object", array, &[422]));
    cases.push(case("an array for a line", pay(&cart(json!([["chai", 1]]))), &[422]));
    cases
}

/// How a request is framed.
fn framing() -> Vec<Case> {
    let chunked =
        head("POST /payment", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n");
    let typed =
        |more: &str| head("POST /payment", &format!("Content-Type: application/json\r\n{more}"));
    let length = |written: &str| typed(&format!("Content-Length: {written}\r\n")) + "hello";
    let line = "GET /catalog HTTP/1.1\r\n";
    let endless = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000)).repeat(40);
    let large = post("/payment", "", &"x".repeat((2 << 20) + 1));
    vec![
        case("a body too large", large, &[413]),
        case("chunks without end", format!("{chunked}{endless}"), &[413]),
        case("a head that does not end", format!("{line}Ho"), &[408]),
        case("a body that does not end", length("10"), &[408]),
        case("a chunk that does not end", format!("{chunked}5\r\nhel"), &[408]),
        case(
            "length and chunked",
            head("POST /payment", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")
                + "0\r\n\r\n",
            &[400],
        ),
        case("+5", length("+5"), &[400]),
        case("5, 6", length("5, 6"), &[400]),
        case("0x5", length("0x5"), &[400]),
        case("two lengths", length("5\r\nContent-Length: 6"), &[400]),
        case("bare LF", "GET /catalog HTTP/1.1\nHost: a\n\n", &[400]),
        case("a folded line", format!("{line}Host: a\r\nX: b\r\n c\r\n\r\n"), &[400]),
        case("a space before a colon", format!("{line}Host : a\r\n\r\n"), &[400]),
        case("NUL", format!("{line}Host: a\r\nX: b\0c\r\n\r\n"), &[400]),
        case("a chunk without measure", format!("{chunked}FFFFFFFFFFFFFFFF\r\nx"), &[400]),
        case(
            "an extension without end",
            format!("{chunked}1;{}\r\nx", "e".repeat(1 << 20)),
            &[400],
        ),
        case("CONNECT", head("CONNECT host:443", ""), &[400, 405]),
        case("TRACE", head("TRACE /", ""), &[400, 405]),
        case("another server", get("http://169.254.169.254/latest/meta-data/"), &[400, 404]),
        case("a file", get("file:///etc/passwd"), &[400, 404]),
        case("two hosts", format!("{line}Host: a\r\nHost: b\r\n\r\n"), &[400]),
        case("no host", format!("{line}\r\n"), &[400]),
        case("an empty host", format!("{line}Host:\r\n\r\n"), &[400]),
        case("a user at a host", format!("{line}Host: a@b\r\n\r\n"), &[400]),
        case("a port too high", format!("{line}Host: a:99999\r\n\r\n"), &[400]),
        case("101 headers", format!("{line}Host: a\r\n{}\r\n", "X: y\r\n".repeat(100)), &[431]),
        case(
            "64 KB of headers",
            format!("{line}Host: a\r\nX: {}\r\n\r\n", "y".repeat(64 << 10)),
            &[431],
        ),
        case("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
        case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(), &[400]),
    ]
}

/// Places that are none, or not a shopper's.
fn places() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/payment/../admin",
        "/payment/%2e%2e/admin",
        "/%2e%2e%2f",
        "/payment/..%5cadmin",
        "/payment/%00",
    ] {
        cases.push(case(path, get(path), &[400, 404]));
    }
    for path in [
        "//payment",
        "/payment//verify",
        "/payment/verify/;x=1",
        "/PAYMENT",
        "/metrics",
        "/analytics",
        "/control/faults",
    ] {
        cases.push(case(path, get(path), &[400, 404]));
    }
    let session = |id: &str| get(&format!("/payment/verify?session_id={id}"));
    for (what, id) in [
        ("made up", "cs_test_a1nobodymadethis"),
        ("of the other mode", "cs_live_a1b2"),
        ("no session", "..%2F..%2Fcharges"),
    ] {
        cases.push(case(what, session(id), &[400, 404]));
    }
    cases.push(case("10 KB", session(&"cs_test_1".repeat(1_200)), &[400, 404, 414]));
    let page = get("/success?session_id=%3Cscript%3Ealert(1)%3C/script%3E");
    cases.push(case("a script for the page", page, &[200, 400, 404]));
    cases
}

/// Webhooks that Stripe did not send.
fn webhooks() -> Vec<Case> {
    let event = r#"{"id": "evt_1", "type": "checkout.session.completed"}"#;
    let signed = |signature: &str| {
        post("/payment/webhook", &format!("Stripe-Signature: {signature}\r\n"), event)
    };
    let digest = "a".repeat(64);
    vec![
        case("unsigned", post("/payment/webhook", "", event), &[400]),
        case("signed by somebody", signed(&format!("t=1700000000,v1={digest}")), &[400]),
        case("without a time", signed(&format!("v1={digest}")), &[400]),
        case("with two times", signed(&format!("t=1,t=2,v1={digest}")), &[400]),
        case("only v0", signed(&format!("t=1700000000,v0={digest}")), &[400]),
        case("nonsense", signed("nonsense"), &[400]),
        case("a signature of 10 KB", signed(&"v1=00,".repeat(1_700)), &[400, 431]),
    ]
}

/// What is only ignored: the answer is the usual one.
fn ignored() -> Vec<Case> {
    let claims = "X-User-Id: admin\r\nX_User_Id: admin\r\nX.User.Id: admin\r\nx-user-id: root\r\n";
    vec![case("who one claims to be", head("GET /catalog", claims), &[200])]
}

fn cases() -> Vec<Case> {
    [carts(), framing(), places(), webhooks(), ignored()].into_iter().flatten().collect()
}

/// Everything that is answered until the connection closes.
async fn raw(address: &str, bytes: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let (mut reads, mut writes) = stream.split();
    let send = async {
        // Whoever has answered need not listen to the rest.
        writes.write_all(bytes).await.ok();
        Ok(())
    };
    let mut answer = Vec::new();
    let read = async {
        // What is cut after the answer is cut.
        reads.read_to_end(&mut answer).await.ok();
        anyhow::Ok(())
    };
    timeout(LIMIT, async { tokio::try_join!(send, read) }).await.context("never closed")??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.match_indices("HTTP/1.1 ");
    lines.filter_map(|(at, line)| answer.get(at + line.len()..)?.get(..3)?.parse().ok()).collect()
}

async fn holds(shop: &Shop, address: &str, case: Case) -> Result<()> {
    let Case { what, bytes, statuses: allowed } = case;
    let answer = raw(address, &bytes).await.context(what.clone())?;
    let told: String = answer.chars().take(600).collect();
    let got = statuses(&answer);
    ensure!(got.len() == 1 && allowed.contains(&got[0]), "{what}: {got:?} in {told}");
    if got[0] >= 400 && !bytes.starts_with(b"GET /success") {
        ensure!(answer.contains("application/problem+json"), "{what}: {told}");
    }
    ensure!(!answer.contains("<script>alert"), "{what}: {told}");
    for service in shop.ready.services.values() {
        for url in [&service["http"], &service["admin"]] {
            let port = url.as_str().and_then(|url| url.rsplit(':').next()).context("no address")?;
            ensure!(!answer.contains(&format!(":{port}")), "{what} tells an address: {told}");
        }
    }
    Ok(())
}

/// The series of a service's metrics that begin with a name.
async fn series(shop: &Shop, service: &str, name: &str) -> Result<Vec<String>> {
    let admin = shop.ready.services[service]["admin"].as_str().context("no address")?;
    let text = shop.http.get(format!("{admin}/metrics")).await?.text();
    Ok(text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gets_its_answer_and_the_shop_sells_on() -> Result<()> {
    let shop = Shop::start(&[]).await?;
    let address = shop.ready.gateway.trim_start_matches("http://").to_owned();
    let wrong: Vec<String> = stream::iter(cases())
        .map(|case| holds(&shop, &address, case))
        .buffer_unordered(AT_ONCE)
        .filter_map(async |held| held.err().map(|error| format!("{error:#}")))
        .collect()
        .await;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    flood(&shop, &address).await?;
    let sessions = ok(&shop.http.get(shop.sandbox("/control/sessions?limit=1")).await?)?;
    ensure!(sessions["sessions"] == json!([]), "somebody got a session: {sessions}");
    for service in ["gateway", "payment"] {
        let answered = series(&shop, service, "http_server_request_duration_seconds_count").await?;
        // An HTTP version that is not spoken is a 505 by its name.
        let is_wrong =
            |line: &&String| line.contains("status=\"5") && !line.contains("status=\"505\"");
        let wrong = answered.iter().find(is_wrong);
        ensure!(wrong.is_none(), "{service}: {wrong:?}");
    }
    let session = shop.checkout("ada", "cart").await?;
    ok(&shop.act(&session, "pay").await?)?;
    let verified = shop.verify(&session).await?;
    ensure!(verified["status"] == "paid", "{verified}");
    log_is_clean(&shop, &address).await
}

/// Unsigned webhooks, as fast as they can be sent, cost no question to Stripe.
async fn flood(shop: &Shop, address: &str) -> Result<()> {
    const CALLS: &str = "storefront_stripe_calls_total{call=\"retrieve_session\"";
    let before = series(shop, "payment", CALLS).await?;
    let body = r#"{"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {"id": "cs_test_1"}}}"#;
    let request = post("/payment/webhook", "", body);
    let answers: Vec<String> = stream::iter(0..1_000)
        .map(|_| raw(address, request.as_bytes()))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    ensure!(answers.iter().all(|answer| statuses(answer) == [400]), "not all are refused");
    ensure!(series(shop, "payment", CALLS).await? == before, "Stripe was asked");
    Ok(())
}

/// What was sent in paths, headers and bodies is in the log without what must not be there.
async fn log_is_clean(shop: &Shop, address: &str) -> Result<()> {
    let secrets = [
        "4242424242424242",
        "sk_live_51NobodyHasThisKey",
        "hunter2-bearer-token",
        "ada@example.com",
    ];
    let [card, key, token, email] = secrets;
    let body = json!({"userId": format!("{card}\u{1b}[31m"), "email": email, "cart": [{"id": key, "quantity": 1}]});
    let bearer = format!("Authorization: Bearer {token}\r\n");
    raw(address, post("/payment", &bearer, &body.to_string()).as_bytes()).await?;
    raw(address, get(&format!("/nowhere/%1b[31m{card}/{key}/{email}")).as_bytes()).await?;
    raw(address, get(&format!("/payment/verify?session_id={key}%0d%0aforged+line")).as_bytes())
        .await?;
    let log = shop.dev.log();
    ensure!(!log.is_empty(), "there is no log");
    for secret in secrets {
        ensure!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    ensure!(
        !log.contains('\u{1b}') && !log.lines().any(|line| line.starts_with("forged")),
        "{log}"
    );
    Ok(())
}
