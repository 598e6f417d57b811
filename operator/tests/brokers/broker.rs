//! Brokers as others use them beside the operator, and ones that nobody reaches.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};
use tokio::net::{TcpListener, TcpSocket};

const LIMIT: Duration = Duration::from_secs(30);

/// Somebody else who uses the same brokers.
pub struct Others {
    admin: AdminClient<DefaultClientContext>,
    client: BaseConsumer,
    pub prefix: String,
}

impl Others {
    pub fn new(bootstrap: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", "others");
        let (admin, client) = (config.create().unwrap(), config.create().unwrap());
        Self { admin, client, prefix: storefront_testkit::prefix() }
    }

    fn options() -> AdminOptions {
        AdminOptions::new().operation_timeout(Some(LIMIT))
    }

    fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    pub async fn make(&self, topic: &str, partitions: i32) {
        let name = self.name(topic);
        let new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let made = self.admin.create_topics([&new], &Self::options()).await.unwrap();
        made[0].as_ref().unwrap();
    }

    pub async fn delete(&self, topic: &str) {
        let name = self.name(topic);
        let deleted = self.admin.delete_topics(&[&name], &Self::options()).await.unwrap();
        deleted[0].as_ref().unwrap();
    }

    /// Sets these of a topic, and no others.
    pub async fn configure(&self, topic: &str, values: &[(&str, &str)]) {
        let name = self.name(topic);
        let alter = AlterConfig::new(ResourceSpecifier::Topic(&name));
        let alter = values.iter().fold(alter, |alter, (key, value)| alter.set(key, value));
        self.admin.alter_configs([&alter], &Self::options()).await.unwrap()[0].as_ref().unwrap();
    }

    pub async fn config(&self, topic: &str, key: &str) -> String {
        let name = self.name(topic);
        let topic = ResourceSpecifier::Topic(&name);
        let found = self.admin.describe_configs([&topic], &Self::options()).await.unwrap();
        found[0].as_ref().unwrap().get(key).unwrap().value.clone().unwrap()
    }

    /// Partitions of each topic with the prefix, without it.
    pub fn topics(&self) -> BTreeMap<String, usize> {
        let metadata = self.client.fetch_metadata(None, LIMIT).unwrap();
        let of = metadata.topics().iter().filter_map(|topic| {
            Some((topic.name().strip_prefix(&self.prefix)?.to_owned(), topic.partitions().len()))
        });
        of.collect()
    }
}

/// Takes connections in a broker's place and counts them.
pub struct Door {
    pub address: SocketAddr,
    opened: Arc<AtomicUsize>,
    is_shut: Arc<AtomicBool>,
}

impl Door {
    /// Leads to a broker.
    pub async fn to(broker: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Self { address, opened: Arc::default(), is_shut: Arc::default() };
        let (opened, is_shut) = (Arc::clone(&door.opened), Arc::clone(&door.is_shut));
        let (broker, mut held) = (Arc::<str>::from(broker), Vec::new());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                if is_shut.load(Ordering::SeqCst) {
                    held.push(client);
                    continue;
                }
                let broker = Arc::clone(&broker);
                let carry = async move {
                    let mut broker = tokio::net::TcpStream::connect(&*broker).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut broker).await
                };
                tokio::spawn(async move { carry.await.ok() });
            }
        });
        door
    }

    /// Whoever comes from now on waits for ever, or is let in again.
    pub fn shut(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::SeqCst);
    }

    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

/// An address from which no answer ever comes, as behind a firewall that drops: nobody takes connections
/// there, and the queue of those who wait is full.
pub struct Blackhole {
    pub address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Blackhole {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let waiting = std::iter::from_fn(connect).collect();
        Self { address, _listener: listener, _waiting: waiting }
    }
}

/// Addresses at which nobody listens, nor will: no other test is given these ports.
pub const NOBODY: [&str; 2] = ["127.0.0.1:1", "127.0.0.1:2"];
