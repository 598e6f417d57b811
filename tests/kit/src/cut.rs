//! A TCP proxy before a server, which cuts a connection at a word that the client sends: before the server
//! hears it, or as soon as it has.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const CHUNK_BYTES: usize = 16 << 10;

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server never hears the word: nothing of it has happened.
    Before,
    /// The server hears it and does it, but its answer is lost.
    After,
}

/// The proxy; it ends with the test.
#[derive(Clone)]
pub struct Cutter {
    address: SocketAddr,
    plan: Arc<Plan>,
}

struct Plan {
    server: String,
    word: &'static [u8],
    /// How many more connections are to be cut, by moment.
    before: AtomicUsize,
    after: AtomicUsize,
    cuts: AtomicUsize,
}

impl Cutter {
    /// In front of `server` (`host:port`), looking out for `word`. Cuts nothing yet.
    pub async fn start(server: &str, word: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let plan = Plan {
            server: server.to_owned(),
            word: word.as_bytes(),
            before: AtomicUsize::new(0),
            after: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
        };
        let cutter = Self { address: listener.local_addr()?, plan: Arc::new(plan) };
        let plan = Arc::clone(&cutter.plan);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let plan = Arc::clone(&plan);
                // A connection that fails is one that is cut; nobody waits for its result.
                tokio::spawn(async move { plan.carry(client).await.ok() });
            }
        });
        Ok(cutter)
    }

    /// Where clients connect instead.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, cuts as many connections when the word next comes.
    pub fn cut(&self, moment: Moment, times: usize) {
        self.plan.counter(moment).store(times, Ordering::SeqCst);
    }

    /// How many were cut.
    pub fn cuts(&self) -> usize {
        self.plan.cuts.load(Ordering::SeqCst)
    }
}

impl Plan {
    fn counter(&self, moment: Moment) -> &AtomicUsize {
        match moment {
            Moment::Before => &self.before,
            Moment::After => &self.after,
        }
    }

    async fn carry(&self, client: TcpStream) -> anyhow::Result<()> {
        let server = TcpStream::connect(&self.server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let answers = async { tokio::io::copy(&mut from_server, &mut to_client).await };
        let requests = async {
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let length = from_client.read(&mut chunk).await?;
                let chunk = &chunk[..length];
                if length == 0 {
                    return Ok::<_, std::io::Error>(None);
                }
                let has_word = chunk.windows(self.word.len()).any(|part| part == self.word);
                if has_word && self.takes(Moment::Before) {
                    return Ok(Some(Moment::Before));
                }
                let cut = has_word && self.takes(Moment::After);
                to_server.write_all(chunk).await?;
                if cut {
                    return Ok(Some(Moment::After));
                }
            }
        };
        // Whichever ends, the client's side closes with it.
        let cut = tokio::select! {
            result = requests => result?,
            result = answers => result.map(|_| None)?,
        };
        drop((from_client, to_client));
        match cut {
            // It may take its time to do what it heard; it must not find the line closed before.
            Some(Moment::After) => {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                from_server.read_u8().await?;
            }
            Some(Moment::Before) => {
                self.cuts.fetch_add(1, Ordering::SeqCst);
            }
            None => {}
        }
        Ok(())
    }

    /// Whether this connection is one of those to be cut.
    fn takes(&self, moment: Moment) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.counter(moment).fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}
