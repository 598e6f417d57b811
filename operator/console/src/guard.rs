//! Who may ask. The console has no password: on a laptop it listens on this machine only, in a cluster
//! people reach it by `kubectl port-forward`. So no other page in the same browser may use it: not by a
//! name that leads here (DNS rebinding), not by a request across sites.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use storefront_runtime::{Problem, http::own_host};

/// Refuses what a foreign page could have caused.
pub async fn guard(request: Request, next: Next) -> Response {
    let refused = host(request.headers()).and_then(|host| {
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        if changes { same_origin(request.headers(), host) } else { not_framed(request.headers()) }
    });
    match refused {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The host that was asked: an IP address or this machine's own name. Any other name may be one that an
/// attacker leads here.
fn host(headers: &HeaderMap) -> Result<&str, Problem> {
    own_host(headers).ok_or_else(|| {
        Problem::of(StatusCode::MISDIRECTED_REQUEST)
            .detail("open the console by an IP address or as localhost, not by another name")
    })
}

/// A page of another site gets no answer at all, not even one that it cannot read.
fn not_framed(headers: &HeaderMap) -> Result<(), Problem> {
    match fetch_site(headers) {
        Some("cross-site" | "same-site") if !is_navigation(headers) => Err(foreign()),
        _ => Ok(()),
    }
}

/// A change is taken from the console's own page, or from a program, which sends neither header.
fn same_origin(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("null"));
    let own = origin.is_none_or(|origin| {
        origin.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some_and(|it| it.as_str() == host))
    });
    let fetched = fetch_site(headers).is_none_or(|site| site == "same-origin");
    if own && fetched { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> Problem {
    Problem::of(StatusCode::FORBIDDEN).detail("the request comes from another site's page")
}

fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("cross-site"))
}

/// A link to the console is followed, wherever it stands.
fn is_navigation(headers: &HeaderMap) -> bool {
    let is = |name: &str, wanted: &str| headers.get(name).is_some_and(|value| value == wanted);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(method: &str, headers: &[(&str, &str)]) -> u16 {
        let ok = async || "ok";
        let router = Router::new().route("/", get(ok).post(ok)).layer(from_fn(guard));
        let request = Request::builder().method(method).uri("/");
        let request = headers.iter().fold(request, |request, (n, v)| request.header(*n, *v));
        let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        answer.status().as_u16()
    }

    #[tokio::test]
    async fn only_names_that_nobody_else_can_give_lead_here() {
        for host in ["127.0.0.1:8090", "[::1]:8090", "10.0.0.7", "localhost:8090", "a.localhost"] {
            assert_eq!(ask("GET", &[("host", host)]).await, 200, "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8090"] {
            assert_eq!(ask("GET", &[("host", host)]).await, 421, "{host}");
        }
    }

    #[tokio::test]
    async fn no_page_of_another_site_changes_or_reads_anything() {
        let host = ("host", "localhost:8090");
        let own = ("origin", "http://localhost:8090");
        let site = |site| ("sec-fetch-site", site);
        assert_eq!(ask("POST", &[host]).await, 200, "a program");
        assert_eq!(ask("POST", &[host, own, site("same-origin")]).await, 200, "the page");
        assert_eq!(ask("POST", &[host, own]).await, 200, "an old browser");
        for wrong in [
            ("origin", "http://localhost:8080"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            site("same-site"),
            site("cross-site"),
            site("none"),
        ] {
            assert_eq!(ask("POST", &[host, wrong]).await, 403, "{wrong:?}");
        }
        assert_eq!(ask("GET", &[host, site("cross-site")]).await, 403);
        let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert_eq!(ask("GET", &[host, site("cross-site"), link[0], link[1]]).await, 200, "a link");
    }
}
