//! How a process is asked to stop, and how long it may take. Knows nothing of what is stopped.

use std::time::Duration;

/// Cancelled once, when everything that holds it should end.
pub use tokio_util::sync::CancellationToken as Shutdown;

/// The longest a stop may take, all in: Kubernetes sends SIGKILL 30 s after SIGTERM by default.
pub const STOP_LIMIT: Duration = Duration::from_secs(25);

/// A [`Shutdown`] that the first SIGTERM or SIGINT (Ctrl-C) cancels. A second one of the same kind
/// is not caught specially: whoever is impatient sends SIGKILL.
///
/// Must be called within a tokio runtime.
pub fn shutdown_signal() -> Shutdown {
    let shutdown = Shutdown::new();
    let cancelled = shutdown.clone();
    tokio::spawn(async move {
        let signal = wait_for_signal().await;
        tracing::info!(signal, "asked to stop");
        cancelled.cancel();
    });
    shutdown
}

#[cfg(unix)]
async fn wait_for_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be caught, only Ctrl-C stops cleanly");
            return interrupted().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        signal = interrupted() => signal,
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() -> &'static str {
    interrupted().await
}

async fn interrupted() -> &'static str {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C cannot be caught");
        std::future::pending::<()>().await;
    }
    "SIGINT"
}
