//! Settings that every Kafka client of this command has in common.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use rdkafka::ClientConfig;

/// How long a broker may take to answer.
pub const TIMEOUT_MS: u64 = 10_000;

/// For a connection to each of a broker's addresses.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Fails at once when no broker of the list takes connections: librdkafka would go on trying until
/// its time-out, and then not say why.
pub fn check_reachable(brokers: &str) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no broker is named");
    for broker in brokers.split(',').map(str::trim) {
        match connect(broker) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect(broker: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in broker.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A client of these brokers, for a short life.
pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", "storefront")
        // Tries again soon: an embedded broker is there at once.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.timeout.ms", TIMEOUT_MS.to_string());
    config
}
