//! Services that are gone, slow, broken or lying.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::net::TcpListener;

use crate::support::{Gateway, Reply, Service, ok, settings};

#[tokio::test]
async fn each_failure_has_its_problem_and_none_tells_an_address() {
    let payment = Service::start(|seen| match seen.line() {
        line if line.contains("/closes") => Reply::Last(b"".into()),
        line if line.contains("/half") => Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Le".into()),
        line if line.contains("/nonsense") => Reply::Last(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".into()),
        line if line.contains("/framing") => Reply::Last(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".into(),
        ),
        line if line.contains("/huge") => {
            Reply::Last(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1 << 20)).into())
        }
        line if line.contains("/switch") => {
            Reply::Last(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".into())
        }
        _ => Reply::Silence,
    })
    .await;
    let mut quick = settings(payment.address);
    quick.upstream_timeout_ms = 100;
    let gateway = Gateway::start(quick).await;
    for (path, status) in [
        ("/payment/closes", 502),
        ("/payment/half", 502),
        ("/payment/nonsense", 502),
        ("/payment/framing", 502),
        ("/payment/huge", 502),
        ("/payment/switch", 502),
        ("/payment/silent", 504),
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        let json = answer.json();
        assert_eq!(json["service"], "payment");
        let told = format!("{}{}", answer.head, answer.text());
        assert!(
            !told.contains("127.0.0.1") && !told.contains(&payment.address.port().to_string()),
            "{told}"
        );
    }
    let metrics = gateway.metrics().await;
    let count = "storefront_gateway_failures_total{service=\"payment\",reason=\"AnswerTimeout\"} 1";
    assert!(metrics.contains(count), "{metrics}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_503() {
    let nobody = (Ipv4Addr::LOCALHOST, 1).into();
    let gateway = Gateway::start(settings(nobody)).await;
    let answer = gateway.get("/payment").await;
    assert_eq!((answer.status, answer.fields("retry-after")), (503, vec!["1"]));
    let mut json = answer.json();
    assert!(json["traceId"].take().is_string());
    insta::assert_json_snapshot!(json, @r#"
    {
      "title": "Service Unavailable",
      "status": 503,
      "detail": "payment is not available at the moment",
      "traceId": null,
      "service": "payment"
    }
    "#);
    // A name that does not resolve is no different, and not told.
    let mut unknown = settings(nobody);
    unknown.routes = vec!["/payment=payment@http://payment.invalid:8000".parse().unwrap()];
    let gateway = Gateway::start(unknown).await;
    let answer = gateway.get("/payment").await;
    assert_eq!(answer.status, 503);
    assert!(!answer.text().contains("invalid"), "{}", answer.text());
}

#[tokio::test]
async fn a_service_that_accepts_no_connection_in_time_is_a_504() {
    // Nothing accepts, and the queue of one is full.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(Ok(connection)) = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        queued.push(connection);
        assert!(queued.len() < 100, "the queue does not fill");
    }
    let mut quick = settings(address);
    quick.connect_timeout_ms = 50;
    let gateway = Gateway::start(quick).await;
    assert_eq!(gateway.get("/payment").await.status, 504);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_passed_for_whole() {
    let payment = Service::start(|seen| match seen.line() {
        line if line.contains("/length") => {
            Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".into())
        }
        line if line.contains("/chunked") => Reply::Last(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".into(),
        ),
        _ => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".into()),
    })
    .await;
    let mut quick = settings(payment.address);
    quick.upstream_timeout_ms = 100;
    let gateway = Gateway::start(quick).await;
    for path in ["/payment/length", "/payment/chunked", "/payment/stops"] {
        let answer =
            gateway.raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        // The client can tell: it got less than was announced, or nothing at all.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{path}: {answer}");
    }
    let stopped = gateway.raw(b"GET /payment/stops HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(stopped.ends_with("half"), "{stopped}");
}

/// A service that answers one request on each connection, then closes it without a word.
async fn forgetful() -> (Service, Arc<AtomicUsize>) {
    let answered = Arc::new(AtomicUsize::new(0));
    let counter = answered.clone();
    let service = Service::start(move |seen| {
        if seen.fields("x-first").is_empty() {
            counter.fetch_add(1, Ordering::SeqCst);
            return Reply::Last(b"".into());
        }
        ok("first")
    })
    .await;
    (service, answered)
}

#[tokio::test]
async fn a_get_on_a_stale_connection_is_sent_again_and_a_post_is_not() {
    let (payment, lost) = forgetful().await;
    let gateway = Gateway::start(settings(payment.address)).await;
    let first = "GET /payment HTTP/1.1\r\nHost: a\r\nX-First: 1\r\n\r\n";
    // The second request of each connection is read and then dropped.
    assert_eq!(gateway.ask(first).await.status, 200);
    assert_eq!(gateway.get("/payment").await.status, 502, "sent twice at most");
    assert_eq!(lost.load(Ordering::SeqCst), 2);
    assert_eq!(gateway.ask(first).await.status, 200);
    let post = "POST /payment HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(gateway.ask(post).await.status, 502);
    assert_eq!(lost.load(Ordering::SeqCst), 3, "a POST is sent once");
}

#[tokio::test]
async fn a_closed_connection_is_noticed_before_it_is_used() {
    let payment = Service::start(|seen| {
        // Says nothing of closing, and closes.
        if seen.line().contains("/last") {
            Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".into())
        } else {
            ok("again")
        }
    })
    .await;
    let gateway = Gateway::start(settings(payment.address)).await;
    for round in 1..=20 {
        assert_eq!(gateway.get("/payment/last").await.status, 200);
        let closed = async || payment.closed.load(Ordering::SeqCst) >= round;
        crate::support::eventually("payment has closed", closed).await;
        let post = "POST /payment/last HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
        // Loopback delivers the FIN before the next accept is done; the gateway sees it.
        assert_eq!(gateway.ask(post).await.status, 200, "round {round}");
        let closed = async || payment.closed.load(Ordering::SeqCst) >= round;
        crate::support::eventually("payment has closed", closed).await;
    }
}

#[tokio::test]
async fn an_early_answer_to_a_large_request_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while crate::support::find(&head, b"\r\n\r\n").is_none() {
            socket.read_buf(&mut head).await.unwrap();
        }
        socket.write_all(b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
        let _ = socket.read_to_end(&mut head).await;
    });
    let gateway = Gateway::start(settings(address)).await;
    let mut client = gateway.connect().await;
    client.send(b"POST /payment HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\nbegin").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (409, "no"));
}
