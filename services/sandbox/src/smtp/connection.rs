//! One connection: reads lines and mails, writes replies. A mail is in the ledger before its 250.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Limits,
    data::{Progress, Receiver},
    dialogue::{Dialogue, Next, Reply},
};
use crate::{
    clock,
    faults::{SmtpFault, SmtpStage},
    ids,
    ledger::Ledger,
    mail::{Envelope, message::Message},
    store::NewMail,
};

/// Longest command line. RFC 5321 asks for 512 octets, RFC 4954 for 12288 in AUTH.
const LINE_MAX_BYTES: usize = 12_288;
const READ_BYTES: usize = 16 * 1024;

struct Connection<'a> {
    stream: TcpStream,
    ledger: &'a Ledger,
    limits: Limits,
    /// Read and not yet used: pipelined commands, or the beginning of a mail.
    input: Vec<u8>,
    /// Replies not yet sent: they go together when there is nothing more to read (RFC 2920).
    output: Vec<u8>,
    shutdown: CancellationToken,
}

/// Whether the conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    Out,
}

/// Runs until the client or the shutdown ends it.
pub async fn run(
    stream: TcpStream,
    ledger: &Ledger,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (input, output) = (Vec::new(), Vec::new());
    let mut connection = Connection { stream, ledger, limits, input, output, shutdown };
    if let Some(fault) = ledger.faults.smtp(SmtpStage::Connect) {
        return connection.fail(fault).await;
    }
    connection.queue(&Dialogue::greeting());
    let mut dialogue = Dialogue::new(limits.message_bytes);
    loop {
        let Some(line) = connection.line().await? else { return connection.flush().await };
        let mut cut = false;
        let faults = &ledger.faults;
        let reply = match line {
            Line::Whole(line) => dialogue.line(&line, |stage| {
                let fault = faults.smtp(stage)?;
                cut = fault.reply.is_none();
                Some(reply_of(&fault))
            }),
            Line::Endless => dialogue.endless_line(),
        };
        if cut {
            return Ok(());
        }
        connection.queue(&reply.text);
        let goes = match reply.next {
            Next::Command => Goes::On,
            Next::Close => Goes::Out,
            Next::Data => connection.mail(&mut dialogue).await?,
        };
        if goes == Goes::Out {
            return connection.flush().await;
        }
    }
}

/// A fault's reply; a 421 means that the server closes (RFC 5321, 3.8).
fn reply_of(fault: &SmtpFault) -> Reply {
    let text = fault.reply.clone().unwrap_or_default();
    let next = if text.starts_with("421") { Next::Close } else { Next::Command };
    Reply { text, next }
}

enum Line {
    Whole(Vec<u8>),
    Endless,
}

impl Connection<'_> {
    fn queue(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    async fn flush(&mut self) -> io::Result<()> {
        let sent = timeout(self.limits.idle, self.stream.write_all(&self.output)).await;
        self.output.clear();
        sent.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Sends what is queued and reads more. `false` at the end, whoever made it.
    async fn read(&mut self) -> io::Result<bool> {
        self.flush().await?;
        let start = self.input.len();
        self.input.resize(start + READ_BYTES, 0);
        let shutdown = self.shutdown.clone();
        let read = tokio::select! {
            () = shutdown.cancelled() => None,
            read = timeout(self.limits.idle, self.stream.read(&mut self.input[start..])) => Some(read),
        };
        let count = match read {
            Some(Ok(Ok(count))) => count,
            other => {
                self.input.truncate(start);
                return match other {
                    Some(Ok(Err(error))) => Err(error),
                    Some(_) => self.bye("421 4.4.2 Nothing came for too long").await,
                    None => self.bye("421 4.3.2 The sandbox is stopping").await,
                };
            }
        };
        self.input.truncate(start + count);
        Ok(count > 0)
    }

    async fn bye(&mut self, text: &str) -> io::Result<bool> {
        self.queue(text);
        self.flush().await?;
        Ok(false)
    }

    async fn line(&mut self) -> io::Result<Option<Line>> {
        let mut searched = 0;
        let mut endless = false;
        loop {
            let end = self.input[searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                let line: Vec<u8> = self.input.drain(..=searched + end).collect();
                let whole = !endless && line.len() <= LINE_MAX_BYTES;
                return Ok(Some(if whole { Line::Whole(line) } else { Line::Endless }));
            }
            // What is too long for a line is thrown away until the line ends.
            if self.input.len() > LINE_MAX_BYTES {
                endless = true;
                self.input.clear();
            }
            searched = self.input.len();
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Reads a mail and keeps it.
    async fn mail(&mut self, dialogue: &mut Dialogue) -> io::Result<Goes> {
        let mut receiver = Receiver::new(self.limits.message_bytes);
        loop {
            let input = std::mem::take(&mut self.input);
            match receiver.push(&input) {
                Progress::More => {}
                Progress::End(used) => {
                    self.input = input[used..].to_vec();
                    break;
                }
                Progress::Flood => {
                    self.queue("552 5.3.4 Message far too big");
                    return Ok(Goes::Out);
                }
            }
            if !self.read().await? {
                return Ok(Goes::Out);
            }
        }
        let envelope = dialogue.take_envelope();
        let raw = match receiver.finish() {
            Ok(raw) => raw,
            Err(flaw) => {
                self.queue(flaw.reply());
                return Ok(Goes::On);
            }
        };
        let Some(fault) = self.ledger.faults.smtp(SmtpStage::EndOfData) else {
            let reply = self.keep(envelope, raw).await;
            self.queue(&reply);
            return Ok(Goes::On);
        };
        if fault.stored {
            self.keep(envelope, raw).await;
        }
        let closes = fault.reply.as_ref().is_none_or(|reply| reply.starts_with("421"));
        self.fail(fault).await?;
        Ok(if closes { Goes::Out } else { Goes::On })
    }

    async fn fail(&mut self, fault: SmtpFault) -> io::Result<()> {
        let Some(reply) = fault.reply else {
            // Cut: nothing more is said, not even what was queued.
            self.output.clear();
            return Ok(());
        };
        self.queue(&reply);
        self.flush().await
    }

    async fn keep(&self, envelope: Envelope, raw: Vec<u8>) -> String {
        let message = Message::read(&raw, &envelope);
        let id = ids::message();
        let mail = NewMail {
            id: id.clone(),
            created_ms: clock::now_ms(),
            search_text: message.search_text(),
            summary: message.summary,
            envelope,
            raw,
        };
        match self.ledger.store.keep_mail(mail).await {
            Ok(()) => {
                tracing::debug!(mail.id = id, "a mail was accepted");
                format!("250 2.0.0 Ok: kept as {id}")
            }
            Err(error) => {
                error.log("keeping a mail");
                "451 4.3.0 The mail could not be kept".into()
            }
        }
    }
}
