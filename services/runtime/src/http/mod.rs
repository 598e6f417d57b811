//! HTTP at the edge of every service: the server with its limits, and what each request gets around
//! it (trace, span, metrics, problems). Knows no route of any service.

mod chunked;
mod ending;
mod exchange;
mod guard;
mod head;
mod joined;
mod json;
mod layers;
mod limits;
mod own_host;
mod refusal;
mod router;
mod server;
mod shape;
mod timer;

pub use exchange::Exchange;
pub use head::is_host;
pub use joined::Joined;
pub use json::{Json, body, parse};
pub use layers::{finish, known_method, not_found, panic_message, traceparent};
pub use limits::Limits;
pub use own_host::own_host;
pub use refusal::Refusal;
pub use router::Routed;
pub use server::{Connection, Handle, Server, refusal_of};
pub use timer::LazyTimer;
