//! What can happen to a request on its way to the API server and back, decided request by request. It sits
//! between the client with its retries and the wire, so that neither knows of it.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::stream;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, DynBody, retry::RetryPolicy},
};
use serde_json::json;
use tokio::sync::watch;
use tower::{BoxError, Layer, Service, buffer::BufferLayer, retry::RetryLayer};

/// A request that is about to be sent.
pub struct Call<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    /// Of those that ask for a change, the how manieth it is, from 1 on.
    pub write: Option<usize>,
}

impl Call<'_> {
    pub fn is_watch(&self) -> bool {
        self.path.contains("watch=")
    }
}

/// What becomes of it.
pub enum Fate {
    Pass,
    /// It arrives; then its sender is gone, and nothing of it is sent any more.
    LastOne,
    /// It arrives and is done, and its answer is lost.
    Unanswered,
    /// It does not arrive; this is the answer, with a `Retry-After` in seconds.
    Refused(u16, Option<u32>),
    /// It takes a while longer.
    Slow(Duration),
    /// A read that is answered as the same read was answered the last time.
    Stale,
    /// A watch that goes on until `Faults::end_watches`.
    Endable,
}

/// How watches end that are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection breaks.
    Broken,
    /// The API server does not know any more what has happened since.
    Gone,
    /// Nothing comes any more, and no end either: something on the way has forgotten the connection.
    Silent,
}

type Decide = dyn Fn(&Call<'_>) -> Fate + Send + Sync;
type Answer = Response<Box<DynBody>>;

/// Clones are the same ones.
#[derive(Clone)]
pub struct Faults(Arc<Shared>);

struct Shared {
    decide: Box<Decide>,
    writes: AtomicUsize,
    gone: watch::Sender<bool>,
    /// The last answer to each read.
    answers: Mutex<HashMap<String, (http::response::Parts, bytes::Bytes)>>,
    /// How often each fate but `Pass` has come.
    happened: AtomicUsize,
    /// The last end of watches, and how many have come to it.
    end: watch::Sender<Option<End>>,
    ended: AtomicUsize,
}

impl Faults {
    pub fn new(decide: impl Fn(&Call<'_>) -> Fate + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            decide: Box::new(decide),
            writes: AtomicUsize::new(0),
            gone: watch::Sender::new(false),
            answers: Mutex::default(),
            happened: AtomicUsize::new(0),
            end: watch::Sender::new(None),
            ended: AtomicUsize::new(0),
        }))
    }

    /// A client whose requests meet them.
    pub fn client(&self, mut config: Config) -> Client {
        // Retries go through the faults again, each of them.
        config.default_retry = false;
        let client = ClientBuilder::try_from(config).unwrap();
        let client = client.with_layer(self).with_layer(&BufferLayer::new(1024));
        client.with_layer(&RetryLayer::new(RetryPolicy::server_retry())).build()
    }

    /// Changes that were asked for until now.
    pub fn writes(&self) -> usize {
        self.0.writes.load(Ordering::SeqCst)
    }

    /// How many requests did not simply pass.
    pub fn happened(&self) -> usize {
        self.0.happened.load(Ordering::SeqCst)
    }

    /// Ends the endable watches that are under way now, not those that begin later.
    pub fn end_watches(&self, end: End) {
        self.0.end.send_replace(Some(end));
    }

    /// How many watches have met such an end until now.
    pub fn ended(&self) -> usize {
        self.0.ended.load(Ordering::SeqCst)
    }

    /// Waits for the last request.
    pub async fn gone(&self) {
        let mut gone = self.0.gone.subscribe();
        let _ = gone.wait_for(|gone| *gone).await;
    }
}

impl Shared {
    fn fate(&self, request: &Request<Body>) -> Fate {
        let method = request.method();
        let is_write = *method != Method::GET;
        let write = is_write.then(|| self.writes.fetch_add(1, Ordering::SeqCst) + 1);
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let fate = (self.decide)(&Call { method, path, write });
        if !matches!(fate, Fate::Pass | Fate::Endable) {
            self.happened.fetch_add(1, Ordering::SeqCst);
        }
        fate
    }

    async fn remember(&self, path: String, answer: Answer) -> Result<Answer, BoxError> {
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await?.to_bytes();
        if parts.status.is_success() || parts.status == 404 {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.insert(path, (parts.clone(), bytes.clone()));
        }
        Ok(Response::from_parts(parts, full(bytes)))
    }

    fn remembered(&self, path: &str) -> Option<Answer> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (parts, bytes) = answers.get(path)?.clone();
        Some(Response::from_parts(parts, full(bytes)))
    }
}

fn full(bytes: impl Into<bytes::Bytes>) -> Box<DynBody> {
    Box::new(Full::new(bytes.into()).map_err(BoxError::from))
}

/// A watch that can be ended.
fn endable(answer: Answer, shared: Arc<Shared>) -> Answer {
    let (parts, body) = answer.into_parts();
    let end = shared.end.subscribe();
    let frames = stream::unfold(Some((body, end)), move |open| {
        let shared = Arc::clone(&shared);
        async move {
            let (mut body, mut end) = open?;
            tokio::select! {
                frame = body.frame() => frame.map(|frame| (frame, Some((body, end)))),
                Ok(()) = end.changed() => {
                    shared.ended.fetch_add(1, Ordering::SeqCst);
                    let how = *end.borrow();
                    match how {
                        Some(End::Silent) => std::future::pending().await,
                        Some(End::Gone) => {
                            let event = json!({"type": "ERROR", "object": status(410)});
                            let line = bytes::Bytes::from(format!("{event}\n"));
                            Some((Ok(Frame::data(line)), None))
                        }
                        Some(End::Broken) | None => {
                            Some((Err("the test breaks the connection".into()), None))
                        }
                    }
                }
            }
        }
    });
    Response::from_parts(parts, Box::new(StreamBody::new(Box::pin(frames))))
}

fn status(code: u16) -> serde_json::Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": "Injected", "message": format!("the test answers {code}"),
    })
}

fn refused(code: u16, retry_after: Option<u32>) -> Answer {
    let status = status(code);
    let mut answer = Response::builder().status(code).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        answer = answer.header("retry-after", seconds);
    }
    answer.body(full(status.to_string())).unwrap()
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { inner, shared: Arc::clone(&self.0) }
    }
}

/// The service behind its faults.
pub struct Faulty<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Faulty<S>
where
    S: Service<Request<Body>, Response = Answer, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        if *shared.gone.borrow() {
            return Box::pin(std::future::pending());
        }
        let fate = shared.fate(&request);
        let path = request.uri().to_string();
        let is_read = *request.method() == Method::GET && !path.contains("watch=");
        if let Fate::Refused(code, retry_after) = fate {
            return Box::pin(async move { Ok(refused(code, retry_after)) });
        }
        if let (Fate::Stale, Some(answer)) = (&fate, shared.remembered(&path)) {
            return Box::pin(async move { Ok(answer) });
        }
        // It is sent when it is polled.
        let answer = self.inner.call(request);
        Box::pin(async move {
            match fate {
                Fate::LastOne => {
                    answer.await?;
                    shared.gone.send_replace(true);
                    std::future::pending().await
                }
                Fate::Unanswered => {
                    answer.await?;
                    Err("the test has lost the answer".into())
                }
                Fate::Slow(time) => {
                    tokio::time::sleep(time).await;
                    answer.await
                }
                Fate::Pass | Fate::Stale if is_read => shared.remember(path, answer.await?).await,
                Fate::Endable => Ok(endable(answer.await?, shared)),
                Fate::Pass | Fate::Stale | Fate::Refused(..) => answer.await,
            }
        })
    }
}
