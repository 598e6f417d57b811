//! One running service: its identity and what its parts share, and the order in which it stops.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use storefront_contract::{
    ServiceId, Shop,
    settings::{Common, DatabaseSettings},
};
use tokio::net::TcpListener;
use tracing::Instrument;

use crate::{
    Database, DatabaseError, Health, Listeners, Metrics, Migration, Shutdown, admin,
    http::{Handle, Limits, Routed, Server, finish},
    metrics::HttpMetrics,
    shutdown::STOP_LIMIT,
};

/// How long a probe or a scrape in flight may take when everything else has ended.
const ADMIN_STOP_LIMIT: Duration = Duration::from_secs(1);

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

/// Why a service has no database.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("could not open the database")]
    Database(#[source] DatabaseError),
    #[error(transparent)]
    Serve(#[from] ServeError),
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

impl OpenError {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Database(_) => "NoDatabase",
            Self::Serve(error) => error.reason(),
        }
    }
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

    /// Opens the service's database, waiting for a server that does not answer yet; `None` when shutdown comes
    /// first. Meanwhile the admin port tells that the service lives and what it waits for: in a cluster all
    /// parts of a shop start at the same time, and the disk of a database may take minutes.
    pub async fn open_database(
        &self,
        listeners: &Listeners,
        settings: &DatabaseSettings,
        migrations: &'static [Migration],
    ) -> Result<Option<Database>, OpenError> {
        let failed = |source| ServeError::Listener { listener: "admin", source };
        let admin = listeners.admin_again().map_err(failed)?;
        let dependency = self.health.dependency("database");
        let done = Shutdown::new();
        let opened = async {
            let _done = done.clone().drop_guard();
            let opened = tokio::select! {
                opened = Database::open(settings, &self.shop, self.id, migrations) => opened.map(Some)?,
                () = self.shutdown.cancelled() => None,
            };
            if opened.is_some() {
                dependency.up();
            }
            Ok(opened)
        };
        // Where a process has several services, its log says whose database.
        let opened = opened.instrument(self.span());
        let server = Server::new(Limits::default(), HttpMetrics::new());
        let router = Arc::new(Routed(admin::router(self)));
        let served = server.serve(admin, router, &done, ADMIN_STOP_LIMIT);
        let (opened, served) = tokio::join!(opened, served);
        served.map_err(failed)?;
        opened.map_err(OpenError::Database)
    }

    /// Serves the admin endpoints, and `router` on the HTTP listener with the runtime's limits,
    /// request spans, metrics and problems, until shutdown: then readiness fails, load balancers
    /// get [`Service::drain`] to notice, and requests in flight end. At most 25 s, all in.
    pub async fn serve(&self, listeners: Listeners, router: Router) -> Result<(), ServeError> {
        self.serve_both(listeners, router, Router::new()).await
    }

    /// [`Service::serve`] with more on the admin port: `own` is for whoever is on the machine itself
    /// ([`admin::for_this_machine`]).
    pub async fn serve_both(
        &self,
        listeners: Listeners,
        router: Router,
        own: Router,
    ) -> Result<(), ServeError> {
        let router = Arc::new(Routed(finish(router, &self.metrics)));
        self.serve_all(listeners, Limits::default(), router, own).await
    }

    /// [`Service::serve`] with a handler that is no router, and limits of its own.
    pub async fn serve_handler<H: Handle>(
        &self,
        listeners: Listeners,
        limits: Limits,
        handler: Arc<H>,
    ) -> Result<(), ServeError> {
        self.serve_all(listeners, limits, handler, Router::new()).await
    }

    async fn serve_all<H: Handle>(
        &self,
        listeners: Listeners,
        limits: Limits,
        handler: Arc<H>,
        own: Router,
    ) -> Result<(), ServeError> {
        let addresses = (listeners.http_address(), listeners.admin_address());
        if let (Ok(http), Ok(admin)) = addresses {
            let _entered = self.span().entered();
            tracing::info!(http.listen = %http, admin.listen = %admin, "serving");
        }
        let Listeners { http, admin } = listeners;
        let server = Server::new(limits, self.metrics.http().clone());
        let draining = Shutdown::new();
        let stop_limit = STOP_LIMIT.saturating_sub(self.drain);
        let served = async {
            let result = server.serve(http, handler, &draining, stop_limit).await;
            result.map_err(|source| ServeError::Listener { listener: "HTTP", source })
        };
        self.serve_beside(admin, own, &draining, served).instrument(self.span()).await
    }

    /// Serves only the admin endpoints, until shutdown and the drain time have passed. For a
    /// service without HTTP of its own.
    pub async fn serve_admin(&self, admin: TcpListener) -> Result<(), ServeError> {
        let draining = Shutdown::new();
        let drained = async {
            draining.cancelled().await;
            Ok(())
        };
        let own = Router::new();
        self.serve_beside(admin, own, &draining, drained).instrument(self.span()).await
    }

    /// The admin port outlives what it tells about: `served` begins to stop when `draining` is
    /// cancelled, and the admin port closes when `served` has ended.
    async fn serve_beside(
        &self,
        admin: TcpListener,
        own: Router,
        draining: &Shutdown,
        served: impl Future<Output = Result<(), ServeError>>,
    ) -> Result<(), ServeError> {
        let done = Shutdown::new();
        let stop = async {
            self.shutdown.cancelled().await;
            self.health.stopping();
            tokio::time::sleep(self.drain).await;
            draining.cancel();
        };
        let work = async {
            let result = served.await;
            done.cancel();
            result
        };
        // Not registered: scrapes and probes are no requests to the shop.
        let server = Server::new(Limits::default(), HttpMetrics::new());
        let admin = async {
            let own = admin::for_this_machine(own);
            let router = Arc::new(Routed(admin::router(self).merge(own)));
            let result = server.serve(admin, router, &done, ADMIN_STOP_LIMIT).await;
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
