//! A mail server that does what a test's script says, on a port of its own.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use storefront_contract::settings::{SmtpSettings, SmtpTls};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// Where in the dialogue the script is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    Greeting,
    Hello,
    Auth,
    /// The sender's name, with which each mail begins.
    Sender,
    Recipient,
    /// The command DATA.
    Data,
    /// After the content and its final dot: whatever the script says, the mail is in the ledger if
    /// it says `Accept`, `Cut` or `Silence`, as a real server would have queued it by then.
    Content,
}

#[derive(Clone, Copy, Debug)]
pub enum Act {
    Accept,
    Reply(&'static str),
    Cut,
    Silence,
}

/// `(stage, recipient or credentials, how often this was asked) -> act`.
pub type Script = dyn Fn(Stage, &str, usize) -> Act + Send + Sync;

/// One mail that the server took.
#[derive(Clone, Debug)]
pub struct Taken {
    pub to: String,
    pub message_id: String,
    pub bytes: Vec<u8>,
    pub at: Instant,
}

#[derive(Default)]
struct Ledger {
    taken: Vec<Taken>,
    asked: HashMap<(Stage, String), usize>,
}

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    tls: Option<(SmtpTls, TlsAcceptor)>,
    ledger: Arc<Mutex<Ledger>>,
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(script: impl Fn(Stage, &str, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, script)
    }

    /// One that takes every mail over an encrypted connection, and none before it is.
    pub async fn encrypted(kind: SmtpTls, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serving(listener, Some((kind, acceptor)), |_, _, _| Act::Accept)
    }

    pub fn on(
        listener: TcpListener,
        script: impl Fn(Stage, &str, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::serving(listener, None, script)
    }

    fn serving(
        listener: TcpListener,
        tls: Option<(SmtpTls, TlsAcceptor)>,
        script: impl Fn(Stage, &str, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let server = Self {
            address: listener.local_addr().unwrap(),
            tls,
            ledger: Arc::default(),
            connections: Arc::default(),
            open: Arc::default(),
            most_open: Arc::default(),
        };
        let (accepting, script): (_, Arc<Script>) = (server.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                let (server, script) = (accepting.clone(), script.clone());
                tokio::spawn(async move {
                    let open = server.open.fetch_add(1, Ordering::SeqCst) + 1;
                    server.most_open.fetch_max(open, Ordering::SeqCst);
                    server.serve(stream, &*script).await;
                    server.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.ledger.lock().unwrap().taken.clone()
    }

    /// How often the script was asked at a stage, for whomever.
    pub fn asked(&self, stage: Stage) -> usize {
        let ledger = self.ledger.lock().unwrap();
        ledger.asked.iter().filter(|((at, _), _)| *at == stage).map(|(_, count)| count).sum()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The most connections that were open at the same time.
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    pub fn settings(&self, timeout_ms: u64) -> SmtpSettings {
        SmtpSettings {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            tls: SmtpTls::None,
            ca_file: None,
            credentials: None,
            timeout_ms,
            connections: 4,
        }
    }

    fn ask(&self, script: &Script, stage: Stage, whom: &str) -> Act {
        let mut ledger = self.ledger.lock().unwrap();
        let count = ledger.asked.entry((stage, whom.to_owned())).or_default();
        *count += 1;
        script(stage, whom, *count)
    }

    async fn serve(&self, stream: TcpStream, script: &Script) {
        stream.set_nodelay(true).unwrap();
        let mut session = Session { stream: BufReader::new(Box::new(stream)), encrypted: false };
        if let Some((SmtpTls::Implicit, acceptor)) = &self.tls
            && !session.encrypt(acceptor).await
        {
            return;
        }
        if !session.answer(self.ask(script, Stage::Greeting, ""), "220 test").await {
            return;
        }
        let mut to = String::new();
        while let Some(line) = session.line().await {
            let upper = line.to_ascii_uppercase();
            let go_on = if upper.starts_with("EHLO") {
                let act = self.ask(script, Stage::Hello, "");
                let offers = match &self.tls {
                    Some((SmtpTls::StartTls, _)) if !session.encrypted => "250 STARTTLS",
                    _ => "250-8BITMIME\r\n250 AUTH PLAIN",
                };
                session.answer(act, &format!("250-test\r\n{offers}")).await
            } else if let (true, Some((_, acceptor))) = (upper == "STARTTLS", &self.tls) {
                session.answer(Act::Accept, "220 go").await && session.encrypt(acceptor).await
            } else if let Some(credentials) = line.strip_prefix("AUTH PLAIN ") {
                session.answer(self.ask(script, Stage::Auth, credentials), "235 2.7.0 hi").await
            } else if upper.starts_with("MAIL FROM:") {
                let from = line[10..].trim_matches(['<', '>']).to_owned();
                session.answer(self.ask(script, Stage::Sender, &from), "250 2.1.0 ok").await
            } else if upper.starts_with("RCPT TO:") {
                to = line[8..].trim_matches(['<', '>']).to_owned();
                session.answer(self.ask(script, Stage::Recipient, &to), "250 2.1.5 ok").await
            } else if upper == "DATA" {
                let act = self.ask(script, Stage::Data, &to);
                if !session.answer(act, "354 go").await {
                    return;
                }
                if !matches!(act, Act::Accept) {
                    continue;
                }
                let Some(bytes) = session.content().await else { return };
                let act = self.ask(script, Stage::Content, &to);
                if !matches!(act, Act::Reply(_)) {
                    self.take(&to, bytes);
                }
                session.answer(act, "250 2.0.0 queued").await
            } else if upper == "QUIT" {
                session.answer(Act::Reply("221 bye"), "").await;
                return;
            } else {
                session.answer(Act::Accept, "250 ok").await
            };
            if !go_on {
                return;
            }
        }
    }

    fn take(&self, to: &str, bytes: Vec<u8>) {
        let mail = mailparse::parse_mail(&bytes).unwrap();
        let id = mailparse::MailHeaderMap::get_first_value(&mail.headers[..], "Message-ID");
        let message_id = id.unwrap().trim_matches(['<', '>']).to_owned();
        let taken = Taken { to: to.to_owned(), message_id, bytes, at: Instant::now() };
        self.ledger.lock().unwrap().taken.push(taken);
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Session {
    stream: BufReader<Box<dyn Stream>>,
    encrypted: bool,
}

impl Session {
    /// Goes on over TLS; whether the client was content with who we are.
    async fn encrypt(&mut self, acceptor: &TlsAcceptor) -> bool {
        let nobody: Box<dyn Stream> =
            Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink()));
        let plain = std::mem::replace(&mut self.stream, BufReader::new(nobody)).into_inner();
        let Ok(stream) = acceptor.accept(plain).await else { return false };
        self.stream = BufReader::new(Box::new(stream));
        self.encrypted = true;
        true
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
        }
    }

    /// Whether the dialogue goes on.
    async fn answer(&mut self, act: Act, positive: &str) -> bool {
        let reply = match act {
            Act::Accept => positive,
            Act::Reply(reply) => reply,
            Act::Cut => return false,
            Act::Silence => {
                // Nothing more is said, but the line stays open until the other side gives up.
                while self.line().await.is_some() {}
                return false;
            }
        };
        let written = self.stream.write_all(format!("{reply}\r\n").as_bytes()).await;
        written.is_ok() && !reply.starts_with("421")
    }

    async fn content(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let start = bytes.len();
            if self.stream.read_until(b'\n', &mut bytes).await.ok()? == 0 {
                return None;
            }
            match &bytes[start..] {
                b".\r\n" => {
                    bytes.truncate(start);
                    return Some(bytes);
                }
                [b'.', ..] => {
                    bytes.remove(start);
                }
                _ => (),
            }
        }
    }
}
