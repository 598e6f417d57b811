//! A TCP proxy before one server, or before several that are the same service: a cable that can be slow, dead or cut.
//! Carries bytes and knows nothing of what they mean.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

const CHUNK_BYTES: usize = 16 << 10;
/// A server of this machine that does not accept by then is frozen with a full queue.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// How a cable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Weather {
    #[default]
    Fair,
    /// Every chunk takes so much longer, in each direction.
    Slow(Duration),
    /// Nothing comes through, and nobody is told; what was on its way arrives once this is over.
    Dead,
}

/// What is done to the connections that are open at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Both ends hear of it (`RST`).
    Reset,
    /// The server hears of it; the client's end stays open, and silent for ever.
    Half,
}

/// The proxy; it ends with the test. Clones are the same one.
#[derive(Clone)]
pub struct Wire {
    address: SocketAddr,
    plan: Arc<Plan>,
}

struct Plan {
    servers: Vec<String>,
    /// Whose turn it is.
    turn: AtomicUsize,
    weather: watch::Sender<Weather>,
    cut: watch::Sender<Option<Cut>>,
}

impl Wire {
    /// In front of a server (`host:port`), or of several: each connection goes to the next that takes it.
    pub async fn start(servers: Vec<String>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (weather, cut) = (watch::Sender::new(Weather::Fair), watch::Sender::new(None));
        let plan = Arc::new(Plan { servers, turn: AtomicUsize::new(0), weather, cut });
        let wire = Self { address: listener.local_addr()?, plan: Arc::clone(&plan) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let plan = Arc::clone(&plan);
                // A connection that fails is the clients' to notice.
                tokio::spawn(async move { plan.connection(client).await.ok() });
            }
        });
        Ok(wire)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on each chunk takes so much longer.
    pub fn slow(&self, by: Duration) {
        self.plan.weather.send_replace(Weather::Slow(by));
    }

    /// From now on nothing comes through, as where packets are dropped: connections stay open, new ones are
    /// taken, and nothing is said on them.
    pub fn deaden(&self) {
        self.plan.weather.send_replace(Weather::Dead);
    }

    /// Carries as ever; what `deaden` has held back goes on.
    pub fn mend(&self) {
        self.plan.weather.send_replace(Weather::Fair);
    }

    /// Ends all open connections, and both ends hear of it.
    pub fn reset(&self) {
        self.plan.cut.send_replace(Some(Cut::Reset));
    }

    /// Ends all open connections for the server only, as when a firewall forgets them: clients wait for an answer that
    /// never comes. New connections are carried.
    pub fn half_open(&self) {
        self.plan.cut.send_replace(Some(Cut::Half));
    }
}

impl Plan {
    async fn connection(&self, mut client: TcpStream) -> anyhow::Result<()> {
        let (mut cut, mut weather) = (self.cut.subscribe(), self.weather.subscribe());
        weather.wait_for(|weather| *weather != Weather::Dead).await?;
        let mut server = self.connect().await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let how = {
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            let forth = carry(&mut from_client, &mut to_server, weather.clone());
            let back = carry(&mut from_server, &mut to_client, weather);
            tokio::select! {
                // Each side may have ended and still hear the other's answer.
                carried = async { tokio::try_join!(forth, back) } => return carried.map(drop),
                _ = cut.changed() => *cut.borrow(),
            }
        };
        match how {
            Some(Cut::Half) => {
                server.set_zero_linger()?;
                drop(server);
                let mut chunk = vec![0; CHUNK_BYTES];
                // Until the client gives up by itself.
                while client.read(&mut chunk).await? > 0 {}
            }
            Some(Cut::Reset) | None => {
                client.set_zero_linger()?;
                server.set_zero_linger()?;
            }
        }
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut problem = anyhow::anyhow!("there is no server");
        for number in 0..self.servers.len() {
            let server = &self.servers[first.wrapping_add(number) % self.servers.len()];
            match tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(server)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => problem = error.into(),
                Err(late) => problem = late.into(),
            }
        }
        Err(problem)
    }
}

/// One direction, to its end.
async fn carry(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await?;
        let now = *weather.borrow();
        if let Weather::Slow(by) = now {
            tokio::time::sleep(by).await;
        }
        weather.wait_for(|weather| *weather != Weather::Dead).await?;
        if length == 0 {
            return Ok(to.shutdown().await?);
        }
        to.write_all(&chunk[..length]).await?;
    }
}
