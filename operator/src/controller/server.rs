//! `/livez`, `/readyz` and `/metrics` of the operator itself.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{Router, http::StatusCode, routing::get};
use tokio::{net::TcpListener, sync::watch};

use crate::controller::metrics::Metrics;

/// After this long without a sign of life the process should be started anew.
const STUCK_AFTER_S: u64 = 60;

/// What the process says about itself.
#[derive(Clone)]
pub struct Life {
    /// The last time that the runtime got to a task of ours.
    pub beat: watch::Receiver<Instant>,
    pub metrics: Metrics,
}

impl Life {
    /// What does not go on, if anything: the runtime, or the loop.
    fn stuck(&self) -> Option<&'static str> {
        if self.beat.borrow().elapsed().as_secs() > STUCK_AFTER_S {
            return Some("no task gets its turn");
        }
        self.metrics.pulse().stuck(Instant::now())
    }
}

/// Serves until the process ends.
pub async fn serve(address: SocketAddr, life: Life) -> std::io::Result<()> {
    let (alive, metrics) = (Arc::new(life.clone()), life.metrics);
    let router = Router::new()
        .route(
            "/livez",
            get(async move || match alive.stuck() {
                Some(what) => (StatusCode::SERVICE_UNAVAILABLE, what),
                None => (StatusCode::OK, "ok"),
            }),
        )
        // One that waits for the lease is ready, too: a rollout must not wait for it.
        .route("/readyz", get(async || "ok"))
        .route("/metrics", get(async move || metrics.text()));
    axum::serve(TcpListener::bind(address).await?, router).await
}
