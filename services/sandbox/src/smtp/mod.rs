//! The SMTP server before the inbox (RFC 5321): accepts mail from anybody for anybody, on the machine
//! it runs on, and keeps it before it says so. Relays nothing.

mod connection;
mod data;
mod dialogue;
pub mod tls;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;

/// Connections at once; the next one is told to come back.
const CONNECTIONS_MAX: usize = 256;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Limits of one connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest message, as told by `SIZE` (RFC 1870).
    pub message_bytes: usize,
    /// A client that says nothing for this long is sent away. RFC 5321 asks for five minutes.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: 10 * 1024 * 1024, idle: Duration::from_secs(300) }
    }
}

/// Runs until `shutdown`; mails under way then get a moment to be kept. With `tls`, connections begin with it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    ledger: Arc<Ledger>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept a mail connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            turn_away(stream).await;
            continue;
        };
        let (ledger, shutdown, tls) = (Arc::clone(&ledger), shutdown.clone(), tls.clone());
        connections.spawn(async move {
            if let Err(error) = talk(stream, tls, &ledger, limits, shutdown).await {
                tracing::debug!(%error, "a mail connection ended early");
            }
            drop(permit);
        });
    }
    let ended = timeout(DRAIN_TIMEOUT, async { while connections.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::warn!("mail connections were still open at the end and were cut");
    }
}

async fn talk(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    ledger: &Ledger,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return connection::run(stream, ledger, limits, shutdown).await };
    let stream = timeout(limits.idle, tls.accept(stream)).await??;
    connection::run(stream, ledger, limits, shutdown).await
}

/// The socket's buffer is empty, so this does not wait for the client.
async fn turn_away(mut stream: TcpStream) {
    let _ = stream.write_all(b"421 4.3.2 Too many connections, try again later\r\n").await;
}
