//! A service that trusts its gateway, and notes what it should not have got to see.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use httparse::{EMPTY_HEADER, Request, Status};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

pub const PREFIXES: [&str; 4] = ["/payment", "/catalog", "/orders", "/sandbox"];
pub const BODY_MAX_BYTES: u64 = 100_000;

const HEAD_MAX_BYTES: usize = 64 << 10;
const CATALOG: &str =
    r#"{"currency":"INR","products":[{"id":"chai","name":"Masala chai","price":34900}]}"#;
const SESSION: &str = r#"{"status":"open","orderId":"5ab5989b-728e-548e-b0f9-2ecbda30970d","userId":"ada","cart":[],"amount":1,"currency":"INR"}"#;

/// In each of its answers to a client.
pub const SIGN: &str = "x-by: service";

/// What came since it was last asked for.
#[derive(Default)]
pub struct Seen {
    pub faults: Vec<String>,
    /// Requests of clients; the gateway's pages ask on their own behalf.
    pub passed: usize,
}

#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Seen>>);

impl Notes {
    pub fn take(&self) -> Seen {
        mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub async fn serve(listener: TcpListener, notes: Notes) {
    while let Ok((socket, _)) = listener.accept().await {
        let notes = notes.clone();
        tokio::spawn(async move {
            if let Err(fault) = converse(socket, &notes).await {
                notes.lock().faults.push(fault);
            }
        });
    }
}

/// How the end of a body is found.
enum Body {
    Length(u64),
    Chunked,
}

/// Answers request after request. A connection that ends in the middle of one is no fault: its client went away.
async fn converse(mut socket: TcpStream, notes: &Notes) -> Result<(), String> {
    let mut unread = Vec::new();
    loop {
        let head = loop {
            if let Some(head) = head(&unread)? {
                break head;
            }
            if socket.read_buf(&mut unread).await.unwrap_or(0) == 0 {
                return Ok(());
            }
        };
        unread.drain(..head.length);
        if !read_body(&mut socket, &mut unread, head.body).await? {
            return Ok(());
        }
        notes.lock().passed += usize::from(head.of_client);
        let sign = if head.of_client { SIGN } else { "x-by: nobody" };
        let text = match head.target.split('?').next() {
            Some("/catalog") => CATALOG,
            Some("/payment/verify") => SESSION,
            _ => "{}",
        };
        let length = if head.bare { 0 } else { text.len() };
        let kind = "content-type: application/json";
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{sign}\r\n{kind}\r\ncontent-length: {length}\r\n\r\n{}",
            &text[..length]
        );
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return Ok(());
        }
    }
}

/// A request's head.
struct Head {
    length: usize,
    target: String,
    /// Asked for with HEAD.
    bare: bool,
    of_client: bool,
    body: Body,
}

/// The next one, once it is whole.
fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut fields = [EMPTY_HEADER; 128];
    let mut request = Request::new(&mut fields);
    let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
    match request.parse(bytes) {
        Err(error) => Err(format!("{error} in {}", shown())),
        Ok(Status::Partial) if bytes.len() > HEAD_MAX_BYTES => Err("an endless head".into()),
        Ok(Status::Partial) => Ok(None),
        Ok(Status::Complete(length)) => {
            let body = check(&request).map_err(|fault| format!("{fault} in {}", shown()))?;
            let target = request.path.unwrap_or_default().to_owned();
            let of_client = request.headers.iter().any(|it| it.name == "x-forwarded-for");
            Ok(Some(Head { length, target, bare: request.method == Some("HEAD"), of_client, body }))
        }
    }
}

fn check(request: &Request<'_, '_>) -> Result<Body, String> {
    let method = request.method.unwrap_or_default();
    if ["CONNECT", "TRACE"].contains(&method) || request.version != Some(1) {
        return Err(format!("{method} of HTTP/1.{:?}", request.version));
    }
    let target = request.path.unwrap_or_default();
    is_normal(target.split('?').next().unwrap_or_default())?;
    for field in request.headers.iter() {
        may_cross(field.name)?;
    }
    let values = |name: &str| {
        let fields = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| String::from_utf8_lossy(field.value)).collect::<Vec<_>>()
    };
    let [host] = &values("host")[..] else { return Err("not one Host".into()) };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "@/,#?\\".contains(c)) {
        return Err(format!("the Host {host:?}"));
    }
    // The pages ask on their own behalf.
    let known = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "http")];
    for (name, value) in known {
        let said = values(name);
        if !said.is_empty() && said != [value] {
            return Err(format!("{name}: {said:?}"));
        }
    }
    if values("traceparent").len() != 1 || values("x-forwarded-host").len() > 1 {
        return Err("not one trace, or several hosts".into());
    }
    match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        ([], []) => Ok(Body::Length(0)),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().ok().filter(|length| *length <= BODY_MAX_BYTES);
            length.map(Body::Length).ok_or_else(|| "a body beyond the limit".into())
        }
        ([], [coding]) if coding == "chunked" => Ok(Body::Chunked),
        (lengths, codings) => Err(format!("framed by {lengths:?} and {codings:?}")),
    }
}

/// One reading only: below a prefix, without dots and empty segments, encoded or not.
fn is_normal(path: &str) -> Result<(), String> {
    let is_below = |prefix: &&str| {
        path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let lower = path.to_ascii_lowercase();
    let dots = |segment: &str| {
        let bare = segment.replace("%2e", ".");
        [".", ".."].contains(&bare.split(';').next().unwrap_or_default())
    };
    let encoded = ["%2f", "%5c", "%00", "%0a", "%0d", "%7f"];
    let wrong = !PREFIXES.iter().any(is_below)
        || lower.contains("//")
        || lower.split('/').any(dots)
        || encoded.iter().any(|it| lower.contains(it))
        || !path.bytes().all(|b| b.is_ascii_graphic() && !b"\\\"<>^`{|}[]#".contains(&b));
    if wrong { Err(format!("the path {path:?}")) } else { Ok(()) }
}

/// What ends at a gateway, and what only a gateway may say.
fn may_cross(name: &str) -> Result<(), String> {
    const NEVER: [&str; 17] = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        "expect",
        "forwarded",
        "true-client-ip",
        "x-request-id",
        "x-http-method-override",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-real-ip",
    ];
    const NEVER_BEGIN: [&str; 6] =
        ["x-user-", "x-remote-", "x-original-", "x-rewrite-", "x-storefront-", "x-auth"];
    let ours = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];
    let name = name.to_ascii_lowercase();
    let wrong = NEVER.contains(&&*name)
        || NEVER_BEGIN.iter().any(|begin| name.starts_with(begin))
        || (name.starts_with("x-forwarded") && !ours.contains(&&*name))
        || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if wrong { Err(format!("the field {name}")) } else { Ok(()) }
}

/// Whether a body came whole.
async fn read_body(
    socket: &mut TcpStream,
    unread: &mut Vec<u8>,
    body: Body,
) -> Result<bool, String> {
    match body {
        Body::Length(length) => {
            let length = usize::try_from(length).map_err(|_| "a body beyond memory")?;
            Ok(take(socket, unread, length).await.is_some())
        }
        Body::Chunked => {
            let mut total = 0;
            loop {
                let Some(line) = line(socket, unread).await? else { return Ok(false) };
                let size =
                    usize::from_str_radix(&line, 16).map_err(|_| format!("the chunk {line:?}"))?;
                let Some(chunk) = take(socket, unread, size + 2).await else { return Ok(false) };
                total += size as u64;
                if !chunk.ends_with(b"\r\n") || total > BODY_MAX_BYTES {
                    return Err("a chunk of another length, or a body beyond the limit".into());
                }
                if size == 0 {
                    return Ok(true);
                }
            }
        }
    }
}

/// The next `length` bytes, or none when the connection ends before.
async fn take(socket: &mut TcpStream, unread: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    while unread.len() < length {
        if socket.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    Some(unread.drain(..length).collect())
}

/// The next line, which is a chunk's size.
async fn line(socket: &mut TcpStream, unread: &mut Vec<u8>) -> Result<Option<String>, String> {
    loop {
        if let Some(at) = unread.windows(2).position(|pair| pair == b"\r\n") {
            let line = unread.drain(..at + 2).take(at).collect();
            return String::from_utf8(line).map(Some).map_err(|_| "a chunk's size of bytes".into());
        }
        if unread.len() > 64 {
            return Err("an endless chunk's size".into());
        }
        if socket.read_buf(unread).await.unwrap_or(0) == 0 {
            return Ok(None);
        }
    }
}
