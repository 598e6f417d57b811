//! The floor for checkout: a server that asks Stripe once for each request, and answers. Two exchanges by
//! hyper, and nothing between them: no cart, no price, no database, no time limit.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

type Stripe = Client<HttpConnector, Full<Bytes>>;

/// As long as what payment sends.
const FORM: &str = include_str!("../load/session.form");

/// Goes on until it is killed.
pub async fn run(port: u16, stripe: &str) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Stripe = Client::builder(TokioExecutor::new()).build(connector);
    let url: &'static str = format!("{stripe}/v1/checkout/sessions").leak();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let client = client.clone();
                async move {
                    let answer = checkout(&client, url, request).await;
                    Ok::<_, Infallible>(answer.unwrap_or_else(|_| {
                        let mut failed = Response::new(Full::default());
                        *failed.status_mut() = hyper::StatusCode::BAD_GATEWAY;
                        failed
                    }))
                }
            });
            // Whoever goes away ends it.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// Reads both, and understands neither.
async fn checkout(
    client: &Stripe,
    url: &str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    request.into_body().collect().await?;
    let ask = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, "Bearer sk_test_bench")
        .body(Full::from(FORM.trim_end()))?;
    let answer = client.request(ask).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    let mut response = Response::new(Full::from(
        r#"{"id":"cs_test_a1b2c3d4e5f6","url":"https://checkout.stripe.com/c/pay/cs_test_a1b2c3d4e5f6"}"#,
    ));
    *response.status_mut() = status;
    Ok(response)
}
