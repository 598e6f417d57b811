//! `storefront-broker [LISTEN] [DATA]`: the embedded broker as a program of its own, for those who
//! develop a consumer in another language and for the tests that kill it. Ends on Ctrl-C or SIGTERM.

use std::{env, io::Write, net::SocketAddr, path::PathBuf};

use anyhow::Context;
use storefront_broker::EmbeddedBroker;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let listen: SocketAddr = match arguments.next() {
        Some(listen) => listen
            .to_string_lossy()
            .parse()
            .context("usage: storefront-broker [IP:PORT] [DATA-FOLDER]")?,
        None => ([127, 0, 0, 1], 9092).into(),
    };
    let data = arguments.next().map(PathBuf::from);
    // Before it says that it is ready: whoever stops it then is not too early.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let broker = EmbeddedBroker::start(listen, data.as_deref())?;
    writeln!(std::io::stdout(), "ready {}", broker.bootstrap())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(broker);
    writeln!(std::io::stdout(), "stopped")?;
    Ok(())
}
