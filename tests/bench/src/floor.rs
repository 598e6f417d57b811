//! The floors for checkout: a server that asks Stripe once for each request, and answers. Two exchanges by
//! hyper, and nothing between them: no cart, no price, no time limit; and the same with a row that is written
//! before and after Stripe is asked.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use storefront_contract::{
    ServiceId, Shop,
    settings::{DatabaseSettings, DatabaseUrl},
};
use storefront_runtime::{Database, Migration, Value, db::Group};
use tokio::net::TcpListener;

type Stripe = Client<HttpConnector, Full<Bytes>>;

const SESSION: &str = "cs_test_a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4e5f6";
/// As long as what payment sends.
const FORM: &str = include_str!("../load/session.form");

/// About as long as what payment keeps of a cart.
const KEPT: &str = r#"[{"id":"phone","name":"Nova 5G","quantity":1,"price":1899900},{"id":"chai","name":"Masala chai","quantity":2,"price":24900}]"#;
const TABLE: &[Migration] = &[Migration::same(
    "floor",
    "CREATE TABLE carts (id TEXT PRIMARY KEY, cart TEXT NOT NULL, session TEXT)",
)];
const INSERT: &str = "INSERT INTO carts (id, cart) SELECT id, cart FROM UNNEST($1::text[], $2::text[]) AS new (id, cart)";
const OPEN: &str = "UPDATE carts SET session = new.session FROM UNNEST($1::text[], $2::text[]) AS new (id, session) \
     WHERE carts.id = new.id";

/// Two statements for each cart, which it shares with those that come at the same time.
#[derive(Clone)]
struct Rows {
    insert: Group<[String; 2], ()>,
    open: Group<[String; 2], ()>,
}

impl Rows {
    async fn at(url: String) -> Result<Self> {
        let settings = DatabaseSettings { url: DatabaseUrl::Plain(url), max_connections: 8 };
        let shop = Shop::new("default", "bench")?;
        let database = Database::open(&settings, &shop, ServiceId::Payment, TABLE).await?;
        let group = |statement: &'static str| {
            let database = database.clone();
            Group::new(move |rows: Vec<[String; 2]>| {
                let database = database.clone();
                Box::pin(async move {
                    let answers = vec![(); rows.len()];
                    let (ids, texts) = rows.into_iter().map(|[id, text]| (id, text)).unzip();
                    database.query(statement, &[Value::Texts(ids), Value::Texts(texts)]).await?;
                    Ok(answers)
                })
            })
        };
        Ok(Self { insert: group(INSERT), open: group(OPEN) })
    }
}

/// Goes on until it is killed.
pub async fn run(port: u16, stripe: &str, database: Option<String>) -> Result<()> {
    let rows = match database {
        Some(url) => Some(Rows::at(url).await?),
        None => None,
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Stripe = Client::builder(TokioExecutor::new()).build(connector);
    let url: &'static str = format!("{stripe}/v1/checkout/sessions").leak();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (client, rows) = (client.clone(), rows.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let (client, rows) = (client.clone(), rows.clone());
                async move {
                    let answer = checkout(&client, url, rows.as_ref(), request).await;
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

/// Carts until now.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Reads both, and understands neither.
async fn checkout(
    client: &Stripe,
    url: &str,
    rows: Option<&Rows>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    request.into_body().collect().await?;
    let id = format!("{:036}", COUNT.fetch_add(1, Ordering::Relaxed));
    if let Some(rows) = rows {
        rows.insert.take([id.clone(), KEPT.to_owned()]).await?;
    }
    let ask = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, "Bearer sk_test_bench")
        .body(Full::from(FORM.trim_end()))?;
    let answer = client.request(ask).await?;
    let status = answer.status();
    answer.into_body().collect().await?;
    if let Some(rows) = rows {
        rows.open.take([id, SESSION.to_owned()]).await?;
    }
    let mut response = Response::new(Full::from(
        r#"{"id":"cs_test_a1b2c3d4e5f6","url":"https://checkout.stripe.com/c/pay/cs_test_a1b2c3d4e5f6"}"#,
    ));
    *response.status_mut() = status;
    Ok(response)
}
