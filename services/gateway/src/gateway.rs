//! What becomes of each request: a page, a service's answer, or a problem.

use std::{borrow::Cow, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use storefront_contract::settings::GatewaySettings;
use storefront_runtime::{
    Metrics, Problem, TraceContext,
    http::{Connection, Handle, known_method, panic_message, traceparent},
    metrics::{HttpLabels, HttpMetrics},
    trace,
};

use crate::{
    body::{AnswerBody, RequestBody},
    headers,
    pages::{self, Pages, Services, Wanted},
    problems,
    proxy::Proxy,
    routes::Routes,
    target,
    upstream::Upstream,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The gateway of one shop.
#[derive(Debug)]
pub struct Gateway {
    routes: Routes,
    pages: Option<Pages>,
    proxy: Proxy,
    http: HttpMetrics,
    failures: Family<FailureLabels, Counter>,
    labels: RouteLabels,
}

/// Labels for requests that go to no service.
#[derive(Debug)]
struct RouteLabels {
    page: Arc<str>,
    none: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    service: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

impl Gateway {
    pub fn new(settings: &GatewaySettings, metrics: &Metrics) -> Self {
        let opened: Family<ServiceLabels, Counter> = metrics.register_by(
            &[("service", "its name, or `sandbox`")],
            "storefront_gateway_connections_opened",
            "Connections opened to a service",
            Family::default(),
        );
        let connect_timeout = std::time::Duration::from_millis(settings.connect_timeout_ms);
        let routes = Routes::new(&settings.routes, |route| {
            let labels = ServiceLabels { service: route.service.clone() };
            Upstream::new(route, connect_timeout, opened.get_or_create_owned(&labels))
        });
        Self {
            routes,
            pages: settings.pages.then(|| Pages::new(&settings.branding)),
            proxy: Proxy {
                trusted: settings.trusted_proxies.clone(),
                answer_timeout: std::time::Duration::from_millis(settings.upstream_timeout_ms),
            },
            http: metrics.http().clone(),
            failures: metrics.register_by(
                &[
                    ("service", "its name, or `sandbox`"),
                    ("reason", "a fixed word, such as `AnswerTimeout`"),
                ],
                "storefront_gateway_failures",
                "Requests that a service did not answer, by reason",
                Family::default(),
            ),
            labels: RouteLabels { page: "page".into(), none: "unmatched".into() },
        }
    }

    /// Closes connections to services that were not used for a while.
    pub fn sweep(&self) {
        self.routes.upstreams().for_each(|upstream| upstream.sweep());
    }

    /// The answer, and the route as a label of metrics.
    async fn answer(
        &self,
        mut request: Box<Request<RequestBody>>,
        context: TraceContext,
        connection: &Connection,
    ) -> (Arc<str>, Response<AnswerBody>) {
        let people = self.pages.as_ref().filter(|_| pages::wants_page(request.headers()));
        let show = |problem: Problem| match people {
            Some(pages) => pages.problem(problem),
            None => problem.into_response_of(),
        };
        let path = match check(&request) {
            Ok(path) => path,
            Err(problem) => return (self.labels.none.clone(), show(problem)),
        };
        if let Some(pages) = self.pages.as_ref().filter(|pages| pages.have(&path)) {
            let (method, headers) = (request.method(), request.headers());
            let query = request.uri().query().unwrap_or_default();
            let wanted = Wanted { method, path: &path, query, headers };
            let services = Services { routes: &self.routes, proxy: &self.proxy };
            // Boxed, so that what is forwarded does not carry the space that a page needs.
            return (self.labels.page.clone(), Box::pin(pages.answer(wanted, services)).await);
        }
        let Some((prefix, upstream)) = self.routes.find(&path) else {
            let problem = problems::not_found(&path, &self.routes, self.pages.is_some());
            return (self.labels.none.clone(), show(problem));
        };
        let target = match path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => match with_query(&path, request.uri()) {
                Ok(target) => Some(target),
                Err(problem) => return (self.labels.none.clone(), show(problem)),
            },
        };
        if let Some(target) = target {
            *request.uri_mut() = target;
        }
        if traceparent(request.headers()).and_then(TraceContext::parse).is_none() {
            request.headers_mut().remove(TRACESTATE);
        }
        let forwarded = self.proxy.forward(request, context, connection, upstream).await;
        let response = forwarded.unwrap_or_else(|failure| {
            if let Some(refusal) = connection.exchange.refusal() {
                return refusal.problem().into_response_of();
            }
            let (service, reason) = (upstream.service(), failure.reason());
            tracing::warn!(
                service.name = service,
                reason,
                error = &failure as &dyn std::error::Error,
                trace.id = context.trace_id(),
                "a request got no answer"
            );
            let labels = FailureLabels { service: service.to_owned(), reason };
            self.failures.get_or_create(&labels).inc();
            show(failure.problem(service))
        });
        (prefix.clone(), response)
    }
}

impl Handle for Gateway {
    type Body = AnswerBody;

    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<AnswerBody>> + Send + 'static {
        let started = Instant::now();
        let context = TraceContext::continued(traceparent(request.headers()));
        let method = known_method(request.method());
        // Boxed, as it goes from future to future, each of which would have room for it twice.
        let request = Box::new(request.map(RequestBody::from));
        async move {
            let work = AssertUnwindSafe(self.answer(request, context, &connection)).catch_unwind();
            let (route, mut response) = trace::scope(context, work).await.unwrap_or_else(|panic| {
                tracing::error!(panic = panic_message(&*panic), "a request made the gateway panic");
                let problem = Problem::of(StatusCode::INTERNAL_SERVER_ERROR);
                (self.labels.none.clone(), problem.into_response_of())
            });
            let status = response.status().as_u16();
            let duration = started.elapsed();
            let labels = HttpLabels { method, route, status };
            self.http.duration.get_or_create(&labels).observe(duration.as_secs_f64());
            tracing::debug!(
                http.method = method,
                http.route = &*labels.route,
                http.status = status,
                duration_ms = duration.as_secs_f64() * 1e3,
                trace.id = context.trace_id(),
                "answered"
            );
            if let Ok(id) = HeaderValue::from_bytes(&context.trace_digits()) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            response
        }
    }
}

/// The path in normal form, of a request that is one for this server.
fn check(request: &Request<RequestBody>) -> Result<Cow<'_, str>, Problem> {
    const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(problems::method_not_allowed(ALLOWED));
    }
    let uri = request.uri();
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(problems::not_a_proxy());
    }
    if headers::asks_for_upgrade(request.headers()) {
        return Err(problems::no_upgrade());
    }
    target::normalise(uri.path()).map_err(problems::bad_path)
}

/// A normal path with the query of the request it came from.
fn with_query(path: &str, uri: &Uri) -> Result<Uri, Problem> {
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    Uri::try_from(format!("{path}{query}"))
        .map_err(|_| problems::bad_path(target::BadPath::Character))
}
