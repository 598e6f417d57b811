//! One request on its way to a service and back.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header};
use storefront_contract::{ServiceId, settings::Cidr};
use storefront_runtime::{
    TraceContext,
    failpoint::{self, Step},
    http::{Connection, Exchange},
    trace::TRACEPARENT,
};

use crate::{
    body::{AnswerBody, RequestBody},
    forwarded::Origin,
    headers,
    link::SendError,
    problems::Failure,
    upstream::Upstream,
};

/// How requests are forwarded.
#[derive(Debug)]
pub struct Proxy {
    pub trusted: Vec<Cidr>,
    /// From the end of a request to the head of its answer, and between two pieces of its body.
    pub answer_timeout: Duration,
}

impl Proxy {
    /// Forwards a request, whose target is in normal form.
    pub async fn forward(
        &self,
        mut request: Box<Request<RequestBody>>,
        context: TraceContext,
        connection: &Connection,
        upstream: &Arc<Upstream>,
    ) -> Result<Response<AnswerBody>, Failure> {
        self.prepare(&mut request, context, connection, upstream);
        failpoint::reach(ServiceId::Gateway, Step::Forwarding);
        let mut response = self.exchange(request, &connection.exchange, upstream).await?;
        failpoint::reach(ServiceId::Gateway, Step::Answered);
        headers::clean_response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    /// Sends a GET of our own, which has no client behind it.
    pub async fn ask(
        &self,
        target: Uri,
        context: TraceContext,
        upstream: &Arc<Upstream>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = target;
        let known = [
            (header::HOST, upstream.authority()),
            (header::ACCEPT, "application/json"),
            (HeaderName::from_static(TRACEPARENT), &context.to_traceparent()),
        ];
        for (name, value) in known {
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(name, value);
            }
        }
        self.exchange(Box::new(request), &Exchange::default(), upstream).await
    }

    /// Makes a client's request ours: what crosses no proxy goes, then what we know is set.
    fn prepare(
        &self,
        request: &mut Request<RequestBody>,
        context: TraceContext,
        connection: &Connection,
        upstream: &Upstream,
    ) {
        *request.version_mut() = Version::HTTP_11;
        request.extensions_mut().clear();
        let headers = request.headers_mut();
        let peer = connection.peer.ip();
        let origin = Origin::of(headers, peer, &connection.peer_value, &self.trusted);
        headers::clean_request(headers);
        origin.set(headers);
        if !headers.contains_key(header::HOST)
            && let Ok(authority) = upstream.authority().parse()
        {
            headers.insert(header::HOST, authority);
        }
        if let Ok(traceparent) = HeaderValue::from_bytes(&context.traceparent()) {
            headers.insert(TRACEPARENT, traceparent);
        }
    }

    /// Sends it on a kept connection, or on a new one: also when the kept one turns out to be
    /// closed and the service cannot have acted on the request. It is sent at most twice.
    async fn exchange(
        &self,
        request: Box<Request<RequestBody>>,
        exchange: &Exchange,
        upstream: &Arc<Upstream>,
    ) -> Result<Response<AnswerBody>, Failure> {
        let limit = self.answer_timeout;
        let repeatable = request.body().is_empty() && is_safe(request.method());
        let request = match upstream.kept(repeatable) {
            None => request,
            Some(link) => {
                let copy = repeatable.then(|| copy(&request));
                match (link.send(request, exchange, limit).await, copy) {
                    (Ok(response), _) => return Ok(response.map(AnswerBody::Service)),
                    (Err(SendError::Unsent(request)), _) => request,
                    (Err(SendError::Closed(_) | SendError::Ended), Some(copy)) => copy,
                    (Err(error), _) => return Err(error.into()),
                }
            }
        };
        let link = upstream.connect().await?;
        let response = link.send(request, exchange, limit).await?;
        Ok(response.map(AnswerBody::Service))
    }
}

/// RFC 9110 section 9.2.1: asking twice does nothing that asking once would not.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn copy(request: &Request<RequestBody>) -> Box<Request<RequestBody>> {
    let mut copy = Box::new(Request::new(RequestBody::empty()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
