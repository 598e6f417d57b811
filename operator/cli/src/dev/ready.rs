//! Waits until every service says that it is ready.

use std::{net::SocketAddr, time::Duration};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use storefront_runtime::Shutdown;
use tokio::{net::TcpStream, time::Instant};

use super::{DevError, report::Report, running::Running};

/// How long everything may take to be ready; a first start on a busy machine is slow.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// Between two questions. Short, as people wait; the answer costs a service nothing.
const ASK_EVERY: Duration = Duration::from_millis(15);
/// For one question.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const BODY_MAX_BYTES: usize = 64 << 10;

/// Until all are ready, a part ends, or `stop` is asked for.
pub async fn wait(running: &mut Running, report: &Report, stop: &Shutdown) -> Result<(), DevError> {
    let deadline = Instant::now() + READY_LIMIT;
    let asked = async {
        for (name, address) in report.admin_addresses() {
            until_ready(&name, address, deadline).await?;
        }
        Ok(())
    };
    tokio::select! {
        result = asked => result,
        result = running.wait(stop) => result,
    }
}

async fn until_ready(name: &str, address: SocketAddr, deadline: Instant) -> Result<(), DevError> {
    loop {
        let waiting = match tokio::time::timeout(ANSWER_LIMIT, readyz(address)).await {
            Ok(Ok((StatusCode::OK, _))) => return Ok(()),
            Ok(Ok((status, body))) => format!("{name} answers {status} {}", body.trim()),
            Ok(Err(error)) => format!("{name} cannot be asked: {error}"),
            Err(_) => format!("{name} does not answer"),
        };
        if Instant::now() >= deadline {
            return Err(DevError::NotReady { limit_s: READY_LIMIT.as_secs(), waiting });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Asks `/readyz` on a connection of its own.
async fn readyz(address: SocketAddr) -> anyhow::Result<(StatusCode, String)> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get("/readyz")
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), BODY_MAX_BYTES).collect().await;
    connection.abort();
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
    Ok((status, text.unwrap_or_default()))
}
