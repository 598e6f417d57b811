//! The gateway's own answers when something is wrong. They name services, never addresses.

use http::{StatusCode, header};
use serde_json::json;
use storefront_runtime::Problem;

use crate::{link::SendError, routes::Routes, target::BadPath, upstream::ConnectError};

/// Most characters of a path that are repeated to whoever asked for it.
const PATH_MAX_CHARS: usize = 200;

/// 404: nothing is there, but these are.
pub fn not_found(path: &str, routes: &Routes, pages: bool) -> Problem {
    let path: String = path.chars().take(PATH_MAX_CHARS).collect();
    let services: Vec<_> = routes
        .services()
        .into_iter()
        .map(|(service, prefix)| json!({"service": service, "path": prefix}))
        .collect();
    let paths: Vec<&str> = routes.services().into_iter().map(|(_, prefix)| prefix).collect();
    let pages = if pages { "the pages / and /success, and " } else { "" };
    let here = if paths.is_empty() { "no services".into() } else { paths.join(", ") };
    Problem::of(StatusCode::NOT_FOUND)
        .detail(format!("there is nothing at {path}; this shop has {pages}{here}"))
        .with("path", path)
        .with("services", services)
}

/// 400: the path could be read in more than one way.
pub fn bad_path(why: BadPath) -> Problem {
    Problem::of(StatusCode::BAD_REQUEST).detail(why.to_string()).with("reason", why.reason())
}

/// 400: the request is for another server.
pub fn not_a_proxy() -> Problem {
    Problem::of(StatusCode::BAD_REQUEST)
        .detail("this is no proxy: ask for a path, without scheme and host")
}

/// 400: another protocol was asked for.
pub fn no_upgrade() -> Problem {
    Problem::of(StatusCode::BAD_REQUEST).detail("no other protocol than HTTP is spoken here")
}

/// 405, with what is allowed.
pub fn method_not_allowed(allowed: &'static str) -> Problem {
    Problem::of(StatusCode::METHOD_NOT_ALLOWED)
        .detail(format!("allowed here: {allowed}"))
        .header(header::ALLOW, allowed)
}

/// Why a request got no answer from its service.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the service cannot be reached")]
    Connect(#[from] ConnectError),
    #[error("the service gave no answer")]
    Send(#[from] SendError),
}

impl Failure {
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.reason(),
            Self::Send(error) => error.reason(),
        }
    }

    /// 502, 503 or 504, or 400 where the client did not send all of its request.
    pub fn problem(&self, service: &str) -> Problem {
        let (status, what) = match self {
            Self::Send(SendError::RequestBody(_)) => {
                let detail = "the request's body did not come whole";
                return Problem::of(StatusCode::BAD_REQUEST).detail(detail);
            }
            Self::Connect(ConnectError::Timeout) | Self::Send(SendError::Timeout) => {
                (StatusCode::GATEWAY_TIMEOUT, "did not answer in time")
            }
            Self::Connect(ConnectError::TooMany) => {
                (StatusCode::SERVICE_UNAVAILABLE, "has too much to do at the moment")
            }
            Self::Connect(_) => (StatusCode::SERVICE_UNAVAILABLE, "is not available at the moment"),
            Self::Send(_) => (StatusCode::BAD_GATEWAY, "broke off or gave no valid answer"),
        };
        let problem =
            Problem::of(status).detail(format!("{service} {what}")).with("service", service);
        if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after_s(1) } else { problem }
    }
}
