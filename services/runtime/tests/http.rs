//! The HTTP server against raw sockets: what a client may send, byte for byte, and what it gets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use storefront_contract::{
    ServiceId,
    settings::{Common, DatabaseSettings, DatabaseUrl},
};
use storefront_runtime::{
    Listeners, Metrics, Service, Shutdown,
    http::{Json, Limits, Routed, Server, finish},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Far longer than anything here takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(20);

fn quick() -> Limits {
    Limits {
        head_timeout: Duration::from_millis(150),
        body_timeout: Duration::from_millis(150),
        idle_timeout: Duration::from_millis(300),
        body_max_bytes: 100_000,
        body_min_bytes_per_s: 1_000_000,
        ..Limits::default()
    }
}

/// Answers `POST /echo` with the body, `/json` with a number of it, `/slow` when told.
fn router() -> Router {
    async fn panics() -> &'static str {
        panic!("on purpose")
    }
    async fn stream() -> Body {
        Body::from_stream(futures_util::stream::iter(
            (0..100).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1000]))),
        ))
    }
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: Bytes| body))
        .route("/json", post(async |Json(number): Json<u32>| number.to_string()))
        .route("/ignored", post(async || "not read"))
        .route("/panics", get(panics))
        .route("/stream", get(stream))
}

async fn start(limits: Limits) -> (SocketAddr, Metrics) {
    let metrics = Metrics::new("test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(limits, metrics.http().clone());
    let router = finish(router(), &metrics);
    tokio::spawn(async move {
        server.serve(listener, Arc::new(Routed(router)), &Shutdown::new(), Duration::ZERO).await
    });
    (address, metrics)
}

/// Sends everything at once and reads until the server closes.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(HANG, socket.read_to_end(&mut answer)).await.expect("the server closes").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until `answer` holds `text`.
async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(text) {
        let read = timeout(HANG, socket.read_buf(&mut answer)).await.expect("an answer").unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

fn statuses(answer: &str) -> Vec<&str> {
    answer
        .match_indices("HTTP/1.")
        .map(|(at, _)| &answer[at + 9..at + 12])
        .filter(|status| status.parse::<u16>().is_ok())
        .collect()
}

#[tokio::test]
async fn what_breaks_the_rules_gets_a_problem_and_the_connection_closes() {
    let (address, metrics) = start(quick()).await;
    let head = "POST /echo HTTP/1.1\r\nHost: shop\r\n";
    let cases: Vec<(String, &str)> = vec![
        (format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"),
        (format!("{head}Content-Length: +5\r\n\r\nhello"), "400"),
        (format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), "400"),
        (format!("{head}Content-Length: 100001\r\n\r\n"), "413"),
        (format!("{head}Content-Length: 100001\r\n\r\n{}", "x".repeat(100_001)), "413"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n186a1\r\n{}", "x".repeat(99_999)), "413"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n"), "400"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n5;{}\r\n", "x".repeat(1 << 20)), "400"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"), "400"),
        (format!("{head}X: a\r\n b\r\n\r\n"), "400"),
        (format!("{head}X : a\r\n\r\n"), "400"),
        ("GET / HTTP/1.1\nHost: shop\n\n".into(), "400"),
        ("GET / HTTP/1.1\r\nHost: shop\r\nX: a\0b\r\n\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), "400"),
        ("nonsense\r\n\r\n".into(), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "505"),
        (format!("{head}{}\r\n", "X: y\r\n".repeat(101)), "431"),
        (format!("{head}X: {}\r\n\r\n", "y".repeat(64 << 10)), "431"),
        (format!("GET /{} HTTP/1.1\r\nHost: shop\r\n\r\n", "y".repeat(9 << 10)), "414"),
    ];
    for (request, status) in &cases {
        let shown = &request[..request.len().min(120)];
        let answer = raw(address, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [*status], "{shown:?} got {answer}");
        let lower = answer.to_ascii_lowercase();
        assert!(lower.contains("content-type: application/problem+json"), "{shown:?}: {answer}");
        assert!(lower.contains("connection: close"), "{shown:?}: {answer}");
    }
    assert!(metrics.encode().contains("http_server_refused_total{reason=\"TransferEncoding\"} 1"));
}

#[tokio::test]
async fn a_slow_head_or_body_gets_408() {
    let (address, _) = start(quick()).await;
    let whole = "POST /json HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n\
                 Content-Length: 9\r\n\r\n12345";
    // A stand-still anywhere: in the request line, in a header, after the empty line, in the body.
    for sent in [1, 20, 90, whole.len() - 5, whole.len()] {
        let answer = raw(address, &whole.as_bytes()[..sent]).await;
        assert_eq!(statuses(&answer), ["408"], "after {sent} bytes: {answer}");
    }
    let chunked = "POST /echo HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe";
    assert_eq!(statuses(&raw(address, chunked.as_bytes()).await), ["408"]);
    // Nothing at all is no request: the connection closes without a word.
    assert_eq!(raw(address, b"").await, "");
    assert_eq!(
        raw(address, b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.matches("HTTP/1.1").count(),
        1
    );
}

#[tokio::test]
async fn a_trickle_does_not_outlast_the_limit() {
    let limits = Limits { body_timeout: Duration::from_millis(300), ..quick() };
    let (address, _) = start(limits).await;
    for start in
        ["GET / HTTP/1.1\r\nX: ", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"]
    {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket.write_all(start.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = socket.into_split();
        let trickle = tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(40));
            // Each byte is well within the time for one, all of them are not.
            while writer.write_all(b"x").await.is_ok() {
                every.tick().await;
            }
        });
        let mut answer = Vec::new();
        let _ = timeout(HANG, reader.read_buf(&mut answer)).await.expect("an answer");
        assert_eq!(statuses(&String::from_utf8_lossy(&answer)), ["408"], "{start:?}");
        trickle.abort();
    }
}

#[tokio::test]
async fn heads_and_bodies_may_come_in_any_pieces() {
    let (address, _) = start(Limits { body_min_bytes_per_s: 1, ..Limits::default() }).await;
    let requests = "\r\nPOST /echo HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nfirst\
        POST /echo HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nsec\r\n3\r\nond\r\n0\r\nT: x\r\n\r\n\
        GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
    for piece in [1, 2, 3, 7, 31, 1000] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        for bytes in requests.as_bytes().chunks(piece) {
            socket.write_all(bytes).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = String::new();
        timeout(HANG, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
        let bodies: Vec<_> = answer
            .split("HTTP/1.1 200 OK")
            .skip(1)
            .map(|part| part.split_once("\r\n\r\n").unwrap().1)
            .collect();
        assert_eq!(bodies, ["first", "second", "hello"], "in pieces of {piece}");
    }
}

#[tokio::test]
async fn a_bad_request_behind_good_ones_is_answered_in_its_turn() {
    let (address, _) = start(quick()).await;
    let good = "POST /echo HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nok";
    let bad_head = "GET / HTTP/1.1\r\nHost : shop\r\n\r\nGET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    let answer = raw(address, format!("{good}{good}{bad_head}").as_bytes()).await;
    assert_eq!(statuses(&answer), ["200", "200", "400"], "{answer}");
    let bad_body = "POST /echo HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nx";
    let answer = raw(address, format!("{good}{bad_body}{good}").as_bytes()).await;
    assert_eq!(statuses(&answer), ["200", "400"], "{answer}");
    let slow = format!("{good}GET / HTTP/1.1\r\nHost");
    assert_eq!(statuses(&raw(address, slow.as_bytes()).await), ["200", "408"]);
}

#[tokio::test]
async fn an_answer_is_read_even_when_the_body_was_not() {
    let (address, _) = start(Limits::default()).await;
    let body = "x".repeat(1 << 20);
    for path in ["/ignored", "/nowhere"] {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = raw(address, format!("{head}{body}").as_bytes()).await;
        let status = if path == "/ignored" { "200" } else { "404" };
        assert_eq!(statuses(&answer), [status], "{answer}");
    }
}

#[tokio::test]
async fn head_http_1_0_and_continue_work() {
    let (address, _) = start(quick()).await;
    let answer = raw(address, b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("hello"), "{answer}");
    let answer = raw(address, b"GET /stream HTTP/1.0\r\n\r\n").await;
    assert!(!answer.to_ascii_lowercase().contains("chunked"), "{answer}");
    assert_eq!(answer.matches('x').count(), 100_000);
    let answer = raw(address, b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\n") && answer.contains("content-length: 5"), "{answer}");
    let answer = raw(address, b"HEAD / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("\r\n\r\n"), "{answer}");

    let mut socket = TcpStream::connect(address).await.unwrap();
    let head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut socket, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"ok").await.unwrap();
    assert!(read_until(&mut socket, "ok").await.contains(" 200 OK"));
}

#[tokio::test]
async fn a_panic_costs_one_request_not_the_connection() {
    let (address, _) = start(quick()).await;
    let request = "GET /panics HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = raw(address, request.as_bytes()).await;
    assert_eq!(statuses(&answer), ["500", "200"]);
    assert!(!answer.contains("on purpose"), "{answer}");
}

#[tokio::test]
async fn connections_are_limited_and_further_ones_wait() {
    let (address, metrics) = start(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut first, "hello").await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let early = timeout(Duration::from_millis(100), second.read_u8()).await;
    assert!(early.is_err(), "served beside the first");
    assert!(metrics.encode().contains("http_server_connections 1"));
    drop(first);
    assert!(read_until(&mut second, "hello").await.contains("200"));
}

fn common(drain_ms: u64) -> Common {
    let any = "127.0.0.1:0".parse().unwrap();
    Common { shop: "test/demo".parse().unwrap(), http_listen: any, admin_listen: any, drain_ms }
}

#[tokio::test]
async fn a_service_stops_in_order() {
    let shutdown = Shutdown::new();
    let service = Service::new(ServiceId::Order, &common(300), shutdown.clone());
    let listeners = Listeners::bind(&common(0)).await.unwrap();
    let (http, admin) = (listeners.http_address().unwrap(), listeners.admin_address().unwrap());
    let gate = Arc::new(tokio::sync::Notify::new());
    let (opened, entered) = (gate.clone(), Arc::new(tokio::sync::Notify::new()));
    let inside = entered.clone();
    let slow = get(async move || {
        inside.notify_one();
        opened.notified().await;
        "finished"
    });
    let router = Router::new().route("/slow", slow).route("/", get(async || "hello"));
    let database = service.health.dependency("database");
    let serving = service.clone();
    let running = tokio::spawn(async move { serving.serve(listeners, router).await });

    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let admin_says = async |path: &str| raw(admin, ask(path).as_bytes()).await;
    assert_eq!(statuses(&admin_says("/livez").await), ["200"]);
    let waiting = admin_says("/readyz").await;
    assert_eq!(statuses(&waiting), ["503"]);
    assert!(waiting.contains(r#""state":"waiting""#) && waiting.contains("database"), "{waiting}");
    database.up();
    assert_eq!(statuses(&admin_says("/readyz").await), ["200"]);
    assert!(admin_says("/metrics").await.contains("# EOF"));
    assert_eq!(statuses(&admin_says("/other").await), ["404"]);

    let mut in_flight = TcpStream::connect(http).await.unwrap();
    in_flight.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    entered.notified().await;
    shutdown.cancel();
    let until_503 = async { while statuses(&admin_says("/readyz").await) != ["503"] {} };
    timeout(HANG, until_503).await.expect("readiness fails");
    // While load balancers notice, requests are still taken.
    assert_eq!(statuses(&raw(http, ask("/").as_bytes()).await), ["200"]);
    let refused = async { while TcpStream::connect(http).await.is_ok() {} };
    timeout(HANG, refused).await.expect("the listener closes");
    assert!(!running.is_finished(), "a request is still in flight");
    gate.notify_one();
    let answer = read_until(&mut in_flight, "finished").await;
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    timeout(HANG, running).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test]
async fn a_service_that_waits_for_its_database_says_so_and_can_be_stopped() {
    let shutdown = Shutdown::new();
    let service = Service::new(ServiceId::Order, &common(0), shutdown.clone());
    let listeners = Listeners::bind(&common(0)).await.unwrap();
    let admin = listeners.admin_address().unwrap();
    // A port where nobody listens, as it is with a Service whose pod is not there yet.
    let url = DatabaseUrl::Plain("postgres://shop:secret@127.0.0.1:1/shop".to_owned());
    let settings = DatabaseSettings { url, max_connections: 1 };
    let waiting =
        tokio::spawn(async move { service.open_database(&listeners, &settings, &[]).await });

    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let livez = timeout(HANG, raw(admin, ask("/livez").as_bytes())).await.expect("it answers");
    assert_eq!(statuses(&livez), ["200"]);
    let readyz = raw(admin, ask("/readyz").as_bytes()).await;
    assert_eq!(statuses(&readyz), ["503"]);
    assert!(readyz.contains("database"), "{readyz}");

    shutdown.cancel();
    let opened = timeout(HANG, waiting).await.expect("it ends").unwrap().unwrap();
    assert!(opened.is_none());
}
