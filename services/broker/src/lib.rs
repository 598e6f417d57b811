//! A Kafka broker inside the process, for `storefront dev` and tests: kfake of the franz-go project,
//! linked as a static archive. Not for production data. It must not read settings, print or handle
//! signals: the program around it does.

mod error;
#[cfg(feature = "embedded")]
mod ffi;

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
};

pub use error::BrokerError;

/// A running broker; dropping it stops it. Several may run in one process.
#[derive(Debug)]
pub struct EmbeddedBroker {
    bootstrap: String,
    address: SocketAddr,
    #[cfg(feature = "embedded")]
    _cluster: ffi::Cluster,
    /// Held until the cluster, which is dropped before it, has written everything.
    _lock: Option<File>,
}

impl EmbeddedBroker {
    /// Starts a broker on `listen` (port 0 takes a free one) and returns when clients may connect.
    ///
    /// With `data` everything acknowledged (records, topic settings, committed offsets) survives a
    /// `kill -9`; the folder is made when missing and may be used by one broker at a time. Without it
    /// everything is gone at the end. Blocks for some milliseconds, longer with much data to read.
    pub fn start(listen: SocketAddr, data: Option<&Path>) -> Result<Self, BrokerError> {
        Self::start_behind(listen, None, data)
    }

    /// [`EmbeddedBroker::start`] behind something that passes connections on: clients are told to come
    /// back to `advertised`.
    pub fn start_behind(
        listen: SocketAddr,
        advertised: Option<SocketAddr>,
        data: Option<&Path>,
    ) -> Result<Self, BrokerError> {
        if cfg!(not(feature = "embedded")) {
            return Err(BrokerError::NotBuiltIn);
        }
        let lock = data.map(lock_folder).transpose()?;
        let failed = |source| BrokerError::Listen { listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = reachable(listener.local_addr().map_err(failed)?);
        let bootstrap = advertised.unwrap_or(address).to_string();
        Self::serve(listener, (address, bootstrap), data, lock)
    }

    #[cfg(feature = "embedded")]
    fn serve(
        listener: TcpListener,
        (address, bootstrap): (SocketAddr, String),
        data: Option<&Path>,
        lock: Option<File>,
    ) -> Result<Self, BrokerError> {
        let cluster = ffi::Cluster::start(listener, &bootstrap, data)?;
        Ok(Self { bootstrap, address, _cluster: cluster, _lock: lock })
    }

    #[cfg(not(feature = "embedded"))]
    fn serve(
        _: TcpListener,
        _: (SocketAddr, String),
        _: Option<&Path>,
        _: Option<File>,
    ) -> Result<Self, BrokerError> {
        Err(BrokerError::NotBuiltIn)
    }

    /// Where it is reached directly.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for clients' `bootstrap.servers`, which is also the one the broker tells them to
    /// come back to. A broker that listens on all addresses is reached on the loopback one.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

/// kfake itself takes no lock: two brokers on one folder would destroy it.
fn lock_folder(folder: &Path) -> Result<File, BrokerError> {
    let unusable = |source| BrokerError::Folder { folder: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(unusable)?;
    let file = File::create(folder.join("broker.lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(BrokerError::InUse { folder: folder.to_owned() })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(unusable(source)),
    }
}

fn reachable(bound: SocketAddr) -> SocketAddr {
    let host = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(host, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_all_is_replaced_by_one_that_can_be_reached() {
        let seen = |bound: &str| reachable(bound.parse().unwrap()).to_string();
        assert_eq!(seen("0.0.0.0:9092"), "127.0.0.1:9092");
        assert_eq!(seen("[::]:9092"), "[::1]:9092");
        assert_eq!(seen("192.0.2.7:1"), "192.0.2.7:1");
    }

    #[cfg(not(feature = "embedded"))]
    #[test]
    fn without_the_feature_the_error_says_how_to_get_a_broker() {
        let error = EmbeddedBroker::start(([127, 0, 0, 1], 0).into(), None).unwrap_err();
        assert!(error.to_string().contains("--kafka BROKERS"), "{error}");
    }
}
