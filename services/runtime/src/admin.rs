//! What a service says about itself on its admin port. Never reachable through the gateway. Everybody in a
//! cluster may ask for health and metrics; what says more is for this machine only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    Health, Metrics, Problem, Service,
    health::Readiness,
    http::{not_found, own_host},
    metrics::OPENMETRICS_TEXT,
    openapi::{Api, Operation},
};

#[derive(Clone)]
struct Admin {
    health: Health,
    metrics: Metrics,
}

/// `/livez`, `/readyz` and `/metrics`.
pub(crate) fn router(service: &Service) -> Router {
    let admin = Admin { health: service.health.clone(), metrics: service.metrics.clone() };
    routes().into_router().with_state(admin).fallback(not_found)
}

/// What every service's admin port answers.
pub fn operations() -> Vec<Operation> {
    routes().into_operations()
}

/// Routes that only this machine may use: in a cluster that is the pod itself, which people reach by
/// `kubectl port-forward`, so that Kubernetes says who may. Pages of a browser may not.
pub(crate) fn for_this_machine(router: Router) -> Router {
    if !router.has_routes() {
        return router;
    }
    router.layer(from_fn(this_machine))
}

async fn this_machine(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match may_ask(peer.ip(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn may_ask(peer: IpAddr, headers: &HeaderMap) -> Result<(), Problem> {
    // Not all of 127.0.0.0/8: a mesh's proxy passes others' requests on from 127.0.0.6.
    let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if !own.contains(&peer.to_canonical()) {
        return Err(not_this_machine());
    }
    let of_a_page = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if of_a_page || own_host(headers).is_none() {
        let detail = "the request comes from a browser's page, or by a name that may be anybody's";
        return Err(Problem::of(StatusCode::FORBIDDEN).detail(detail));
    }
    Ok(())
}

/// The answer to whoever asks from elsewhere.
pub fn not_this_machine() -> Problem {
    Problem::of(StatusCode::FORBIDDEN).detail(
        "this is answered on the machine itself only: use `kubectl port-forward` to the pod, and ask \
         at 127.0.0.1",
    )
}

fn routes() -> Api<Admin> {
    let live = Operation::get("/livez", "isAlive", "Tell whether the process answers")
        .description("Says nothing of dependencies: a restart does not bring a database back.")
        .answers_as::<String>(200, "text/plain; charset=utf-8", "It does", json!("ok"));
    let ready = Operation::get("/readyz", "isReady", "Tell whether requests should be sent here")
        .answers::<Readiness>(200, "They should", readiness(true))
        .answers::<Readiness>(503, "A dependency is down, or the service stops", readiness(false));
    let metrics = Operation::get("/metrics", "getMetrics", "Metrics, for Prometheus")
        .answers_as::<String>(
            200,
            OPENMETRICS_TEXT,
            "All that docs/metrics.md lists",
            json!("# HELP storefront_parked Events that wait for another attempt.\n# EOF\n"),
        );
    Api::default()
        .route(live, get(async || "ok"))
        .route(ready, get(readyz))
        .route(metrics, get(encoded))
}

/// An example.
fn readiness(up: bool) -> Value {
    let since = "2026-01-02T03:04:05Z";
    let kafka = if up {
        json!({"up": true, "since": since})
    } else {
        json!({"up": false, "reason": "no broker answers", "since": since})
    };
    json!({
        "ready": up,
        "state": if up { "ready" } else { "waiting" },
        "dependencies": {"database": {"up": true, "since": since}, "kafka": kafka},
    })
}

async fn readyz(State(Admin { health, .. }): State<Admin>) -> impl IntoResponse {
    let readiness = health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness))
}

async fn encoded(State(Admin { metrics, .. }): State<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, OPENMETRICS_TEXT)], metrics.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_asks_for_more_and_no_page_in_its_browser() {
        let status = |peer: &str, headers: &[(&str, &str)]| {
            let mut all = HeaderMap::from_iter([(header::HOST, "127.0.0.1:9000".parse().unwrap())]);
            for (name, value) in headers {
                all.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            may_ask(peer.parse().unwrap(), &all).map_err(|problem| problem.status().as_u16())
        };
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(status(own, &[]), Ok(()), "{own}");
            assert_eq!(status(own, &[("host", "localhost:9000")]), Ok(()));
        }
        for other in ["10.0.0.7", "127.0.0.6", "fe80::1", "::ffff:10.0.0.7"] {
            assert_eq!(status(other, &[]), Err(403), "{other}");
        }
        for page in [
            ("host", "evil.example.com:9000"),
            ("origin", "http://127.0.0.1:9000"),
            ("sec-fetch-site", "same-origin"),
        ] {
            assert_eq!(status("127.0.0.1", &[page]), Err(403), "{page:?}");
        }
    }
}
