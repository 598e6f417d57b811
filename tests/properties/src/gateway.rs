//! A client's side of a connection to the gateway, and what a service behind it gets to see.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use storefront_contract::settings::{Branding, Common, GatewaySettings};
use storefront_runtime::{Listeners, Shutdown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    time::timeout,
};

use self::service::Seen;

mod service;

/// Longer than any answer takes.
const HANG: Duration = Duration::from_secs(5);
/// Longer than most answers take.
const QUIET: Duration = Duration::from_secs(1);
/// Ends what is not whole, and then the connection, so that only a body that lacks more than this costs its time limit.
const END: &[u8] = b"\r\n\r\nGET /end HTTP/1.0\r\n\r\n";

/// Bytes are what a client sends, up to the end of its last request.
pub fn gateway(bytes: &[u8]) {
    let world = world();
    let world = world.as_ref().expect("started");
    let exchange = async { timeout(HANG, exchange(world.address, bytes)).await };
    let answer = world.runtime.block_on(exchange);
    let answer = answer.expect("the connection ends");
    let answer = String::from_utf8_lossy(&answer);
    let statuses = statuses(&answer);
    // An HTTP version that is not spoken is a 505 by its name.
    let allowed = |status: &u16| (100..500).contains(status) || *status == 505;
    assert!(statuses.iter().all(allowed), "{answer}");
    assert!(statuses.iter().any(|status| *status >= 200), "no answer: {answer:?}");

    let Seen { faults, passed } = world.seen.take();
    assert!(faults.is_empty(), "a service got to see: {faults:#?}");
    // Nothing reaches it that its sender gets no answer to.
    assert_eq!(answer.matches(service::SIGN).count(), passed, "{answer}");
}

/// A gateway and the service behind it, for as long as the process runs.
struct World {
    runtime: Runtime,
    address: SocketAddr,
    seen: service::Notes,
}

fn world() -> MutexGuard<'static, Option<World>> {
    static WORLD: Mutex<Option<World>> = Mutex::new(None);
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    world.get_or_insert_with(World::start);
    world
}

impl World {
    fn start() -> Self {
        // One thread: what a target reaches must not depend on another one's pace.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let seen = service::Notes::default();
        let notes = seen.clone();
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let service = listener.local_addr().expect("bound");
            tokio::spawn(service::serve(listener, notes));
            let settings = settings(service);
            let listeners = Listeners::bind(&settings.common).await.expect("two free ports");
            let address = listeners.http_address().expect("bound");
            tokio::spawn(storefront_gateway::run_on(listeners, settings, Shutdown::new()));
            address
        });
        Self { runtime, address, seen }
    }
}

fn settings(service: SocketAddr) -> GatewaySettings {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let route = |prefix: &str| format!("{prefix}=payment@http://{service}").parse().ok();
    GatewaySettings {
        common: Common {
            shop: "test/demo".parse().expect("a shop"),
            http_listen: any,
            admin_listen: any,
            drain_ms: 0,
        },
        branding: Branding {
            shop_name: "Demo".into(),
            logo: None,
            primary_color: Branding::DEFAULT_PRIMARY_COLOR,
            accent_color: Branding::DEFAULT_ACCENT_COLOR,
        },
        routes: service::PREFIXES.into_iter().filter_map(route).collect(),
        pages: true,
        trusted_proxies: vec![],
        body_max_bytes: service::BODY_MAX_BYTES,
        request_timeout_ms: 20,
        connect_timeout_ms: 1_000,
        upstream_timeout_ms: 3_000,
    }
}

/// Sends all, and reads until the gateway ends the connection. A body may take what would end it to the last byte:
/// then nobody says anything more, and it is sent once again.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.expect("the gateway listens");
    let (mut reads, mut writes) = socket.split();
    let mut answer = Vec::new();
    // Whoever has answered need not listen to the rest, and may cut what is sent behind it.
    let all = [bytes, END].concat();
    let send = async { writes.write_all(&all).await.ok() };
    let receive = async { while reads.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {} };
    if timeout(QUIET, async { tokio::join!(send, receive) }).await.is_err() {
        let send = async { writes.write_all(END).await.ok() };
        let _ = tokio::join!(send, reads.read_to_end(&mut answer));
    }
    answer
}

/// Of each answer. No body holds a status line: paths have no blanks.
fn statuses(text: &str) -> Vec<u16> {
    const LINE: &str = "HTTP/1.1 ";
    let lines = text.match_indices(&LINE[..7]);
    lines.filter_map(|(at, _)| text.get(at + LINE.len()..)?.get(..3)?.parse().ok()).collect()
}
