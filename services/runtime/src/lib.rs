//! The event runtime every service is built on: consume, store, send, serve.
//!
//! A service is a [`Handler`]: it gets events that were not handled before, changes its own tables
//! through a transaction, and says what is to be sent. In that one transaction the runtime also keeps
//! which events were seen, which messages are to go out, and where to read on, so that a crash, a
//! rebalance, a duplicate or a restored database changes nothing about the result. See [`consume`].
//!
//! A whole consumer, which grants points for orders:
//!
//! ```no_run
//! use storefront_contract::{
//!     OrderSuccessful, ServiceId,
//!     settings::{AnalyticsSettings, Settings as _},
//! };
//! use storefront_runtime::{
//!     Database, Failure, Handler, Listeners, Migration, Outgoing, ProcessEnv, Received, Service, Tx,
//!     consume, shutdown_signal,
//! };
//!
//! struct Points;
//!
//! const MIGRATIONS: &[Migration] =
//!     &[Migration::same("points", "CREATE TABLE points (user_id TEXT, amount BIGINT)")];
//!
//! impl Handler for Points {
//!     type Event = OrderSuccessful;
//!
//!     async fn handle(
//!         &self,
//!         events: &[Received<OrderSuccessful>],
//!         tx: &mut Tx<'_>,
//!         _: &mut Outgoing,
//!     ) -> Result<(), Failure> {
//!         for Received { event, .. } in events {
//!             let points = [(&event.user_id).into(), (event.amount / 100).into()];
//!             tx.execute("INSERT INTO points VALUES ($1, $2)", &points).await?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> anyhow::Result<()> {
//!     let settings = AnalyticsSettings::read(&ProcessEnv)?;
//!     let service = Service::new(ServiceId::Analytics, &settings.common, shutdown_signal());
//!     let listeners = Listeners::bind(&settings.common).await?;
//!     let opened = service.open_database(&listeners, &settings.database, MIGRATIONS).await?;
//!     let Some(database) = opened else { return Ok(()) };
//!     let consumer = consume(&service, &settings.kafka, &database, Points);
//!     let (served, consumed) =
//!         tokio::join!(service.serve_admin(listeners.admin), consumer);
//!     served?;
//!     Ok(consumed?)
//! }
//! ```
//!
//! Invariants: nothing here is global, as `storefront dev` runs every service in one process; nothing
//! is sent to Kafka but from the outbox; the database's offset is the truth, Kafka's is a copy.

pub mod admin;
mod backoff;
pub mod consumer;
pub mod db;
pub mod failpoint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod handler;
pub mod health;
pub mod http;
mod kafka;
mod listeners;
pub mod metrics;
pub mod openapi;
pub mod probe;
pub mod problem;
pub mod relay;
pub mod secret;
mod service;
mod shutdown;
mod store;
mod text;
pub mod trace;

pub use consumer::{ConsumeError, ConsumerOptions, ParkingPolicy, consume, consume_with};
pub use db::{Database, DatabaseError, Dialect, Lease, Migration, OnConflict, Row, Sql, Tx, Value};
pub use handler::{Failure, Handler, Outgoing, Received, Record};
pub use health::{Dependency, Health};
pub use listeners::{BindError, Listeners};
pub use metrics::Metrics;
pub use problem::Problem;
pub use relay::{Outbox, OutboxError, RelayError};
pub use secret::{Secret, SecretError, SecretFile};
pub use service::{OpenError, ServeError, Service};
pub use shutdown::{STOP_LIMIT, Shutdown, shutdown_signal};
pub use storefront_telemetry::{self as telemetry, ProcessEnv};
pub use trace::TraceContext;
