//! What no service may ever see: each refused with a problem, and nothing forwarded.

use std::{future::Future, pin::Pin};

use proptest::{prelude::*, test_runner::TestRunner};

use crate::support::{Gateway, Service, ok, settings};

async fn start() -> (Gateway, Service) {
    let payment = Service::start(|_| ok("from payment")).await;
    (Gateway::start(settings(payment.address)).await, payment)
}

/// Status of each answer in what a connection gave.
fn statuses(text: &str) -> Vec<&str> {
    let answers = text.match_indices("HTTP/1.1 ");
    let words = answers.map(|(at, line)| &text[at + line.len()..at + line.len() + 3]);
    words.filter(|word| word.parse::<u16>().is_ok()).collect()
}

/// (what, the request, the status that it gets).
fn framing() -> Vec<(&'static str, String, &'static str)> {
    let post = "POST /payment HTTP/1.1\r\nHost: shop\r\n";
    let chunked = "POST /payment HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n";
    let get = "GET /payment HTTP/1.1\r\n";
    let large = "x".repeat(100_001);
    vec![
        ("body too large", format!("{post}Content-Length: 100001\r\n\r\n{large}"), "413"),
        (
            "endless chunks",
            format!("{chunked}{}", format!("1000\r\n{}\r\n", "x".repeat(0x1000)).repeat(30)),
            "413",
        ),
        ("slow head", "GET /payment HTTP/1.1\r\nHo".into(), "408"),
        ("slow body", format!("{post}Content-Length: 10\r\n\r\n12345"), "408"),
        ("slow chunk", format!("{chunked}5\r\nhel"), "408"),
        (
            "length and chunked",
            format!(
                "{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /catalog HTTP/1.1\r\nHost: a\r\n\r\n"
            ),
            "400",
        ),
        (
            "chunked and length",
            format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "chunked twice",
            format!(
                "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
            ),
            "400",
        ),
        (
            "chunked not last",
            format!("{post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "chunked in disguise",
            format!("{post}Transfer-Encoding: x\tchunked\r\n\r\n0\r\n\r\n"),
            "400",
        ),
        (
            "chunked with HTTP/1.0",
            "POST /payment HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            "400",
        ),
        ("plus", format!("{post}Content-Length: +5\r\n\r\nhello"), "400"),
        ("list", format!("{post}Content-Length: 5, 6\r\n\r\nhello"), "400"),
        ("hexadecimal", format!("{post}Content-Length: 0x5\r\n\r\nhello"), "400"),
        (
            "two lengths",
            format!("{post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
            "400",
        ),
        ("negative", format!("{post}Content-Length: -1\r\n\r\n"), "400"),
        ("overflow", format!("{post}Content-Length: 18446744073709551616\r\n\r\n"), "400"),
        ("bare LF", "GET /payment HTTP/1.1\nHost: shop\n\n".into(), "400"),
        ("one bare LF", format!("{get}Host: shop\nX: y\r\n\r\n"), "400"),
        ("folded", format!("{get}Host: shop\r\nX: a\r\n b\r\n\r\n"), "400"),
        ("space before colon", format!("{get}Host: shop\r\nX : a\r\n\r\n"), "400"),
        ("NUL", format!("{get}Host: shop\r\nX: a\0b\r\n\r\n"), "400"),
        ("bare CR", format!("{get}Host: shop\r\nX: a\rb\r\n\r\n"), "400"),
        ("chunk size overflow", format!("{chunked}FFFFFFFFFFFFFFFF\r\nx"), "400"),
        ("chunk extension", format!("{chunked}1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(1 << 20)), "400"),
        ("chunk size with sign", format!("{chunked}+1\r\nx\r\n0\r\n\r\n"), "400"),
        ("chunk size with LF", format!("{chunked}1\nx\r\n0\r\n\r\n"), "400"),
        ("chunk too long", format!("{chunked}1\r\nxy\r\n0\r\n\r\n"), "400"),
        (
            "own absolute form",
            "GET http://shop/payment HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".into(),
            "400",
        ),
        ("no Host", format!("{get}\r\n"), "400"),
        ("two Hosts", format!("{get}Host: a\r\nHost: b\r\n\r\n"), "400"),
        ("empty Host", format!("{get}Host: \r\n\r\n"), "400"),
        ("user in Host", format!("{get}Host: a@b\r\n\r\n"), "400"),
        ("port", format!("{get}Host: a:99999\r\n\r\n"), "400"),
        ("101 headers", format!("{get}Host: a\r\n{}\r\n", "X: y\r\n".repeat(100)), "431"),
        ("64 KB of headers", format!("{get}Host: a\r\nX: {}\r\n\r\n", "y".repeat(64 << 10)), "431"),
        (
            "long target",
            format!("GET /payment?{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(9000)),
            "414",
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "505"),
        ("no request", "hello\r\n\r\n".into(), "400"),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".into(), "400"),
        ("expectation", format!("{post}Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx"), "417"),
    ]
}

#[tokio::test]
async fn bad_framing_is_refused_and_the_connection_closes() {
    let (gateway, payment) = start().await;
    for (what, request, status) in framing() {
        let answer = gateway.raw(request.as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{what}: {answer}");
        assert!(answer.contains("application/problem+json"), "{what}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{what}: {answer}");
        assert!(!answer.contains(&payment.address.to_string()), "{what}: {answer}");
    }
    // Bodies that went wrong on the way were cut off: no service saw one whole.
    assert_eq!(payment.seen().len(), 0, "{:?}", payment.seen());
}

#[tokio::test]
async fn paths_have_one_meaning_or_none() {
    let (gateway, payment) = start().await;
    let cases = [
        // Another place than it says.
        ("/payment/../admin", 404),
        ("/payment/%2e%2e/admin", 404),
        ("/%2e%2e%2f", 400),
        ("/payment%2f..%2fadmin", 400),
        ("/payment/..;/admin", 400),
        ("/payment/..%5cadmin", 400),
        ("/payment/%00", 400),
        ("/payment/%c0%ae%c0%ae/admin", 400),
        ("/payment\\admin", 400),
        // Nearly a route.
        ("//payment", 400),
        ("/payment//verify", 400),
        ("/PAYMENT", 404),
        ("/payments", 404),
        ("/payment;x=1", 404),
        ("/payment.", 404),
        // Another server.
        ("http://169.254.169.254/", 400),
        ("http://169.254.169.254/payment", 400),
        ("*", 400),
    ];
    for (path, status) in cases {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        answer.json();
    }
    assert_eq!(payment.seen().len(), 0, "{:?}", payment.seen());
    assert_eq!(payment.connections(), 0);
}

#[tokio::test]
async fn what_is_forwarded_is_what_was_routed() {
    let (gateway, payment) = start().await;
    let cases = [
        ("/payment", "/payment"),
        ("/payment/", "/payment/"),
        ("/payment/verify?session_id=cs%2F1&x=../..", "/payment/verify?session_id=cs%2F1&x=../.."),
        ("/payment/verify/;x=1", "/payment/verify/;x=1"),
        ("/x/../payment/%76erify?a=%2e", "/payment/verify?a=%2e"),
        ("/%70ayment/caf%c3%a9", "/payment/caf%C3%A9"),
        ("/payment/%252e%252e", "/payment/%252e%252e"),
    ];
    for (path, forwarded) in cases {
        assert_eq!(gateway.get(path).await.status, 200, "{path}");
        let seen = payment.seen();
        assert_eq!(seen.last().unwrap().line(), format!("GET {forwarded} HTTP/1.1"));
    }
}

#[tokio::test]
async fn methods_and_protocols_that_no_shop_needs_are_refused() {
    let (gateway, payment) = start().await;
    for request in [
        "CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n",
        "CONNECT /payment HTTP/1.1\r\nHost: host\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: shop\r\n\r\n",
        "TRACE /payment HTTP/1.1\r\nHost: shop\r\n\r\n",
    ] {
        let answer = gateway.ask(request).await;
        assert!([400, 405].contains(&answer.status), "{request}: {answer:?}");
        answer.json();
    }
    let upgrade =
        "GET /payment HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(gateway.ask(upgrade).await.status, 400);
    assert_eq!(payment.connections(), 0);
    // curl --http2 asks for it and is content without.
    let h2c = "GET /payment HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n";
    assert_eq!(gateway.ask(h2c).await.status, 200);
    assert!(
        payment.seen()[0].fields("upgrade").is_empty()
            && payment.seen()[0].fields("http2-settings").is_empty()
    );
}

#[tokio::test]
async fn a_client_cannot_say_who_it_is_or_where_from() {
    let (gateway, payment) = start().await;
    let request = "GET /payment HTTP/1.1\r\nHost: shop.example\r\nX-User-Id: admin\r\nx-user-id: root\r\n\
        X_User_Id: admin\r\nX.User.Id: admin\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 1.2.3.4\r\nX-Hop: 1\r\n\
        Connection: keep-alive, x-hop, x-forwarded-for\r\nTE: trailers\r\nAccept: */*\r\n\r\n";
    assert_eq!(gateway.ask(request).await.status, 200);
    let seen = &payment.seen()[0];
    for gone in [
        "x-user-id",
        "x_user_id",
        "x.user.id",
        "forwarded",
        "x-real-ip",
        "x-hop",
        "connection",
        "te",
    ] {
        assert!(seen.fields(gone).is_empty(), "{gone} in {}", seen.head);
    }
    assert_eq!(seen.fields("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.fields("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.fields("x-forwarded-host"), ["shop.example"]);
    assert_eq!(seen.fields("host"), ["shop.example"]);
    assert_eq!(seen.fields("accept"), ["*/*"]);
}

#[tokio::test]
async fn a_404_names_what_there_is_and_echoes_safely() {
    let (gateway, _) = start().await;
    let mut json = gateway.get("/nowhere/x").await.json();
    assert!(json["traceId"].take().is_string());
    insta::assert_json_snapshot!(json, @r#"
    {
      "title": "Not Found",
      "status": 404,
      "detail": "there is nothing at /nowhere/x; this shop has the pages / and /success, and /catalog, /payment",
      "traceId": null,
      "path": "/nowhere/x",
      "services": [
        {
          "service": "payment",
          "path": "/catalog"
        },
        {
          "service": "payment",
          "path": "/payment"
        }
      ]
    }
    "#);
    let long = format!("/{}'&x;", "y".repeat(5000));
    let answer = gateway.get(&long).await;
    assert!(answer.body.len() < 1000 && answer.status == 404, "{answer:?}");
}

/// Lines that frame a request, well or badly.
const LINES: [&str; 17] = [
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 44\r\n",
    "content-length:\t44 \r\n",
    "Content-Length: 5, 44\r\n",
    "Content-Length : 44\r\n",
    "Content_Length: 44\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: cHuNkEd \r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding\r\n : chunked\r\n",
    "Transfer-Encoding:\n chunked\r\n",
    "Connection: Content-Length, Transfer-Encoding\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\n",
];
const BODIES: [&str; 6] =
    ["", "hello", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "2c;x=y\r\n", "0\r\nT: x\r\n\r\n"];

#[test]
fn gateway_and_service_agree_where_requests_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (gateway, payment) = runtime.block_on(start());
    let line = proptest::sample::select(&LINES[..]);
    let body = proptest::sample::select(&BODIES[..]);
    let requests = (proptest::collection::vec(line, 0..3), body, 1_usize..60);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    let forwarded = std::cell::Cell::new(0);
    runner
        .run(&requests, |(lines, body, size)| {
            let smuggled = "GET /payment/second HTTP/1.1\r\nHost: a\r\n\r\n";
            let head = format!("POST /payment/first HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat());
            // Closed at the end, so that a head that is not whole does not cost its time limit.
            let all = format!("{head}{body}{smuggled}\r\n\r\nGET /bye HTTP/1.0\r\n\r\n");
            let work: Pin<Box<dyn Future<Output = String>>> = Box::pin(async {
                let mut client = gateway.connect().await;
                for piece in all.as_bytes().chunks(size) {
                    client.send(piece).await;
                }
                client.rest().await
            });
            let answer = runtime.block_on(work);
            // Each request that reached the service was one that the client got an answer for.
            let answered = statuses(&answer).iter().filter(|status| **status == "200").count();
            let seen: Vec<_> = payment.seen.lock().unwrap().drain(..).collect();
            forwarded.set(forwarded.get() + seen.len());
            prop_assert_eq!(answered, seen.len(), "{:?} got {:?}", all, answer);
            for request in seen {
                let lengths = request.fields("content-length").len();
                let chunked = request.fields("transfer-encoding").len();
                prop_assert!(lengths + chunked <= 1, "{}", request.head);
            }
            Ok(())
        })
        .unwrap();
    assert!(forwarded.get() > 100, "only {} of 300 cases were forwarded", forwarded.get());
}
