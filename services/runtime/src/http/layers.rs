//! What every request to an axum router gets around its handler: trace and span, metrics, and
//! errors that are always problems, panics included.

use std::{
    any::Any,
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    Router,
    body::to_bytes,
    extract::{MatchedPath, Request},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Map, Value};
use tower::{Service, layer::layer_fn};
use tracing::Instrument;

use super::Exchange;
use crate::{
    Metrics, Problem, TraceContext,
    metrics::{HttpLabels, HttpMetrics},
    problem::PROBLEM_JSON,
    trace,
};

/// Longest text of a plain error answer that becomes a problem's detail, in bytes.
const DETAIL_MAX_BYTES: usize = 1024;

/// Wraps a service's whole router: call it last. A fallback of the router's own is replaced by the
/// 404 problem.
pub fn finish(router: Router, metrics: &Metrics) -> Router {
    let metrics = metrics.http().clone();
    let observe = layer_fn(move |inner| Observed { inner, metrics: metrics.clone() });
    router.fallback(not_found).layer(observe)
}

/// Adds to a problem that is a 405 what is allowed, in words: which methods a path has, axum says outside of a
/// router's layers only.
pub(super) async fn name_methods(response: Response) -> Response {
    let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if response.status() != StatusCode::METHOD_NOT_ALLOWED
        || content_type != Some(PROBLEM_JSON.as_bytes())
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, DETAIL_MAX_BYTES).await else {
        return Problem::of(parts.status).into_response();
    };
    let Some(allowed) = parts.headers.get(header::ALLOW).and_then(|value| value.to_str().ok())
    else {
        return Response::from_parts(parts, body.into());
    };
    let Ok(mut problem) = serde_json::from_slice::<Map<String, Value>>(&body) else {
        return Response::from_parts(parts, body.into());
    };
    let detail = format!("allowed here: {}", allowed.replace(',', ", "));
    problem.entry("detail").or_insert_with(|| detail.into());
    let body = Value::Object(problem).to_string();
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    Response::from_parts(parts, body.into())
}

/// The 404 of a path that no route matches.
pub async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::of(StatusCode::NOT_FOUND).detail(format!("there is nothing at {path}"))
}

/// What each request gets around its handler. A service of our own, as `from_fn` makes and boxes one anew for
/// each request.
#[derive(Clone)]
struct Observed<S> {
    inner: S,
    metrics: HttpMetrics,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(observe(self.metrics.clone(), request, |request| self.inner.call(request)))
    }
}

/// The handler's answer to the request that it is given at once, and what is counted of it.
fn observe<F>(
    metrics: HttpMetrics,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> impl Future<Output = Result<Response, Infallible>> + Send + 'static
where
    F: Future<Output = Result<Response, Infallible>> + Send + 'static,
{
    let started = Instant::now();
    let context = TraceContext::continued(traceparent(request.headers()));
    let method = known_method(request.method());
    let path = request.extensions().get::<MatchedPath>();
    let route: Arc<str> = path.map_or("unmatched", MatchedPath::as_str).into();
    let exchange = request.extensions().get::<Exchange>().cloned();
    let span = tracing::info_span!(
        "request",
        trace.id = str::from_utf8(&context.trace_digits()).unwrap_or_default(),
        http.method = method,
        http.route = &*route
    );

    let answer = answer(request);
    let handle = async move {
        let response = match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(response)) => as_problem(response).await,
            Err(panic) => panicked(&*panic),
        };
        // The body broke a rule while it was read: that, not what the handler made of it, is the
        // answer.
        match exchange.and_then(|exchange| exchange.refusal()) {
            Some(refusal) if !response.status().is_success() => refusal.problem().into_response(),
            _ => response,
        }
    };
    let handled = trace::scope(context, handle).instrument(span);
    async move {
        let response = handled.await;
        let labels = HttpLabels { method, route, status: response.status().as_u16() };
        metrics.duration.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
        Ok(response)
    }
}

/// The one `traceparent`; several are as good as none.
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(trace::TRACEPARENT).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// The method as a metric's label: a client may send any token, a label must not be any.
pub fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// The message that a panic carried.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    tracing::error!(panic = panic_message(panic), "a request handler panicked");
    Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

/// Makes problems of the plain-text errors that axum's own extractors and routing answer with.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|value| !value.starts_with(b"text/plain")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let mut problem = Problem::of(status);
    if let Ok(text) = to_bytes(body, DETAIL_MAX_BYTES).await
        && !text.is_empty()
    {
        problem = problem.detail(String::from_utf8_lossy(&text));
    }
    let mut response = problem.into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{
        body::Body,
        extract::Path,
        routing::{get, post},
    };
    use tower::ServiceExt;

    use super::*;

    fn router(metrics: &Metrics) -> Router {
        async fn panics() -> &'static str {
            panic!("with a message")
        }
        let router = Router::new()
            .route("/orders/{id}", get(async |Path(id): Path<u32>| id.to_string()))
            .route("/trace", get(async || trace::current().unwrap().trace_id()))
            .route("/body", post(async |body: String| body))
            .route("/panics", get(panics));
        finish(router, metrics)
    }

    async fn ask(metrics: &Metrics, request: Request) -> (u16, String, String) {
        let response = name_methods(router(metrics).oneshot(request).await.unwrap()).await;
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type").cloned();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let content_type = content_type.map_or(String::new(), |v| v.to_str().unwrap().to_owned());
        (status, content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_error_is_a_problem() {
        let metrics = Metrics::new("test");
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        let large = Request::post("/body").body(Body::from(vec![b'a'; 3 << 20])).unwrap();
        let binary = Request::post("/body").body(Body::from(vec![0xff])).unwrap();
        let cases = [
            (get("/nowhere"), 404),
            (get("/body"), 405),
            (get("/orders/x"), 400),
            (large, 413),
            (binary, 400),
            (get("/panics"), 500),
        ];
        for (request, status) in cases {
            let (got, content_type, body) = ask(&metrics, request).await;
            assert_eq!((got, &*content_type), (status, "application/problem+json"), "{body}");
            assert!(body.contains("\"traceId\""), "{body}");
            assert!(!body.contains("with a message"), "{body}");
            assert_eq!(status == 405, body.contains(r#""detail":"allowed here: POST""#), "{body}");
        }
    }

    #[tokio::test]
    async fn a_request_continues_the_trace_it_came_with() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = Request::get("/trace").header("traceparent", traceparent);
        let (status, _, body) =
            ask(&Metrics::new("test"), request.body(Body::empty()).unwrap()).await;
        assert_eq!((status, &*body), (200, "4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[tokio::test]
    async fn labels_are_bounded_whatever_clients_send() {
        let metrics = Metrics::new("test");
        for path in ["/orders/1", "/orders/2", "/a", "/b"] {
            let request = Request::builder().method("BREW").uri(path).body(Body::empty()).unwrap();
            ask(&metrics, request).await;
        }
        let text = metrics.encode();
        let count = |labels: &str| text.contains(&format!("seconds_count{{{labels}}} 2"));
        assert!(count(r#"method="other",route="/orders/{id}",status="405""#), "{text}");
        assert!(count(r#"method="other",route="unmatched",status="404""#), "{text}");
    }
}
