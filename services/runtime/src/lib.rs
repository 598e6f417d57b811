//! The event runtime every service is built on: consume, store, send, serve.

mod admin;
mod backoff;
pub mod consumer;
pub mod db;
mod env;
pub mod handler;
pub mod health;
pub mod http;
mod kafka;
mod listeners;
pub mod metrics;
pub mod problem;
pub mod relay;
pub mod secret;
mod service;
mod shutdown;
mod store;
pub mod telemetry;
mod text;
pub mod trace;

pub use consumer::{
    ConsumeError, ConsumerOptions, NotADeadLetter, ParkingPolicy, Replay, consume, consume_with,
    replay,
};
pub use db::{Database, DatabaseError, Dialect, Lease, Migration, OnConflict, Row, Sql, Tx, Value};
pub use env::ProcessEnv;
pub use handler::{Failure, Handler, Outgoing, Received, Record};
pub use health::{Dependency, Health};
pub use listeners::{BindError, Listeners};
pub use metrics::Metrics;
pub use problem::Problem;
pub use relay::{Outbox, OutboxError, RelayError};
pub use secret::{Secret, SecretError, SecretFile};
pub use service::{ServeError, Service};
pub use shutdown::{STOP_LIMIT, Shutdown, shutdown_signal};
pub use trace::TraceContext;
