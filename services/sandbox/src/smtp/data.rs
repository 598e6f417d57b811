//! The text of a mail as it comes after DATA (RFC 5321, 4.5.2): takes the dots off and finds the end.
//! Only `CRLF . CRLF` ends it. A bare CR or LF never does, and spoils the mail: that is how one mail
//! is made to look like two (CVE-2023-51764 and its kin).

/// RFC 5321, 4.5.3.1.6: 1000 octets with the CRLF.
const LINE_MAX_BYTES: usize = 998;
/// A message that is this many times too large is not even read to its end.
const PATIENCE: usize = 4;

/// Why a mail cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    TooLarge,
    BareLf,
    BareCr,
    LongLine,
}

impl Flaw {
    pub fn reply(self) -> &'static str {
        match self {
            Self::TooLarge => "552 5.3.4 Message too big",
            Self::BareLf => {
                "550 5.6.0 Bare LF in the message; lines end with CRLF (RFC 5321, 2.3.8)"
            }
            Self::BareCr => {
                "550 5.6.0 Bare CR in the message; lines end with CRLF (RFC 5321, 2.3.8)"
            }
            Self::LongLine => "550 5.6.0 Line longer than 998 octets (RFC 5321, 4.5.3.1.6)",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    /// After a dot at a line's start.
    Dot,
    /// After a dot and a CR at a line's start.
    DotCr,
    Text,
    Cr,
}

/// How far the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    More,
    /// It ended; this many bytes of the input belonged to it.
    End(usize),
    /// Far too large: the connection should be closed.
    Flood,
}

/// Collects the text of one mail.
pub struct Receiver {
    place: Place,
    message: Vec<u8>,
    received: usize,
    line_bytes: usize,
    limit: usize,
    flaw: Option<Flaw>,
}

impl Receiver {
    pub fn new(limit: usize) -> Self {
        Self {
            // The CRLF of the DATA line is the one before a first dot.
            place: Place::LineStart,
            message: Vec::new(),
            received: 0,
            line_bytes: 0,
            limit,
            flaw: None,
        }
    }

    pub fn push(&mut self, input: &[u8]) -> Progress {
        for (index, byte) in input.iter().enumerate() {
            if self.step(*byte) {
                return Progress::End(index + 1);
            }
        }
        if self.received > self.limit.saturating_mul(PATIENCE) {
            return Progress::Flood;
        }
        Progress::More
    }

    /// The mail, or why there is none.
    pub fn finish(self) -> Result<Vec<u8>, Flaw> {
        self.flaw.map_or(Ok(self.message), Err)
    }

    /// Takes one byte; true when it was the last.
    fn step(&mut self, byte: u8) -> bool {
        match (self.place, byte) {
            (Place::LineStart, b'.') => self.place = Place::Dot,
            (Place::Dot, b'\r') => self.place = Place::DotCr,
            (Place::DotCr, b'\n') => return true,
            (Place::Cr, b'\n') => {
                self.message_push(b"\r\n");
                self.line_bytes = 0;
                self.place = Place::LineStart;
            }
            (Place::Cr | Place::DotCr, _) => {
                self.note(Flaw::BareCr);
                self.keep(b'\r');
                self.text(byte);
            }
            (Place::LineStart | Place::Dot | Place::Text, _) => self.text(byte),
        }
        false
    }

    fn text(&mut self, byte: u8) {
        match byte {
            b'\r' => self.place = Place::Cr,
            b'\n' => {
                self.note(Flaw::BareLf);
                self.keep(byte);
                self.place = Place::Text;
            }
            _ => {
                self.keep(byte);
                self.place = Place::Text;
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        self.line_bytes += 1;
        if self.line_bytes > LINE_MAX_BYTES {
            self.note(Flaw::LongLine);
        }
        self.message_push(&[byte]);
    }

    fn message_push(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        if self.received > self.limit {
            self.note(Flaw::TooLarge);
        }
        // Nothing of a mail that will be refused needs memory.
        if self.flaw.is_none() {
            self.message.extend_from_slice(bytes);
        } else {
            self.message.clear();
        }
    }

    /// The first flaw counts.
    fn note(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What becomes of the input, and what is left of it for the next command.
    fn told(input: &str) -> String {
        let mut receiver = Receiver::new(10_000);
        match receiver.push(input.as_bytes()) {
            Progress::End(used) => {
                let rest = &input[used..];
                match receiver.finish() {
                    Ok(mail) => format!("{:?} then {rest:?}", String::from_utf8(mail).unwrap()),
                    Err(flaw) => format!("{flaw:?} then {rest:?}"),
                }
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn only_the_true_end_ends_a_mail() {
        assert_eq!(told("a\r\n.\r\nQUIT\r\n"), r#""a\r\n" then "QUIT\r\n""#);
        assert_eq!(told(".\r\nNOOP\r\n"), r#""" then "NOOP\r\n""#);
        assert_eq!(told("..\r\n.a\r\n.\r\n"), r#"".\r\na\r\n" then """#);
        // Smuggling: each of these hides a second mail from a server that takes it for the end.
        for fake in ["\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r\n\0.\r\n"] {
            let answer = told(&format!("a{fake}MAIL FROM:<b@c>\r\n.\r\n"));
            let bare = answer.starts_with("Bare") || fake.contains('\0');
            assert!(bare && answer.ends_with("then \"\""), "{fake:?}: {answer}");
        }
        assert_eq!(told("a\r\n."), "More");
    }

    #[test]
    fn limits_are_kept() {
        assert!(told(&format!("{}\r\n.\r\n", "x".repeat(998))).starts_with('"'));
        assert_eq!(told(&format!("{}\r\n.\r\n", "x".repeat(999))), "LongLine then \"\"");
        assert_eq!(told(&format!("{}.\r\n", "x\r\n".repeat(4_000))), "TooLarge then \"\"");
        assert_eq!(told(&"x\r\n".repeat(20_000)), "Flood");
    }

    fn stuffed(mail: &[String]) -> Vec<u8> {
        let line = |line: &String| {
            let dot = if line.starts_with('.') { "." } else { "" };
            format!("{dot}{line}\r\n")
        };
        (mail.iter().map(line).collect::<Vec<_>>().concat() + ".\r\n").into_bytes()
    }

    proptest! {
        #[test]
        fn a_mail_comes_through_in_whatever_pieces(
            mail in prop::collection::vec("[.a ]{0,5}", 0..20),
            pieces in prop::collection::vec(1_usize..9, 1..50),
        ) {
            let input = [stuffed(&mail), b"NEXT".to_vec()].concat();
            let mut receiver = Receiver::new(10_000);
            let (mut rest, mut sizes, mut ended) = (input.as_slice(), pieces.iter().cycle(), false);
            while !ended && !rest.is_empty() {
                let (piece, _) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                let used = match receiver.push(piece) {
                    Progress::End(used) => { ended = true; used }
                    _ => piece.len(),
                };
                rest = &rest[used..];
            }
            prop_assert_eq!(rest, b"NEXT");
            let expected: Vec<String> = mail.iter().map(|line| format!("{line}\r\n")).collect();
            prop_assert_eq!(receiver.finish(), Ok(expected.concat().into_bytes()));
        }
    }
}
