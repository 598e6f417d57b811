//! What passes through unchanged, and how connections are used.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestRunner};
use tokio::io::AsyncReadExt;

use crate::support::{Client, Gateway, Reply, Service, eventually, fields, ok, settings};

async fn start(
    reply: impl Fn(&crate::support::Seen) -> Reply + Send + Sync + 'static,
) -> (Gateway, Service) {
    let payment = Service::start(reply).await;
    (Gateway::start(settings(payment.address)).await, payment)
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /payment/webhook HTTP/1.1\r\nHost: shop\r\nStripe-Signature: t=1,v1=ab\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut request =
        b"POST /payment/webhook HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for (index, chunk) in body.chunks(size).enumerate() {
        // All extensions of a body together have a bound of 4096 bytes.
        let extension = if index < 100 { ";ext=1" } else { "" };
        request.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\nX-Trailer: 1\r\n\r\n");
    request
}

#[test]
fn a_webhook_passes_byte_for_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (gateway, payment) = runtime.block_on(start(|_| ok("")));
    let bodies = (proptest::collection::vec(any::<u8>(), 0..5000), 1_usize..2000);
    TestRunner::new(ProptestConfig::with_cases(64))
        .run(&bodies, |(body, size)| {
            runtime.block_on(async {
                for request in [post(&body), chunked(&body, size)] {
                    let mut client = gateway.connect().await;
                    for piece in request.chunks(size) {
                        client.send(piece).await;
                    }
                    assert_eq!(client.answer().await.status, 200);
                    let seen = payment.seen.lock().unwrap().pop().unwrap();
                    assert_eq!(seen.body, body);
                    assert_eq!(seen.fields("x-trailer").len(), 0);
                }
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_request_keeps_what_is_its_own() {
    let (gateway, payment) = start(|_| ok("done")).await;
    let mut client = gateway.connect().await;
    client.send(&post(b"{}")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "done"));
    let seen = &payment.seen()[0];
    assert_eq!(seen.line(), "POST /payment/webhook HTTP/1.1");
    assert_eq!(seen.fields("stripe-signature"), ["t=1,v1=ab"]);
    assert_eq!(seen.fields("content-length"), ["2"]);
    assert_eq!(seen.fields("host"), ["shop"]);
    let traceparent = seen.fields("traceparent")[0];
    let request_id = answer.fields("x-request-id")[0];
    assert_eq!(traceparent.split('-').nth(1), Some(request_id));
}

#[tokio::test]
async fn a_trace_goes_on_or_begins() {
    let (gateway, payment) = start(|_| ok("")).await;
    let ask = async |lines: &str| {
        gateway.ask(&format!("GET /payment HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        payment.seen.lock().unwrap().pop().unwrap()
    };
    let known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let seen = ask(&format!("traceparent: {known}\r\ntracestate: a=b\r\n")).await;
    assert!(seen.fields("traceparent")[0].starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert_ne!(seen.fields("traceparent"), [known], "a span of its own");
    assert_eq!(seen.fields("tracestate"), ["a=b"]);
    for bad in [
        "traceparent: 00-x\r\n".to_owned(),
        format!("traceparent: {known}\r\ntraceparent: {known}\r\n"),
    ] {
        let seen = ask(&format!("{bad}tracestate: a=b\r\n")).await;
        assert!(!seen.fields("traceparent")[0].contains("4bf92f"), "{}", seen.head);
        assert_eq!(seen.fields("traceparent").len(), 1);
        assert!(seen.fields("tracestate").is_empty());
    }
}

#[tokio::test]
async fn connections_to_a_service_are_used_again() {
    let (gateway, payment) = start(|seen| {
        if seen.line().contains("chunked") {
            Reply::Bytes(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .into(),
            )
        } else {
            ok(&"x".repeat(200_000))
        }
    })
    .await;
    let mut client = gateway.connect().await;
    for round in 0..50 {
        let path = ["/payment", "/catalog", "/payment/chunked"][round % 3];
        assert_eq!(client.get(path).await.status, 200);
    }
    client.send(&post(b"x")).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(payment.seen().len(), 51);
    assert_eq!(payment.connections(), 1);
    // From another client as well.
    gateway.get("/payment").await;
    assert_eq!(payment.connections(), 1);
    assert!(
        gateway
            .metrics()
            .await
            .contains("storefront_gateway_connections_opened_total{service=\"payment\"} 1")
    );
}

#[tokio::test]
async fn answers_stream_and_are_not_touched() {
    let (gateway, _) = start(|seen| match seen.line() {
        line if line.contains("/large") => Reply::Last([b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 5_000_000]].concat()),
        line if line.contains("/trailers") => Reply::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n".into()),
        line if line.contains("/fields") => Reply::Bytes(b"HTTP/1.1 201 Made Up\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok".into()),
        line if line.starts_with("HEAD") => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n".into()),
        line if line.contains("/early") => Reply::Bytes(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into()),
        _ => Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".into()),
    }).await;
    let large = gateway.get("/payment/large").await;
    assert_eq!((large.status, large.body.len()), (200, 5_000_000));
    let trailers = gateway.get("/payment/trailers").await;
    assert_eq!((trailers.text(), trailers.fields("trailer").len()), ("abc", 0));
    let own = gateway.get("/payment/fields").await;
    assert_eq!((own.status, own.fields("set-cookie")), (201, vec!["a=1", "b=2"]));
    assert!(own.fields("x-hop").is_empty() && own.fields("keep-alive").is_empty(), "{}", own.head);
    assert_eq!(gateway.get("/payment").await.status, 204);
    assert_eq!(gateway.get("/payment/early").await.text(), "ok");
    let head = gateway.raw(b"HEAD /payment HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert_eq!(fields(&head, "content-length"), ["1234"]);
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn an_answer_comes_before_it_is_whole() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let opened = gate.clone();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await
            .unwrap();
        opened.notified().await;
        socket.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let gateway = Gateway::start(settings(address)).await;
    let mut client = gateway.connect().await;
    client.send(b"GET /payment HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let mut early = Vec::new();
    while !early.ends_with(b"first\r\n") {
        assert_ne!(client.socket.read_buf(&mut early).await.unwrap(), 0);
    }
    gate.notify_one();
    assert!(client.rest().await.contains("second"));
}

#[tokio::test]
async fn old_and_careful_clients_are_served() {
    let (gateway, payment) = start(|seen| {
        if seen.line().contains("chunked") {
            Reply::Bytes(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .into(),
            )
        } else {
            ok("plain")
        }
    })
    .await;
    let answer = gateway.raw(b"GET /payment HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("plain"), "{answer}");
    assert_eq!(payment.seen()[0].fields("host"), [payment.address.to_string()]);
    let answer = gateway.raw(b"GET /payment/chunked HTTP/1.0\r\nHost: a\r\n\r\n").await;
    assert!(
        answer.ends_with("\r\n\r\nabc") && !answer.to_ascii_lowercase().contains("chunked"),
        "{answer}"
    );

    let mut client = gateway.connect().await;
    client.send(b"POST /payment HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    let mut go_on = [0; 25];
    client.socket.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"hello").await;
    assert_eq!(client.answer().await.text(), "plain");
    let seen = payment.seen();
    assert_eq!((&*seen[2].body, seen[2].fields("expect").len()), (&b"hello"[..], 0));
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_worked_for() {
    let (gateway, payment) = start(|_| Reply::Silence).await;
    let mut client = gateway.connect().await;
    client.send(b"GET /payment HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request reaches payment", async || payment.seen().len() == 1).await;
    drop(client);
    eventually("payment's connection is closed", async || {
        payment.closed.load(Ordering::SeqCst) == 1
    })
    .await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (gateway, _) = start(|seen| ok(seen.line())).await;
    let requests: String = (0..20)
        .map(|n| format!("GET /payment/{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect::<Vec<_>>()
        .concat();
    let mut client = gateway.connect().await;
    client.send(requests.as_bytes()).await;
    for n in 0..20 {
        assert_eq!(client.answer().await.text(), format!("GET /payment/{n} HTTP/1.1"));
    }
}

#[tokio::test]
async fn many_clients_at_once_get_their_own_answers() {
    let (gateway, payment) =
        start(|seen| ok(&format!("{} {}", seen.line(), seen.body.len()))).await;
    let gateway = Arc::new(gateway);
    let clients = (0..40).map(|client| {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let mut connection: Client = gateway.connect().await;
            for n in 0..25 {
                let size = client * 100 + n;
                let head = format!("POST /payment/{client}/{n} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
                connection.send(&[head.into_bytes(), vec![b'x'; size]].concat()).await;
                let answer = connection.answer().await;
                assert_eq!(answer.text(), format!("POST /payment/{client}/{n} HTTP/1.1 {size}"));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(payment.seen().len(), 1000);
    assert!(payment.connections() <= 40, "{}", payment.connections());
}

#[tokio::test]
async fn the_pages_are_there_unless_switched_off() {
    let (gateway, payment) = start(|_| ok("")).await;
    for (path, kind) in [
        ("/assets/cart.js", "text/javascript"),
        ("/assets/theme.css", "text/css"),
        ("/img/phone.svg", "image/svg+xml"),
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.fields("content-type")[0].starts_with(kind), "{}", answer.head);
        assert!(answer.fields("content-security-policy")[0].starts_with("default-src 'none'"));
    }
    let answer = gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
    assert_eq!((answer.status, answer.fields("allow")), (405, vec!["GET, HEAD"]));
    let mut without = settings(payment.address);
    without.pages = false;
    let without = Gateway::start(without).await;
    assert_eq!(without.get("/").await.status, 404);
    assert_eq!(payment.connections(), 0);
}

#[tokio::test]
async fn a_stop_lets_requests_end() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let opened = gate.clone();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        opened.notified().await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let gateway = Gateway::start(settings(address)).await;
    let mut idle = gateway.connect().await;
    assert_eq!(idle.get("/assets/shop.css").await.status, 200);
    let mut busy = gateway.connect().await;
    busy.send(b"GET /payment HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let reached = async || {
        gateway.metrics().await.contains("connections_opened_total{service=\"payment\"} 1")
    };
    eventually("the request is on its way", reached).await;
    gateway.shutdown.cancel();
    let refused = async || tokio::net::TcpStream::connect(gateway.address).await.is_err();
    eventually("the listener closes", refused).await;
    assert_eq!(idle.rest().await, "", "an idle connection is closed");
    gate.notify_one();
    let answer = busy.answer().await;
    assert_eq!((answer.text(), answer.fields("connection")), ("late", vec!["close"]));
    tokio::time::timeout(Duration::from_secs(10), gateway.running).await.unwrap().unwrap().unwrap();
}
