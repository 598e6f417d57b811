//! Whether anybody listens where `--database` points. Services wait for a database that is away; a person who has
//! mistyped its address should not.

use std::io;

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::{DevError, TIMEOUT};

const PORT: u16 = 5432;

/// Fails where nobody takes connections. What else is wrong with the URL, the services tell.
pub async fn check_reachable(url: &str) -> Result<(), DevError> {
    let Some(address) = address(url) else { return Ok(()) };
    let connected = timeout(TIMEOUT, TcpStream::connect(&address)).await;
    match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(_) => Ok(()),
        Err(source) => Err(DevError::NoDatabase { address, source }),
    }
}

/// Host and port; none where it is a socket in a folder.
fn address(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let elsewhere =
        url.query_pairs().any(|(name, _)| matches!(&*name, "host" | "hostaddr" | "port"));
    let host = url.host_str().filter(|host| !host.is_empty() && !host.contains('%'))?;
    (!elsewhere).then(|| format!("{host}:{}", url.port().unwrap_or(PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_in_its_place_is_asked() {
        let address = |url| address(url);
        assert_eq!(address("postgres://u:p@db:5433/shop").as_deref(), Some("db:5433"));
        assert_eq!(address("postgresql://localhost/shop").as_deref(), Some("localhost:5432"));
        assert_eq!(address("postgres://[::1]/shop").as_deref(), Some("[::1]:5432"));
        assert_eq!(address("postgres://%2Fvar%2Frun/shop"), None);
        assert_eq!(address("postgres:///shop?host=/var/run"), None);
    }
}
