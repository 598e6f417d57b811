//! What an answer, a broken line or a silence means for the mail, depending on how far it had come.
//! Pure.

use lettre::transport::smtp;
use storefront_runtime::SecretError;

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took the mail.
    Accepted,
    /// The server did not take it now, for sure. Another attempt may succeed.
    Deferred(Answer),
    /// The server will not take it.
    Rejected(Answer),
    /// The content was on its way and no clear answer came: the mail may have been delivered.
    Unclear(Answer),
    /// There is no server to talk to, or none that lets us in. Nothing to do with this mail.
    Unreachable(Answer),
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The reply's code, if there was a reply.
    pub code: Option<u16>,
    /// The reply, or what happened instead. It may hold the recipient's address, as servers repeat
    /// it: for dead letters, never for logs.
    pub text: String,
}

/// Longest text kept of a reply, in characters.
const TEXT_MAX_CHARS: usize = 500;

impl Answer {
    fn new(code: Option<u16>, text: &str) -> Self {
        let shown = |c: char| if crate::words::is_unseen(c) { ' ' } else { c };
        Self { code, text: text.chars().map(shown).take(TEXT_MAX_CHARS).collect() }
    }

    /// The code with the enhanced status code (RFC 3463) behind it, if there is one: safe to log.
    pub fn summary(&self) -> String {
        let Some(code) = self.code else { return "no reply".into() };
        let enhanced = self.text.split(' ').find(|word| is_enhanced(word));
        enhanced.map_or_else(|| code.to_string(), |enhanced| format!("{code} {enhanced}"))
    }
}

fn is_enhanced(word: &str) -> bool {
    let mut parts = word.split('.');
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(parts.next(), Some("2" | "4" | "5"))
        && parts.next().is_some_and(|part| digits(part, 3))
        && parts.next().is_some_and(|part| digits(part, 3))
        && parts.next().is_none()
}

/// How far a mail has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Up to and with authentication: nothing of the mail has been said.
    Connecting,
    /// Sender, recipient, and the question whether the content may come.
    Envelope,
    /// From the content's first byte on.
    Content,
}

/// Why a dialogue ended early.
#[derive(Debug)]
pub(super) enum Fault {
    Smtp(smtp::Error),
    Timeout,
    /// A positive answer, but not to what was asked.
    OutOfStep(u16),
    /// The address needs SMTPUTF8 (RFC 6531) and the server does not have it.
    NoSmtpUtf8,
    Secret(SecretError),
    Io(std::io::Error),
}

impl From<smtp::Error> for Fault {
    fn from(error: smtp::Error) -> Self {
        Self::Smtp(error)
    }
}

impl From<SecretError> for Fault {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl Fault {
    /// A complete answer was read, so the dialogue is in step.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Smtp(error) => error.status().is_some(),
            Self::NoSmtpUtf8 => true,
            Self::Timeout | Self::OutOfStep(_) | Self::Secret(_) | Self::Io(_) => false,
        }
    }

    /// The server ends the conversation, or has done so: 421 may come at any time (RFC 5321, 3.8).
    pub(super) fn is_end(&self) -> bool {
        !self.is_answer() || self.answer().code == Some(421)
    }

    pub(super) fn in_phase(self, phase: Phase) -> Outcome {
        let answer = self.answer();
        match (phase, answer.code) {
            // RFC 4954: 530 authentication required, 534 and 538 too weak, 535 refused. An account
            // that stopped working must not cost every mail its life.
            (Phase::Connecting, _) | (Phase::Envelope, Some(530 | 534 | 535 | 538)) => {
                Outcome::Unreachable(answer)
            }
            (_, Some(400..=499)) => Outcome::Deferred(answer),
            (_, Some(500..=599)) => Outcome::Rejected(answer),
            (Phase::Envelope, _) if matches!(self, Self::NoSmtpUtf8) => Outcome::Rejected(answer),
            (Phase::Envelope, _) => Outcome::Deferred(answer),
            (Phase::Content, _) => Outcome::Unclear(answer),
        }
    }

    fn answer(&self) -> Answer {
        match self {
            Self::Smtp(error) => {
                let code = error.status().map(u16::from);
                // The source of an answer's error is the reply's text; other errors say it all.
                let reply = std::error::Error::source(error).filter(|_| code.is_some());
                let text = reply.map_or_else(|| error.to_string(), ToString::to_string);
                Answer::new(code, &text)
            }
            Self::Timeout => Answer::new(None, "no answer within the time for one mail"),
            Self::OutOfStep(code) => Answer::new(None, &format!("an answer {code} out of step")),
            Self::NoSmtpUtf8 => {
                Answer::new(None, "the address needs SMTPUTF8, which the server does not offer")
            }
            Self::Secret(error) => Answer::new(None, &error.to_string()),
            Self::Io(error) => Answer::new(None, &format!("cannot connect: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_means_more_the_further_the_mail_had_come() {
        let silence = |phase| Fault::Timeout.in_phase(phase);
        assert!(matches!(silence(Phase::Connecting), Outcome::Unreachable(_)));
        assert!(matches!(silence(Phase::Envelope), Outcome::Deferred(_)));
        assert!(matches!(silence(Phase::Content), Outcome::Unclear(_)));
        let shifted = Fault::OutOfStep(250).in_phase(Phase::Content);
        assert!(matches!(shifted, Outcome::Unclear(_)));
    }

    #[test]
    fn a_log_gets_codes_and_never_the_reply() {
        let summary = |text| Answer::new(Some(550), text).summary();
        assert_eq!(summary("5.1.1 <ada@example.com>: no such user"), "550 5.1.1");
        assert_eq!(summary("ada@example.com unknown"), "550");
        assert_eq!(summary("5.1.1234 1.2.3 5..1 5.1.1.1"), "550");
        assert_eq!(Answer::new(None, "ada@example.com").summary(), "no reply");
        assert_eq!(Answer::new(None, "a\r\nb\u{1b}").text, "a  b ");
    }
}
