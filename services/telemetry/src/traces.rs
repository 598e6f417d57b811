//! Spans by OTLP over HTTP. The exporter's own clients would bring a second crypto library into the
//! program, so it gets one that is there already.

use std::{error::Error, fmt, pin::Pin, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use storefront_contract::settings::Source;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// How long the last spans may take at the end.
const END_LIMIT: Duration = Duration::from_secs(5);
/// What a collector answers is short.
const ANSWER_MAX_BYTES: usize = 1 << 20;

/// The way of spans out of this process.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    name: &'static str,
}

impl Traces {
    /// Nothing where nobody asks for spans.
    pub fn begin(
        name: &'static str,
        version: &'static str,
        environment: &impl Source,
    ) -> Result<Option<Self>, String> {
        if !is_wanted(environment) {
            return Ok(None);
        }
        let client = Client::new(Handle::current());
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let exporter = exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_…: {error}"))?;
        let mut resource = Resource::builder();
        if environment.get("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(name);
        }
        let resource = resource.with_attribute(KeyValue::new("service.version", version));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        Ok(Some(Self { provider, name }))
    }

    pub fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(self.name))
            .with_location(false)
            .with_threads(false)
    }

    /// Sends what is left. Blocks for a bounded time.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(END_LIMIT) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

fn is_wanted(environment: &impl Source) -> bool {
    let is = |name: &str, value: &str| {
        environment.get(name).is_some_and(|is| is.eq_ignore_ascii_case(value))
    };
    let named = |name: &str| environment.get(name).is_some_and(|url| !url.trim().is_empty());
    let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    endpoint.into_iter().any(named)
        && !is("OTEL_SDK_DISABLED", "true")
        && !is("OTEL_TRACES_EXPORTER", "none")
}

/// The exporter runs on a thread of its own, outside of the runtime that connections need.
#[derive(Clone)]
struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
}

impl Client {
    fn new(runtime: Handle) -> Self {
        let connector =
            HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Self { pool: Pool::builder(TokioExecutor::new()).build(connector), runtime }
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = self.pool.request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, ANSWER_MAX_BYTES).collect().await?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sent = self.runtime.spawn(self.clone().send(request));
        Box::pin(async move {
            sent.await.map_err(|error| Box::new(error) as Box<dyn Error + Send + Sync>)?
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn spans_are_sent_when_somebody_asks_for_them() {
        let wanted = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
            is_wanted(&variables.collect::<BTreeMap<_, _>>())
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert!(!wanted(&[]));
        assert!(!wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/v1/traces")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "true")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
    }
}
