//! One running service: its identity and what its parts share, and the order in which it stops.

use std::time::Duration;

use axum::Router;
use storefront_contract::{ServiceId, Shop, settings::Common};
use tokio::{net::TcpListener, time::Instant};
use tracing::Instrument;

use crate::{
    Health, Listeners, Metrics, Shutdown, admin,
    http::{Limits, Server, finish},
    shutdown::STOP_LIMIT,
};

/// What every part of one running service shares. One per service instance: several run in one
/// process in dev mode, so nothing here is global. Clones are the same service.
#[derive(Clone, Debug)]
pub struct Service {
    pub id: ServiceId,
    pub shop: Shop,
    pub metrics: Metrics,
    pub health: Health,
    /// Cancelled when the service should stop.
    pub shutdown: Shutdown,
    /// How long readiness says no before the listener closes.
    pub drain: Duration,
}

/// Why serving ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the {listener} listener failed")]
    Listener {
        listener: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl ServeError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Listener { .. } => "ListenerFailed",
        }
    }
}

impl Service {
    pub fn new(id: ServiceId, common: &Common, shutdown: Shutdown) -> Self {
        Self {
            id,
            shop: common.shop.clone(),
            metrics: Metrics::new(id.name()),
            health: Health::new(),
            shutdown,
            drain: Duration::from_millis(common.drain_ms),
        }
    }

    /// The span that every task of this service runs in, so that the logs of dev mode, where
    /// several services share a process, say who speaks.
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("service", service = self.id.name())
    }

    /// Serves the admin endpoints, and `router` on the HTTP listener with the runtime's limits,
    /// request spans, metrics and problems, until shutdown: then readiness fails, load balancers
    /// get [`Service::drain`] to notice, and requests in flight end. At most 25 s, all in.
    pub async fn serve(&self, listeners: Listeners, router: Router) -> Result<(), ServeError> {
        let Listeners { http, admin } = listeners;
        let server = Server::new(Limits::default(), self.metrics.http().clone());
        let router = finish(router, &self.metrics);
        let draining = Shutdown::new();
        let served = async {
            let result =
                server.serve_router(http, router, &draining, STOP_LIMIT - self.drain).await;
            result.map_err(|source| ServeError::Listener { listener: "HTTP", source })
        };
        self.serve_beside(admin, &draining, served).instrument(self.span()).await
    }

    /// Serves only the admin endpoints, until shutdown and the drain time have passed. For a
    /// service that serves its HTTP itself.
    pub async fn serve_admin(&self, admin: TcpListener) -> Result<(), ServeError> {
        let draining = Shutdown::new();
        let drained = draining.clone();
        let served = async move {
            drained.cancelled().await;
            Ok(())
        };
        self.serve_beside(admin, &draining, served).instrument(self.span()).await
    }

    /// The admin port outlives what it tells about: `served` begins to stop when `draining` is
    /// cancelled, and the admin port closes when `served` has ended.
    pub async fn serve_beside(
        &self,
        admin: TcpListener,
        draining: &Shutdown,
        served: impl Future<Output = Result<(), ServeError>>,
    ) -> Result<(), ServeError> {
        let done = Shutdown::new();
        let stop = async {
            self.shutdown.cancelled().await;
            self.health.stopping();
            tokio::time::sleep_until(Instant::now() + self.drain).await;
            draining.cancel();
        };
        let work = async {
            let result = served.await;
            done.cancel();
            result
        };
        let server = Server::new(Limits::default(), self.metrics.http().clone());
        let admin = async {
            let router = admin::router(self);
            let result = server.serve_router(admin, router, &done, Duration::from_secs(1)).await;
            result.map_err(|source| ServeError::Listener { listener: "admin", source })
        };
        // A failed admin port ends the service: nobody could see that it is alive.
        let both = async { tokio::try_join!(work, admin).map(|_| ()) };
        tokio::pin!(both);
        tokio::select! {
            result = &mut both => return result,
            () = stop => (),
        }
        both.await
    }
}
