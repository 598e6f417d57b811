//! What is said after each command (RFC 5321): pure, a line in and a reply out. Reads no socket and
//! keeps no mail.

use base64::Engine as _;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, Error, MAIL_SMTPUTF8, Request};

use crate::{faults::SmtpStage, mail::Envelope};

const RECIPIENTS_MAX: usize = 100;
/// Commands that could not be taken, after which a client is sent away.
const ERRORS_MAX: usize = 20;
/// RFC 5321, 4.5.3.1.3: 256 octets with the brackets.
const ADDRESS_MAX_BYTES: usize = 254;
const HOST: &str = "sandbox.storefront.localhost";

/// What follows a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Command,
    Data,
    Close,
}

/// A reply, without its CRLF at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub text: String,
    pub next: Next,
}

fn say(text: impl Into<String>) -> Reply {
    Reply { text: text.into(), next: Next::Command }
}

/// A step of AUTH that waits for a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Plain,
    User,
    Password,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Dialogue {
    greeted: bool,
    sender: Option<String>,
    recipients: Vec<String>,
    username: String,
    asked: Option<Asked>,
    errors: usize,
    message_max_bytes: usize,
}

impl Dialogue {
    pub fn new(message_max_bytes: usize) -> Self {
        Self { message_max_bytes, ..Self::default() }
    }

    pub fn greeting() -> String {
        format!("220 {HOST} ESMTP Storefront sandbox")
    }

    /// The reply to a line, which ends with its CRLF. `fault` says whether a stage fails on purpose.
    pub fn line(&mut self, line: &[u8], fault: impl FnOnce(SmtpStage) -> Option<Reply>) -> Reply {
        let reply = if line.ends_with(b"\r\n") {
            match self.asked.take() {
                Some(asked) => self.credentials(asked, &line[..line.len() - 2]),
                None => self.command(line, fault),
            }
        } else {
            say("500 5.5.2 Lines end with CRLF (RFC 5321, 2.3.8)")
        };
        self.count(reply)
    }

    /// The reply to a line that never ended.
    pub fn endless_line(&mut self) -> Reply {
        self.count(say("500 5.5.6 Line too long"))
    }

    /// The envelope of the mail whose text has come; the next one starts anew.
    pub fn take_envelope(&mut self) -> Envelope {
        let envelope = Envelope {
            from: self.sender.take().unwrap_or_default(),
            to: std::mem::take(&mut self.recipients),
            username: self.username.clone(),
        };
        self.reset();
        envelope
    }

    fn count(&mut self, reply: Reply) -> Reply {
        if !reply.text.starts_with('5') {
            return reply;
        }
        self.errors += 1;
        if self.errors < ERRORS_MAX {
            return reply;
        }
        Reply { text: "421 4.7.0 Too many errors".into(), next: Next::Close }
    }

    fn command(&mut self, line: &[u8], fault: impl FnOnce(SmtpStage) -> Option<Reply>) -> Reply {
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request.into_owned(),
            Err(error) => return say(refusal(&error)),
        };
        let stage = match &request {
            Request::Mail { .. } => Some(SmtpStage::Mail),
            Request::Rcpt { .. } => Some(SmtpStage::Rcpt),
            Request::Data => Some(SmtpStage::Data),
            _ => None,
        };
        if let Some(reply) = stage.and_then(fault) {
            return reply;
        }
        match request {
            Request::Ehlo { host } => self.hello(&host, true),
            Request::Helo { host } => self.hello(&host, false),
            Request::Mail { from } => {
                let utf8 = from.flags & MAIL_SMTPUTF8 != 0;
                self.mail(from.address, from.size, utf8)
            }
            Request::Rcpt { to } => self.recipient(to.address),
            Request::Data => self.data(),
            Request::Auth { mechanism, initial_response } => {
                self.auth(mechanism, &initial_response)
            }
            Request::Rset => {
                self.reset();
                say("250 2.0.0 Ok")
            }
            Request::Noop { .. } => say("250 2.0.0 Ok"),
            Request::Vrfy { .. } => say("252 2.1.5 Cannot verify, but will accept the mail"),
            Request::Help { .. } => say("214 2.0.0 A development inbox; see RFC 5321"),
            Request::Quit => Reply { text: "221 2.0.0 Bye".into(), next: Next::Close },
            other => say(format!("502 5.5.1 {} is not implemented", other.name())),
        }
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    fn hello(&mut self, host: &str, extended: bool) -> Reply {
        if host.is_empty() || host.contains(char::is_control) {
            return say("501 5.5.4 Say who you are");
        }
        self.reset();
        self.greeted = true;
        if !extended {
            return say(format!("250 {HOST}"));
        }
        say(format!(
            "250-{HOST}\r\n250-PIPELINING\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
             250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN LOGIN",
            self.message_max_bytes
        ))
    }

    fn mail(&mut self, from: String, size: usize, utf8: bool) -> Reply {
        if !self.greeted {
            return say("503 5.5.1 Say EHLO first");
        }
        if self.sender.is_some() {
            return say("503 5.5.1 There is a sender already");
        }
        if size > self.message_max_bytes {
            return say("552 5.3.4 Message too big");
        }
        if !utf8 && !from.is_ascii() {
            return say("553 5.6.7 An address outside ASCII needs SMTPUTF8 (RFC 6531)");
        }
        if from.len() > ADDRESS_MAX_BYTES || from.contains(char::is_control) {
            return say("553 5.1.7 Not an address");
        }
        self.sender = Some(from);
        say("250 2.1.0 Ok")
    }

    fn recipient(&mut self, to: String) -> Reply {
        if self.sender.is_none() {
            return say("503 5.5.1 Say MAIL first");
        }
        if self.recipients.len() == RECIPIENTS_MAX {
            return say("452 4.5.3 Too many recipients");
        }
        // Whether SMTPUTF8 was announced is the sender's matter; every mailbox exists here.
        if to.is_empty() || to.len() > ADDRESS_MAX_BYTES || to.contains(char::is_control) {
            return say("553 5.1.3 Not an address");
        }
        self.recipients.push(to);
        say("250 2.1.5 Ok")
    }

    fn data(&mut self) -> Reply {
        if self.recipients.is_empty() {
            return say("503 5.5.1 Say RCPT first");
        }
        let text = "354 End data with <CR><LF>.<CR><LF>".into();
        Reply { text, next: Next::Data }
    }

    /// Any credentials are taken: what is tested is the client.
    fn auth(&mut self, mechanism: u64, initial: &str) -> Reply {
        if !self.greeted || self.sender.is_some() {
            return say("503 5.5.1 AUTH comes after EHLO and before MAIL");
        }
        let asked = match mechanism {
            AUTH_PLAIN => Asked::Plain,
            AUTH_LOGIN => Asked::User,
            _ => return say("504 5.5.4 There are PLAIN and LOGIN"),
        };
        if initial.is_empty() {
            return self.ask(asked);
        }
        self.credentials(asked, initial.as_bytes())
    }

    fn ask(&mut self, asked: Asked) -> Reply {
        self.asked = Some(asked);
        // "Username:" and "Password:", as clients of LOGIN expect them.
        say(match asked {
            Asked::Plain => "334 ",
            Asked::User => "334 VXNlcm5hbWU6",
            Asked::Password => "334 UGFzc3dvcmQ6",
        })
    }

    fn credentials(&mut self, asked: Asked, line: &[u8]) -> Reply {
        if line == b"*" {
            return say("501 5.7.0 Cancelled");
        }
        // A lone `=` is an empty answer (RFC 4954, 4).
        let line = if line == b"=" { b"" } else { line };
        let Ok(decoded) = base64::engine::general_purpose::STANDARD.decode(line) else {
            return say("501 5.5.2 Not base64");
        };
        match asked {
            Asked::Plain => {
                let parts: Vec<&[u8]> = decoded.split(|byte| *byte == 0).collect();
                let [_, user, _] = parts.as_slice() else {
                    return say("501 5.5.2 Not authzid NUL authcid NUL passwd (RFC 4616)");
                };
                self.username = String::from_utf8_lossy(user).into_owned();
            }
            Asked::User => {
                self.username = String::from_utf8_lossy(&decoded).into_owned();
                return self.ask(Asked::Password);
            }
            Asked::Password => {}
        }
        say("235 2.7.0 Welcome")
    }
}

fn refusal(error: &Error) -> String {
    match error {
        Error::UnknownCommand => "500 5.5.1 Unknown command".into(),
        Error::InvalidSenderAddress => "553 5.1.7 Not a sender's address".into(),
        Error::InvalidRecipientAddress => "553 5.1.3 Not a recipient's address".into(),
        Error::SyntaxError { syntax } => format!("501 5.5.4 Syntax: {syntax}"),
        Error::InvalidParameter { param } => format!("501 5.5.4 Wrong parameter {param}"),
        Error::UnsupportedParameter { .. } => "555 5.5.4 Unknown parameter".into(),
        Error::NeedsMoreData { .. } | Error::ResponseTooLong | Error::InvalidResponse { .. } => {
            "500 5.5.2 Not a command".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the lines one after the other; each is shown with its reply.
    fn talk(lines: &[&str]) -> String {
        let mut dialogue = Dialogue::new(1_000);
        lines
            .iter()
            .map(|line| {
                let reply = dialogue.line(format!("{line}\r\n").as_bytes(), |_| None);
                format!("{line} -> {}\n", reply.text.replace("\r\n", " | "))
            })
            .collect::<Vec<_>>()
            .concat()
    }

    #[test]
    fn a_mail_is_announced() {
        insta::assert_snapshot!(
            talk(&[
                "MAIL FROM:<a@example.com>",
                "EHLO shop",
                "RCPT TO:<b@example.com>",
                "MAIL FROM:<a@example.com> SIZE=500 BODY=8BITMIME",
                "MAIL FROM:<a@example.com>",
                "DATA",
                "RCPT TO:<b@example.com>",
                "DATA",
            ]),
            @r"
        MAIL FROM:<a@example.com> -> 503 5.5.1 Say EHLO first
        EHLO shop -> 250-sandbox.storefront.localhost | 250-PIPELINING | 250-SIZE 1000 | 250-8BITMIME | 250-SMTPUTF8 | 250-ENHANCEDSTATUSCODES | 250 AUTH PLAIN LOGIN
        RCPT TO:<b@example.com> -> 503 5.5.1 Say MAIL first
        MAIL FROM:<a@example.com> SIZE=500 BODY=8BITMIME -> 250 2.1.0 Ok
        MAIL FROM:<a@example.com> -> 503 5.5.1 There is a sender already
        DATA -> 503 5.5.1 Say RCPT first
        RCPT TO:<b@example.com> -> 250 2.1.5 Ok
        DATA -> 354 End data with <CR><LF>.<CR><LF>
        "
        );
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        insta::assert_snapshot!(
            talk(&[
                "HELO shop",
                "MAIL FROM:<a@example.com> SIZE=5000",
                "MAIL FROM:<é@example.com>",
                "MAIL FROM:<é@example.com> SMTPUTF8",
                "RSET",
                "MAIL FROM:<>",
                "VRFY asha",
                "STARTTLS",
                "BDAT 5 LAST",
                "EXPN all",
                "FOO",
                "",
                "QUIT",
            ]),
            @r"
        HELO shop -> 250 sandbox.storefront.localhost
        MAIL FROM:<a@example.com> SIZE=5000 -> 552 5.3.4 Message too big
        MAIL FROM:<é@example.com> -> 553 5.6.7 An address outside ASCII needs SMTPUTF8 (RFC 6531)
        MAIL FROM:<é@example.com> SMTPUTF8 -> 250 2.1.0 Ok
        RSET -> 250 2.0.0 Ok
        MAIL FROM:<> -> 250 2.1.0 Ok
        VRFY asha -> 252 2.1.5 Cannot verify, but will accept the mail
        STARTTLS -> 502 5.5.1 STARTTLS is not implemented
        BDAT 5 LAST -> 502 5.5.1 BDAT is not implemented
        EXPN all -> 502 5.5.1 EXPN is not implemented
        FOO -> 500 5.5.1 Unknown command
         -> 500 5.5.1 Unknown command
        QUIT -> 221 2.0.0 Bye
        "
        );
    }

    #[test]
    fn any_credentials_are_taken() {
        insta::assert_snapshot!(
            talk(&[
                "EHLO shop",
                "AUTH PLAIN AHNob3AAc2VjcmV0",
                "AUTH PLAIN",
                "AHNob3AAc2VjcmV0",
                "AUTH LOGIN",
                "c2hvcA==",
                "c2VjcmV0",
                "AUTH LOGIN",
                "*",
                "AUTH CRAM-MD5",
                "AUTH PLAIN !!!!",
            ]),
            @r"
        EHLO shop -> 250-sandbox.storefront.localhost | 250-PIPELINING | 250-SIZE 1000 | 250-8BITMIME | 250-SMTPUTF8 | 250-ENHANCEDSTATUSCODES | 250 AUTH PLAIN LOGIN
        AUTH PLAIN AHNob3AAc2VjcmV0 -> 235 2.7.0 Welcome
        AUTH PLAIN -> 334 
        AHNob3AAc2VjcmV0 -> 235 2.7.0 Welcome
        AUTH LOGIN -> 334 VXNlcm5hbWU6
        c2hvcA== -> 334 UGFzc3dvcmQ6
        c2VjcmV0 -> 235 2.7.0 Welcome
        AUTH LOGIN -> 334 VXNlcm5hbWU6
        * -> 501 5.7.0 Cancelled
        AUTH CRAM-MD5 -> 504 5.5.4 There are PLAIN and LOGIN
        AUTH PLAIN !!!! -> 501 5.5.2 Not base64
        "
        );
    }

    #[test]
    fn a_client_that_errs_on_and_on_is_sent_away() {
        let mut dialogue = Dialogue::new(1_000);
        let replies: Vec<Reply> =
            (0..ERRORS_MAX).map(|_| dialogue.line(b"NOOP\n", |_| None)).collect();
        assert!(replies[0].text.starts_with("500 5.5.2"));
        assert_eq!(replies[ERRORS_MAX - 1].next, Next::Close);
    }

    #[test]
    fn a_fault_takes_the_place_of_its_stage() {
        let mut dialogue = Dialogue::new(1_000);
        let busy = |stage| (stage == SmtpStage::Mail).then(|| say("451 4.3.0 busy"));
        assert!(dialogue.line(b"EHLO shop\r\n", busy).text.starts_with("250"));
        assert_eq!(dialogue.line(b"MAIL FROM:<a@b.c>\r\n", busy).text, "451 4.3.0 busy");
        assert_eq!(dialogue.line(b"RCPT TO:<a@b.c>\r\n", busy).text, "503 5.5.1 Say MAIL first");
    }
}
