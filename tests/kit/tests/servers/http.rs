//! The HTTP client.

use serde_json::json;
use storefront_testkit::Http;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Answers one request with the given bytes and gives back what was asked.
async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/orders", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 4096];
        let length = stream.read(&mut asked).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked[..length].to_vec()).unwrap()
    });
    (url, asked)
}

#[tokio::test]
async fn json_goes_out_and_comes_back_whatever_the_status() {
    let answer = "HTTP/1.1 409 Conflict\r\nx-a: b\r\ncontent-length: 12\r\n\r\n{\"price\": 7}";
    let (url, asked) = server(answer).await;
    let reply = Http::default().post_json(&url, &json!({"id": "phone"})).await.unwrap();
    assert_eq!((reply.status, reply.header("x-a")), (409, Some("b")));
    assert_eq!(reply.json().unwrap(), json!({"price": 7}));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /orders HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\n{\"id\":\"phone\"}"), "{asked}");
}

#[tokio::test]
async fn what_is_not_json_is_shown_in_the_error() {
    let (url, _asked) = server("HTTP/1.1 502 x\r\ncontent-length: 4\r\n\r\noops").await;
    let reply = Http::default().get(&url).await.unwrap();
    let error = reply.json().unwrap_err().to_string();
    assert_eq!(error, "status 502, not JSON: oops");
}
