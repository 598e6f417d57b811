//! The two sockets of a service, bound before it runs, so that whoever starts it knows its ports.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
};

use storefront_contract::settings::Common;
use tokio::net::TcpListener;

/// The sockets of one service instance.
#[derive(Debug)]
pub struct Listeners {
    /// The service's own HTTP.
    pub http: TcpListener,
    /// `/livez`, `/readyz` and `/metrics`.
    pub admin: TcpListener,
}

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({port})")]
pub struct BindError {
    address: SocketAddr,
    /// `HTTP_LISTEN` or `ADMIN_LISTEN`.
    port: &'static str,
    #[source]
    source: io::Error,
}

impl BindError {
    pub fn reason(&self) -> &'static str {
        "CannotListen"
    }
}

impl Listeners {
    /// Listens on both addresses of the settings. Port 0 picks a free one.
    pub async fn bind(common: &Common) -> Result<Self, BindError> {
        let http = listen("HTTP_LISTEN", common.http_listen).await?;
        let admin = listen("ADMIN_LISTEN", common.admin_listen).await?;
        Ok(Self { http, admin })
    }

    /// Two free ports of the loopback interface, for tests and dev mode.
    pub async fn loopback() -> Result<Self, BindError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            http: listen("HTTP_LISTEN", any).await?,
            admin: listen("ADMIN_LISTEN", any).await?,
        })
    }

    /// Where the service's own HTTP is, with the port that was picked.
    pub fn http_address(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// A second handle of the admin port: for as long as somebody else does not serve it yet.
    pub(crate) fn admin_again(&self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.admin.as_fd().try_clone_to_owned()?.into())
    }

    /// Where its admin port is.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }
}

async fn listen(port: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, port, source })
}
