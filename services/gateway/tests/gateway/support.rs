//! A gateway before services that are raw sockets: both sides are seen byte for byte.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use storefront_contract::settings::{Branding, Common, GatewaySettings};
use storefront_runtime::{Listeners, Shutdown};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Far longer than anything here takes; only a hang reaches it.
pub const HANG: Duration = Duration::from_secs(20);

/// A request as a service got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of a field.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        fields(&self.head, name)
    }
}

pub fn fields<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

/// What a service does with a request.
pub enum Reply {
    /// Writes this and waits for the next request.
    Bytes(Vec<u8>),
    /// Writes this and closes.
    Last(Vec<u8>),
    /// Never answers.
    Silence,
}

pub fn ok(body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into())
}

/// A service.
#[derive(Clone)]
pub struct Service {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    pub connections: Arc<AtomicUsize>,
    pub closed: Arc<AtomicUsize>,
}

impl Service {
    pub async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            closed: Arc::default(),
        };
        let (this, reply) = (service.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                this.connections.fetch_add(1, Ordering::SeqCst);
                let (this, reply) = (this.clone(), reply.clone());
                tokio::spawn(async move {
                    this.converse(socket, &*reply).await;
                    this.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        service
    }

    async fn converse(
        &self,
        mut socket: TcpStream,
        reply: &(dyn Fn(&Seen) -> Reply + Send + Sync),
    ) {
        let mut buffer = Vec::new();
        while let Some(seen) = read_request(&mut socket, &mut buffer).await {
            let reply = reply(&seen);
            self.seen.lock().unwrap().push(seen);
            match reply {
                Reply::Bytes(bytes) if socket.write_all(&bytes).await.is_ok() => (),
                Reply::Bytes(_) => return,
                Reply::Last(bytes) => {
                    let _ = socket.write_all(&bytes).await;
                    return;
                }
                Reply::Silence => {
                    // Until the gateway gives up.
                    let _ = socket.read_to_end(&mut buffer).await;
                    return;
                }
            }
        }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// One request with its body, or `None` when the connection ends before one is whole.
async fn read_request(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut body = Vec::new();
    if fields(&head, "transfer-encoding") == ["chunked"] {
        loop {
            let line = loop {
                if let Some(at) = find(buffer, b"\r\n") {
                    break at;
                }
                if socket.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            };
            let size = std::str::from_utf8(&buffer[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            while buffer.len() < line + 2 + size + 2 {
                if socket.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            body.extend_from_slice(&buffer[line + 2..line + 2 + size]);
            buffer.drain(..line + 2 + size + 2);
            if size == 0 {
                break;
            }
        }
    } else if let [length] = fields(&head, "content-length")[..] {
        let length: usize = length.parse().unwrap();
        while buffer.len() < length {
            if socket.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        body = buffer.drain(..length).collect();
    }
    Some(Seen { head, body })
}

pub fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// A running gateway.
pub struct Gateway {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub shutdown: Shutdown,
    pub running: tokio::task::JoinHandle<anyhow::Result<()>>,
}

/// Limits short enough for tests, and routes to `payment` at an address.
pub fn settings(payment: SocketAddr) -> GatewaySettings {
    let any = "127.0.0.1:0".parse().unwrap();
    let shop = "test/demo".parse().unwrap();
    GatewaySettings {
        common: Common { shop, http_listen: any, admin_listen: any, drain_ms: 0 },
        branding: Branding {
            shop_name: "Demo".into(),
            logo: None,
            primary_color: Branding::DEFAULT_PRIMARY_COLOR,
            accent_color: Branding::DEFAULT_ACCENT_COLOR,
        },
        routes: vec![
            format!("/payment=payment@http://{payment}").parse().unwrap(),
            format!("/catalog=payment@http://{payment}").parse().unwrap(),
        ],
        pages: true,
        trusted_proxies: vec![],
        body_max_bytes: 100_000,
        request_timeout_ms: 150,
        connect_timeout_ms: 1_000,
        upstream_timeout_ms: 5_000,
    }
}

impl Gateway {
    pub async fn start(settings: GatewaySettings) -> Self {
        let listeners = Listeners::bind(&settings.common).await.unwrap();
        let address = listeners.http_address().unwrap();
        let admin = listeners.admin_address().unwrap();
        let shutdown = Shutdown::new();
        let running =
            tokio::spawn(storefront_gateway::run_on(listeners, settings, shutdown.clone()));
        Self { address, admin, shutdown, running }
    }

    pub async fn connect(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    /// Sends everything at once on a connection of its own and reads until the gateway closes it.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut client = self.connect().await;
        client.send(request).await;
        client.rest().await
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, request: &str) -> Answer {
        let mut client = self.connect().await;
        client.send(request.as_bytes()).await;
        client.answer().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).await
    }

    pub async fn metrics(&self) -> String {
        let mut socket = TcpStream::connect(self.admin).await.unwrap();
        socket
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        timeout(HANG, socket.read_to_string(&mut text)).await.unwrap().unwrap();
        text
    }
}

/// A client that keeps its connection.
pub struct Client {
    pub socket: TcpStream,
    buffer: Vec<u8>,
}

/// An answer with its body put together.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        assert_eq!(fields(&self.head, "content-type"), ["application/problem+json"], "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn fields(&self, name: &str) -> Vec<&str> {
        fields(&self.head, name)
    }
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        // The gateway may refuse and close while a large request is still being sent.
        let _ = self.socket.write_all(bytes).await;
    }

    /// Everything until the gateway closes.
    pub async fn rest(mut self) -> String {
        timeout(HANG, self.socket.read_to_end(&mut self.buffer)).await.expect("it closes").unwrap();
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n").as_bytes()).await;
        self.answer().await
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Answer {
        timeout(HANG, self.try_answer()).await.expect("an answer in time").expect("an answer")
    }

    /// The next answer, or `None` when the connection ends before it is whole.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let Seen { head, body } = read_request(&mut self.socket, &mut self.buffer).await?;
        let status = head.get(9..12)?.parse().ok()?;
        Some(Answer { status, head, body })
    }
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANG, wait).await.unwrap_or_else(|_| panic!("{what} did not happen"));
}
