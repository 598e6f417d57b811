//! A TCP proxy before a Kafka broker that ends every connection at one of the requests that change something:
//! before the broker hears of it, or once it has done it. As if whoever asks had died there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::Moment;

/// `CreateTopics`, `DeleteTopics`, `AlterConfigs`, `CreatePartitions` and `IncrementalAlterConfigs`
/// (<https://kafka.apache.org/protocol#protocol_api_keys>).
const CHANGES: [u16; 5] = [19, 20, 33, 37, 44];
/// Larger than any message of an admin client.
const MESSAGE_MAX_BYTES: usize = 16 << 20;

/// The proxy; it ends with the test.
#[derive(Clone)]
pub struct Severer {
    address: SocketAddr,
    plan: Arc<Plan>,
}

struct Plan {
    /// When to end, and at the how manieth change from now on.
    at: Mutex<Option<(Moment, usize)>>,
    changes: AtomicUsize,
    is_severed: watch::Sender<bool>,
}

impl Severer {
    /// Listens. The broker that it is put before must tell clients to come here.
    pub(crate) async fn listen() -> anyhow::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let plan = Plan {
            at: Mutex::new(None),
            changes: AtomicUsize::new(0),
            is_severed: watch::Sender::new(false),
        };
        Ok((Self { address: listener.local_addr()?, plan: Arc::new(plan) }, listener))
    }

    /// Carries what comes to a broker (`host:port`).
    pub(crate) fn carry(&self, listener: TcpListener, broker: String) {
        let plan = Arc::clone(&self.plan);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (broker, plan) = (broker.clone(), Arc::clone(&plan));
                // Nobody waits for a connection's end.
                tokio::spawn(async move { plan.carry(client, &broker).await.ok() });
            }
        });
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// For clients' `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// Ends all connections at that change, counted from 1 on, and lets nobody through from then on.
    pub fn sever(&self, moment: Moment, change: usize) {
        *self.plan.at.lock().unwrap_or_else(PoisonError::into_inner) = Some((moment, change));
    }

    /// Waits for it.
    pub async fn severed(&self) {
        let mut is_severed = self.plan.is_severed.subscribe();
        let _ = is_severed.wait_for(|severed| *severed).await;
    }

    /// Lets everybody through again, to the end.
    pub fn mend(&self) {
        *self.plan.at.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.plan.is_severed.send_replace(false);
    }

    /// How many changes have been asked for.
    pub fn changes(&self) -> usize {
        self.plan.changes.load(Ordering::SeqCst)
    }
}

impl Plan {
    async fn carry(&self, client: TcpStream, broker: &str) -> anyhow::Result<()> {
        let mut is_severed = self.is_severed.subscribe();
        if *is_severed.borrow_and_update() {
            return Ok(());
        }
        let broker = TcpStream::connect(broker).await?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_broker, mut to_broker) = broker.into_split();
        // Which answer is the one that nobody hears: they come in the order of the requests.
        let lost = AtomicUsize::new(usize::MAX);
        let requests = async {
            for number in 0.. {
                let request = read(&mut from_client).await?;
                match self.moment(&request) {
                    Some(Moment::Before) => break,
                    Some(Moment::After) => lost.store(number, Ordering::SeqCst),
                    None => {}
                }
                write(&mut to_broker, &request).await?;
            }
            anyhow::Ok(true)
        };
        let answers = async {
            for number in 0.. {
                let answer = read(&mut from_broker).await?;
                if number >= lost.load(Ordering::SeqCst) {
                    break;
                }
                write(&mut to_client, &answer).await?;
            }
            anyhow::Ok(true)
        };
        let severs = tokio::select! {
            severs = requests => severs?,
            severs = answers => severs?,
            _ = is_severed.changed() => false,
        };
        if severs {
            self.is_severed.send_replace(true);
        }
        Ok(())
    }

    /// When to end at this request, if this is the one.
    fn moment(&self, request: &[u8]) -> Option<Moment> {
        let key = request.get(..2).map(|key| u16::from_be_bytes([key[0], key[1]]));
        if !key.is_some_and(|key| CHANGES.contains(&key)) {
            return None;
        }
        let change = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.filter(|(_, at)| *at == change).map(|(moment, _)| moment)
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Vec<u8>> {
    let length = usize::try_from(from.read_u32().await?)?;
    anyhow::ensure!(length <= MESSAGE_MAX_BYTES, "no message of Kafka's");
    let mut message = vec![0; length];
    from.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(to: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> anyhow::Result<()> {
    to.write_all(&u32::try_from(message.len())?.to_be_bytes()).await?;
    Ok(to.write_all(message).await?)
}
