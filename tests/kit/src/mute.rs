//! A TCP proxy before a Kafka broker that can keep it from hearing some of what clients ask, while all
//! else goes on: a broker that is there, tells where its logs end, and gives nothing of them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// The keys of Kafka's requests `Produce`, `Fetch`, `ListOffsets` and `JoinGroup` (<https://kafka.apache.org/protocol#protocol_api_keys>).
const PRODUCE: [u8; 2] = [0, 0];
const FETCH: [u8; 2] = [0, 1];
const LIST_OFFSETS: [u8; 2] = [0, 2];
const JOIN_GROUP: [u8; 2] = [0, 11];
/// Larger than any request of a client of ours.
const REQUEST_MAX_BYTES: usize = 64 << 20;

/// The proxy; it ends with the test.
#[derive(Clone)]
pub struct Mute {
    address: SocketAddr,
    /// How many more connections stay unheard in their wish to fetch, from their first one on.
    silenced: Arc<AtomicUsize>,
    /// As that, of connections that send records.
    unsent: Arc<AtomicUsize>,
    /// How late the broker hears a question for the beginning or the end of a log.
    late_ms: Arc<AtomicU64>,
}

impl Mute {
    /// Listens. The broker that it is put before must tell clients to come here.
    pub async fn listen() -> anyhow::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (silenced, unsent, late_ms) = Default::default();
        Ok((Self { address, silenced, unsent, late_ms }, listener))
    }

    /// Carries what comes to a broker (`host:port`).
    pub fn carry(&self, listener: TcpListener, broker: String) {
        let mute = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (broker, mute) = (broker.clone(), mute.clone());
                // Nobody waits for a connection's end.
                tokio::spawn(async move { mute.carry_one(client, &broker).await.ok() });
            }
        });
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, as many connections that ask for records, or to join a group, are never heard in that.
    pub fn silence(&self, connections: usize) {
        self.silenced.store(connections, Ordering::SeqCst);
    }

    /// From now on, as many connections that send records are never heard in that.
    pub fn silence_sending(&self, connections: usize) {
        self.unsent.store(connections, Ordering::SeqCst);
    }

    /// How many connections are still to be silenced.
    pub fn left(&self) -> usize {
        self.silenced.load(Ordering::SeqCst) + self.unsent.load(Ordering::SeqCst)
    }

    /// From now on, the broker hears so late who asks for the beginning or the end of a log, and whatever that
    /// connection says after it.
    pub fn delay_offsets(&self, by: Duration) {
        self.late_ms.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    async fn carry_one(&self, client: TcpStream, broker: &str) -> anyhow::Result<()> {
        let broker = TcpStream::connect(broker).await?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_broker, mut to_broker) = broker.into_split();
        let answers =
            async { Ok(tokio::io::copy(&mut from_broker, &mut to_client).await.map(drop)?) };
        let requests = async {
            let (mut silenced, mut unsent) = (false, false);
            loop {
                let length = usize::try_from(from_client.read_u32().await?)?;
                anyhow::ensure!(length <= REQUEST_MAX_BYTES, "no request of Kafka's");
                let mut request = vec![0; length];
                from_client.read_exact(&mut request).await?;
                let left = if request.starts_with(&PRODUCE) {
                    Some((&self.unsent, &mut unsent))
                } else if request.starts_with(&FETCH) || request.starts_with(&JOIN_GROUP) {
                    Some((&self.silenced, &mut silenced))
                } else {
                    None
                };
                if let Some((left, mute)) = left {
                    let less = |left: usize| left.checked_sub(1);
                    *mute = *mute
                        || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
                    if *mute {
                        continue;
                    }
                }
                if request.starts_with(&LIST_OFFSETS) {
                    let late = Duration::from_millis(self.late_ms.load(Ordering::SeqCst));
                    tokio::time::sleep(late).await;
                }
                to_broker.write_all(&u32::try_from(length)?.to_be_bytes()).await?;
                to_broker.write_all(&request).await?;
            }
        };
        tokio::select! {
            result = requests => result,
            result = answers => result,
        }
    }
}
