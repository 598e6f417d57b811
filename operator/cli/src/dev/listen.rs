//! Every socket of a shop on a laptop, bound before anything starts: so ports are known, and a port
//! that is taken is reported with the flag that changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

use storefront_contract::ServiceId;
use storefront_operator::plan::LocalAddress;
use storefront_runtime::Listeners;
use tokio::net::TcpListener;

use super::DevError;
use crate::args::{DevArguments, Listen};

/// Sockets that are listened on, by whom they are for.
pub struct Bound {
    pub services: BTreeMap<ServiceId, Listeners>,
    /// Taken when the stand-ins start.
    pub stand_ins: Option<StandIns>,
    pub sandbox_address: SocketAddr,
    pub inbox_address: SocketAddr,
    pub smtp_address: SocketAddr,
    /// Taken when the console starts.
    pub console: Option<TcpListener>,
    pub console_address: SocketAddr,
    addresses: BTreeMap<ServiceId, LocalAddress>,
}

/// Sockets of the stand-ins.
pub struct StandIns {
    pub stripe: TcpListener,
    pub inbox: TcpListener,
    pub smtp: TcpListener,
}

impl Bound {
    /// Listens for every service but those that are left out.
    pub async fn bind(
        arguments: &DevArguments,
        without: &BTreeSet<ServiceId>,
    ) -> Result<Self, DevError> {
        let (stripe, sandbox_address) = bind(arguments.sandbox_listen, "--sandbox-listen").await?;
        let (inbox, inbox_address) = bind(arguments.inbox_listen, "--inbox-listen").await?;
        let (smtp, smtp_address) = bind(arguments.smtp_listen, "--smtp-listen").await?;
        let (console, console_address) = bind(arguments.console_listen, "--console-listen").await?;
        let any = Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut services = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for id in ServiceId::ALL.into_iter().filter(|id| !without.contains(id)) {
            let wanted = if id == ServiceId::Gateway { arguments.listen } else { any };
            let (http, http_address) = bind(wanted, "--listen").await?;
            let (admin, admin_address) = bind(any, "--listen").await?;
            services.insert(id, Listeners { http, admin });
            addresses.insert(id, LocalAddress { http: http_address, admin: admin_address });
        }
        // Links to the shop are made from it also when it is left out.
        let gateway = LocalAddress { http: arguments.listen.0, admin: any.0 };
        addresses.entry(ServiceId::Gateway).or_insert(gateway);
        Ok(Self {
            services,
            stand_ins: Some(StandIns { stripe, inbox, smtp }),
            sandbox_address,
            inbox_address,
            smtp_address,
            console: Some(console),
            console_address,
            addresses,
        })
    }

    /// Where each service is.
    pub fn addresses(&self) -> BTreeMap<ServiceId, LocalAddress> {
        self.addresses.clone()
    }
}

async fn bind(
    Listen(address): Listen,
    flag: &'static str,
) -> Result<(TcpListener, SocketAddr), DevError> {
    let failed = |source| DevError::Listen { address, flag, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
