//! The connections to one service: opened when needed, kept for the next request, never more than a
//! bound. Knows nothing of routes and problems.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use storefront_contract::settings::Route;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::link::Link;

/// Most connections to one service at a time, in use and kept. Beyond, requests get a 503 at once:
/// a service that has this many in hand is not helped by more.
const LINKS_MAX: usize = 1024;
/// Most connections kept for later.
const KEPT_MAX: usize = 128;
/// How long a connection is kept. Shorter than what our services grant (75 s), so that it is rarely
/// they who close.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// A request that cannot be sent twice goes only on a connection used this recently, which a
/// service is hardly closing at this moment.
const FRESH_FOR: Duration = Duration::from_secs(3);

/// One service behind the gateway.
pub struct Upstream {
    service: String,
    /// Host without brackets, and port.
    address: (String, u16),
    /// The same as a Host header's value, for requests that came without one.
    authority: String,
    connect_timeout: Duration,
    kept: Mutex<Vec<Kept>>,
    /// In use and kept.
    open: AtomicUsize,
    opened_total: Counter,
}

struct Kept {
    link: Link,
    since: Instant,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("a connection was not accepted in time")]
    Timeout,
    #[error("no connection could be made")]
    Refused(#[source] io::Error),
    #[error("there are {LINKS_MAX} connections already")]
    TooMany,
    #[error("the connection could not be prepared")]
    Handshake(#[source] hyper::Error),
}

impl ConnectError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Timeout => "ConnectTimeout",
            Self::Refused(_) => "ConnectRefused",
            Self::TooMany => "TooManyConnections",
            Self::Handshake(_) => "Handshake",
        }
    }
}

/// A place among the connections of a service, given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Upstream>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    pub fn new(route: &Route, connect_timeout: Duration, opened_total: Counter) -> Self {
        let host = route.upstream.host_str().unwrap_or_default();
        let port = route.upstream.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Self {
            service: route.service.clone(),
            address: (bare.to_owned(), port),
            authority: format!("{host}:{port}"),
            connect_timeout,
            kept: Mutex::default(),
            open: AtomicUsize::new(0),
            opened_total,
        }
    }

    /// The name for people.
    pub fn service(&self) -> &str {
        &self.service
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A kept connection that is still open, the last used one first.
    pub fn kept(&self, repeatable: bool) -> Option<Link> {
        let now = Instant::now();
        // Each turn takes one out of at most `KEPT_MAX`.
        loop {
            let mut kept = self.lock();
            let last = kept.last()?;
            let age = now.saturating_duration_since(last.since);
            if age > KEPT_FOR {
                // All below are older.
                kept.clear();
                return None;
            }
            if age > FRESH_FOR && !repeatable {
                return None;
            }
            let mut link = kept.pop()?.link;
            drop(kept);
            if link.is_open() {
                return Some(link);
            }
        }
    }

    /// A new connection.
    pub async fn connect(self: &Arc<Self>) -> Result<Link, ConnectError> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        if open >= LINKS_MAX {
            return Err(ConnectError::TooMany);
        }
        let (host, port) = &self.address;
        let connecting = TcpStream::connect((host.as_str(), *port));
        let socket = match timeout(self.connect_timeout, connecting).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(ConnectError::Refused(error)),
            Err(_) => return Err(ConnectError::Timeout),
        };
        socket.set_nodelay(true).map_err(ConnectError::Refused)?;
        self.opened_total.inc();
        Link::new(socket, place).await.map_err(ConnectError::Handshake)
    }

    /// Keeps a connection that has finished its exchange.
    pub fn keep(&self, link: Link) {
        let mut kept = self.lock();
        if kept.len() < KEPT_MAX {
            kept.push(Kept { link, since: Instant::now() });
        }
    }

    /// Closes what was kept too long, or was closed by the service.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.lock().retain_mut(|kept| {
            now.saturating_duration_since(kept.since) <= KEPT_FOR && kept.link.is_open()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn for_tests(route: &Route) -> Self {
        Self::new(route, Duration::from_secs(1), Counter::default())
    }
}

impl Place {
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.0
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("service", &self.service).finish_non_exhaustive()
    }
}
