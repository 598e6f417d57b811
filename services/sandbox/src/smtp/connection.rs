//! One connection: reads lines and mails, writes replies. A mail is in the ledger before its 250.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
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
    faults::{Changes, SmtpFault, SmtpHow, SmtpStage},
    ids,
    ledger::Ledger,
    mail::{Envelope, message::Message},
    store::NewMail,
};

/// Longest command line. RFC 5321 asks for 512 octets, RFC 4954 for 12288 in AUTH.
const LINE_MAX_BYTES: usize = 12_288;
const READ_BYTES: usize = 16 * 1024;
/// Between two bytes of a reply that trickles.
const TRICKLE: Duration = Duration::from_secs(1);

struct Connection<'a, S> {
    stream: S,
    ledger: &'a Ledger,
    limits: Limits,
    /// Read and not yet used: pipelined commands, or the beginning of a mail.
    input: Vec<u8>,
    /// Replies not yet sent: they go together when there is nothing more to read (RFC 2920).
    output: Vec<u8>,
    shutdown: CancellationToken,
    /// Set while replies trickle; ends with the next change.
    trickle: Option<Changes>,
}

/// Whether the conversation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    Out,
}

/// Runs until the client or the shutdown ends it.
pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    ledger: &Ledger,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let (input, output) = (Vec::new(), Vec::new());
    let mut connection =
        Connection { stream, ledger, limits, input, output, shutdown, trickle: None };
    if connection.begin().await? == Goes::Out {
        return connection.flush().await;
    }
    let mut dialogue = Dialogue::new(limits.message_bytes);
    loop {
        let Some(line) = connection.line().await? else { return connection.flush().await };
        let mut wordless = None;
        let (faults, changes) = (&ledger.faults, ledger.faults.changes());
        let reply = match line {
            Line::Whole(line) => dialogue.line(&line, |stage| {
                let fault = faults.smtp(stage)?;
                wordless = fault.reply.is_none().then(|| fault.how.unwrap_or(SmtpHow::Cut));
                (wordless != Some(SmtpHow::Trickle)).then(|| reply_of(&fault))
            }),
            Line::Endless => dialogue.endless_line(),
        };
        if let Some(how) = wordless
            && connection.without_words(how, changes).await? == Goes::Out
        {
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

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    fn queue(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    async fn begin(&mut self) -> io::Result<Goes> {
        let changes = self.ledger.faults.changes();
        if let Some(fault) = self.ledger.faults.smtp(SmtpStage::Connect) {
            let trickles = fault.how == Some(SmtpHow::Trickle);
            self.fail(fault, changes).await?;
            if !trickles {
                return Ok(Goes::Out);
            }
        }
        self.queue(&Dialogue::greeting());
        Ok(Goes::On)
    }

    async fn flush(&mut self) -> io::Result<()> {
        while let (Some(changes), false) = (&mut self.trickle, self.output.is_empty()) {
            let byte = self.output.remove(0);
            timeout(self.limits.idle, self.stream.write_all(&[byte])).await??;
            tokio::select! {
                () = tokio::time::sleep(TRICKLE) => {}
                () = changes.next() => self.trickle = None,
                () = self.shutdown.cancelled() => self.trickle = None,
            }
        }
        let sent = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let sent = timeout(self.limits.idle, sent).await;
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
        let changes = self.ledger.faults.changes();
        let fault = self.ledger.faults.smtp(SmtpStage::EndOfData);
        let Some(fault) = fault else {
            let reply = self.keep(envelope, raw).await;
            self.queue(&reply);
            return Ok(Goes::On);
        };
        // One whose answer trickles is kept like any other.
        let trickles = fault.how == Some(SmtpHow::Trickle);
        let mut kept = None;
        if fault.stored || trickles {
            kept = Some(self.keep(envelope, raw).await);
        }
        let goes = self.fail(fault, changes).await?;
        if let Some(reply) = kept.filter(|_| trickles) {
            self.queue(&reply);
        }
        Ok(goes)
    }

    /// Says what a fault wants said, or nothing.
    async fn fail(&mut self, fault: SmtpFault, changes: Changes) -> io::Result<Goes> {
        let Some(reply) = fault.reply else {
            return self.without_words(fault.how.unwrap_or(SmtpHow::Cut), changes).await;
        };
        self.queue(&reply);
        self.flush().await?;
        Ok(if reply.starts_with("421") { Goes::Out } else { Goes::On })
    }

    async fn without_words(&mut self, how: SmtpHow, mut changes: Changes) -> io::Result<Goes> {
        if how == SmtpHow::Trickle {
            self.trickle = Some(changes);
            return Ok(Goes::On);
        }
        // Not even what was queued is said.
        self.output.clear();
        if how == SmtpHow::Silence {
            let mut ignored = [0; 1_024];
            loop {
                tokio::select! {
                    () = changes.next() => break,
                    () = self.shutdown.cancelled() => break,
                    read = self.stream.read(&mut ignored) => if read? == 0 { break },
                }
            }
        }
        Ok(Goes::Out)
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
