//! How brokers are reached: which ones, and with what settings. Holds no client.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext,
    error::KafkaError,
};

use crate::{Cause, ConnectionError, InspectError, Session, properties};

/// Where a broker on this machine listens.
pub const DEFAULT_BROKERS: &str = "127.0.0.1:9092";

/// How long brokers may take to answer one question.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// For a connection to each of a broker's addresses.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Kafka's own, for brokers named without one.
const DEFAULT_PORT: &str = ":9092";
/// Never stored with, never joined: librdkafka wants a name before it reads partitions.
const GROUP: &str = "storefront-inspect";

/// Settings that say whom to trust.
const CA_KEYS: &[&str] = &["ssl.ca.location", "ssl.ca.pem", "ssl.keystore.location"];

const BOOTSTRAP_SERVERS: &str = "bootstrap.servers";

/// Brokers and the settings to reach them.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    properties: BTreeMap<String, String>,
}

impl fmt::Debug for Connection {
    /// Without values: some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.properties.keys().collect();
        f.debug_struct("Connection").field("brokers", &self.brokers()).field("keys", &keys).finish()
    }
}

impl Connection {
    /// Brokers (`host:port`, separated by commas) without TLS or passwords.
    pub fn new(brokers: &str) -> Self {
        let pair = (BOOTSTRAP_SERVERS.to_owned(), brokers.to_owned());
        Self { properties: BTreeMap::from([pair]) }
    }

    /// The same with more of librdkafka's own properties, which win.
    #[must_use]
    pub fn with(mut self, properties: &BTreeMap<String, String>) -> Self {
        self.properties.extend(properties.clone());
        self
    }

    /// A properties file of Kafka's tools or of librdkafka. `brokers` wins over those that it names;
    /// without either they are on this machine.
    pub fn from_file(file: &Path, brokers: Option<&str>) -> Result<Self, ConnectionError> {
        let unreadable = |source| ConnectionError::Unreadable { file: file.to_owned(), source };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let name = file.display().to_string();
        let mut properties = properties::read(&name, &text)?;
        if let Some(brokers) = brokers {
            properties.insert(BOOTSTRAP_SERVERS.to_owned(), brokers.to_owned());
        }
        properties.entry(BOOTSTRAP_SERVERS.to_owned()).or_insert_with(|| DEFAULT_BROKERS.into());
        let connection = Self { properties };
        let together = |source: KafkaError| ConnectionError::Together {
            file: name,
            problem: format!("the settings do not go together: {source}"),
        };
        connection.config().create_native_config().map_err(together)?;
        Ok(connection)
    }

    /// `host:port`, separated by commas.
    pub fn brokers(&self) -> &str {
        self.properties.get(BOOTSTRAP_SERVERS).map_or(DEFAULT_BROKERS, String::as_str)
    }

    /// Fails at once when no broker takes connections: librdkafka would go on trying until its
    /// time-out, and then not say why.
    pub fn check_reachable(&self) -> io::Result<()> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no broker is named");
        for broker in self.brokers().split(',').map(str::trim) {
            match connect(broker) {
                Ok(_) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Fails at once when nobody listens there; what else is wrong, the first question tells.
    pub fn open(&self) -> Result<Session, InspectError> {
        Session::open(self)
    }

    /// A consumer's settings: those of any client, and a group that it never joins.
    pub(crate) fn consumer_config(&self) -> ClientConfig {
        let mut config = self.config();
        if config.get("group.id").is_none() {
            config.set("group.id", GROUP);
        }
        config
    }

    /// Any client's settings.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in [
            ("client.id", "storefront"),
            ("allow.auto.create.topics", "false"),
            ("enable.metrics.push", "false"),
            // Tries again soon: an embedded broker is there at once.
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            // Brokers that hang up at once say by that what they want: a client is here for a moment.
            ("log.connection.close", "true"),
        ] {
            config.set(key, value);
        }
        config.set("socket.timeout.ms", LIMIT.as_millis().to_string());
        // The usual authorities where systems keep them: OpenSSL, which is linked in, looks elsewhere.
        if !self.properties.keys().any(|key| CA_KEYS.contains(&key.as_str())) {
            config.set("ssl.ca.location", "probe");
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }
}

fn connect(broker: &str) -> io::Result<TcpStream> {
    // librdkafka takes `SASL_SSL://host:port` too.
    let bare = broker.rsplit_once("://").map_or(broker, |(_, bare)| bare);
    let named = bare.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if named { bare.to_owned() } else { format!("{bare}{DEFAULT_PORT}") };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Keeps the last trouble that a client met, as its calls only tell that time has run out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listening(Arc<Mutex<Option<String>>>);

impl Listening {
    pub(crate) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last one, unless it says less than one before: after a refused password comes that all
    /// brokers are down.
    fn keep(&self, text: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let says_more = |before: &String| {
            Cause::of(text).is_none() && Cause::of(before).is_some()
                || text.ends_with("brokers are down")
        };
        if !last.as_ref().is_some_and(says_more) {
            *last = Some(text.to_owned());
        }
    }
}

impl ClientContext for Listening {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" || (level as i32) <= RDKafkaLogLevel::Error as i32 {
            self.keep(&plain(message));
        }
    }

    fn error(&self, _error: KafkaError, reason: &str) {
        self.keep(&plain(reason));
    }
}

impl ConsumerContext for Listening {}

/// Without the names of librdkafka's threads and clients that stand before what happened, without how long it
/// took, which is another each time, and without its advice about certificates: whether it adds that depends
/// on which of its steps met the refusal, and its remedy is for one cause of several.
fn plain(message: &str) -> String {
    let mut rest = message;
    while let Some(after) = rest.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
        rest = after.1;
    }
    let upto = |mark: &str| rest.find(mark).unwrap_or(rest.len());
    rest[..upto(" (after ").min(upto(": broker certificate could not be verified"))].replacen(
        "SSL handshake failed: ",
        "",
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_not_there_is_named() {
        let error = Connection::new("127.0.0.1:1").open().unwrap_err();
        assert_eq!(error.reason(), "NoBroker");
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut connection = Connection::new("a:1");
        connection.properties.insert("sasl.password".into(), "hunter2".into());
        let shown = format!("{connection:?}");
        assert!(shown.contains("sasl.password") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_happened_stands_without_the_client_s_own_names() {
        assert_eq!(
            plain("[thrd:sasl_ssl://a:1/boot]: sasl_ssl://a:1: refused"),
            "sasl_ssl://a:1: refused"
        );
        assert_eq!(plain("refused (after 3ms in state CONNECT)"), "refused");
        for same in [
            "a: error:0A: verify failed (after 3ms in state SSL_HANDSHAKE)",
            "a: SSL handshake failed: error:0A: verify failed: broker certificate could not be verified, verify that … (after 3ms)",
        ] {
            assert_eq!(plain(same), "a: error:0A: verify failed");
        }
    }
}
