//! The console: one page for what people open a Kafka UI for, and its JSON API under `/api/`. Shows a
//! shop's topics, groups, messages, dead letters and sales; sends dead letters back. Nothing is asked of
//! the brokers while nobody looks, and nothing that is not the shop's is shown.

mod api;
mod desk;
mod guard;
mod page;
mod sales;

use std::{io, sync::Arc};

use storefront_inspect::{Connection, Scope};
use storefront_runtime::{
    Metrics, Shutdown,
    http::{Limits, Routed, Server, finish},
};
use tokio::net::TcpListener;
use url::Url;

use desk::Desk;

/// How long requests in flight may take when the console stops.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
/// It is for a few people at a time.
const CONNECTIONS_MAX: usize = 64;
/// A list of places, at most.
const BODY_MAX_BYTES: u64 = 256 << 10;

/// Which shop, and where everything of it is.
#[derive(Clone, Debug)]
pub struct ConsoleSettings {
    /// As the page is headed.
    pub shop: String,
    pub connection: Connection,
    pub scope: Scope,
    /// Address of analytics, for the sales; none when it does not run.
    pub analytics: Option<Url>,
    /// Address of payment's admin port, for `storefront audit`; none when it does not run.
    pub payment_admin: Option<Url>,
    /// What the page links to, by name, in order.
    pub links: Vec<(String, String)>,
}

/// Serves the console until shutdown.
pub async fn run(
    listener: TcpListener,
    settings: ConsoleSettings,
    shutdown: Shutdown,
) -> io::Result<()> {
    let metrics = Metrics::new("console");
    let desk = Arc::new(Desk::new(settings));
    let router = Arc::new(Routed(finish(api::router(desk), &metrics)));
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        body_max_bytes: BODY_MAX_BYTES,
        ..Limits::default()
    };
    let server = Server::new(limits, metrics.http().clone());
    server.serve(listener, router, &shutdown, STOP_LIMIT).await
}
