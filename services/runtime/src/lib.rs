//! The event runtime every service is built on: consume, store, send, serve.

mod admin;
mod env;
pub mod health;
pub mod http;
mod listeners;
pub mod metrics;
pub mod problem;
pub mod secret;
mod service;
mod shutdown;
pub mod telemetry;
pub mod trace;

pub use env::ProcessEnv;
pub use health::{Dependency, Health};
pub use listeners::{BindError, Listeners};
pub use metrics::Metrics;
pub use problem::Problem;
pub use secret::{Secret, SecretError, SecretFile};
pub use service::{ServeError, Service};
pub use shutdown::{STOP_LIMIT, Shutdown, shutdown_signal};
pub use trace::TraceContext;
