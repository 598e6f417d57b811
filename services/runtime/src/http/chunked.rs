//! Follows the framing of a chunked body (RFC 9112 section 7.1), only to find its end and to refuse
//! what two parsers could read differently. It decodes nothing.

use super::Refusal;

/// Longest size line of one chunk, in digits. 4 GiB is far over any body that is taken.
const SIZE_MAX_DIGITS: u8 = 8;
/// Most bytes of chunk extensions, and of trailer fields, in one body.
const EXTRA_MAX_BYTES: u32 = 4096;

/// Where in a chunked body the next byte belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    /// Size of the chunk being read, then what is left of it.
    size: u64,
    digits: u8,
    extra_bytes: u32,
    /// Sum of all chunk sizes so far.
    body_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    Trailer,
    TrailerLineFeed,
    EndLineFeed,
    End,
}

impl Chunked {
    pub(super) fn new() -> Self {
        Self { state: State::Size, size: 0, digits: 0, extra_bytes: 0, body_bytes: 0 }
    }

    /// Whether the whole body was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::End
    }

    /// Takes bytes up to the body's end and says how many of them belong to it.
    pub(super) fn advance(&mut self, bytes: &[u8], max_bytes: u64) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len() - at);
                self.size -= taken as u64;
                at += taken;
                if self.size == 0 {
                    self.state = State::DataReturn;
                }
            } else {
                self.state = self.step(bytes[at], max_bytes)?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8, max_bytes: u64) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size, b'\r') if self.digits > 0 => State::SizeLineFeed,
            (State::Size, b';') if self.digits > 0 => State::Extension,
            (State::Size, byte) => {
                let digit = (byte as char).to_digit(16).ok_or(Refusal::Chunk)?;
                self.digits += 1;
                if self.digits > SIZE_MAX_DIGITS {
                    return Err(Refusal::Chunk);
                }
                self.size = self.size * 16 + u64::from(digit);
                State::Size
            }
            (State::Extension, b'\r') => State::SizeLineFeed,
            (State::Extension, byte) => self.extra(byte, State::Extension)?,
            (State::SizeLineFeed, b'\n') => self.size_known(max_bytes)?,
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => {
                (self.size, self.digits) = (0, 0);
                State::Size
            }
            (State::TrailerStart, b'\r') => State::EndLineFeed,
            (State::Trailer, b'\r') => State::TrailerLineFeed,
            (State::TrailerStart | State::Trailer, byte) => self.extra(byte, State::Trailer)?,
            (State::TrailerLineFeed, b'\n') => State::TrailerStart,
            (State::EndLineFeed, b'\n') => State::End,
            _ => return Err(Refusal::Chunk),
        })
    }

    fn size_known(&mut self, max_bytes: u64) -> Result<State, Refusal> {
        self.body_bytes += self.size;
        match self.size {
            0 => Ok(State::TrailerStart),
            _ if self.body_bytes > max_bytes => Err(Refusal::BodyTooLarge),
            _ => Ok(State::Data),
        }
    }

    /// A byte of an extension or a trailer: no control character but a tab.
    fn extra(&mut self, byte: u8, next: State) -> Result<State, Refusal> {
        self.extra_bytes += 1;
        let control = byte.is_ascii_control() && byte != b'\t';
        if control || self.extra_bytes > EXTRA_MAX_BYTES { Err(Refusal::Chunk) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BYTES: u64 = 1 << 20;

    /// Feeds a body at once and byte by byte: both must say the same.
    fn follow(body: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut whole = Chunked::new();
        let taken = whole.advance(body, MAX_BYTES).map(|taken| (taken, whole.is_complete()));
        let mut slow = Chunked::new();
        let mut count = 0;
        let slowly = body
            .chunks(1)
            .try_for_each(|byte| slow.advance(byte, MAX_BYTES).map(|taken| count += taken))
            .map(|()| (count, slow.is_complete()));
        assert_eq!(taken, slowly, "{:?}", body.escape_ascii().to_string());
        taken
    }

    #[test]
    fn the_end_is_found_and_what_follows_is_left() {
        assert_eq!(follow(b"0\r\n\r\nGET /"), Ok((5, true)));
        assert_eq!(follow(b"5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\n"), Ok((32, true)));
        assert_eq!(follow(b"1;name=\"a\tb\"\r\nx\r\n0\r\nX-Sum: 1\r\n\r\nrest"), Ok((32, true)));
        assert_eq!(follow(b"5\r\nhel"), Ok((6, false)));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x5\r\nhello",
            " 5\r\nhello",
            "5 \r\nhello",
            "5\nhello",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5;a\nb\r\n",
            "FFFFFFFFFFFFFFFF\r\n",
            "000000005\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\nX: a\n\r\n",
            "5\r\rhello",
            ";a=b\r\n",
        ] {
            assert_eq!(follow(body.as_bytes()), Err(Refusal::Chunk), "{body:?}");
        }
        let extension = format!("5;{}\r\n", "a".repeat(1 << 20));
        assert_eq!(follow(extension.as_bytes()), Err(Refusal::Chunk));
    }

    #[test]
    fn the_sum_of_the_chunks_is_limited() {
        assert_eq!(follow(b"100001\r\n"), Err(Refusal::BodyTooLarge));
        let mut body = Chunked::new();
        let chunk = [b"80000\r\n".to_vec(), vec![b'x'; 0x80000], b"\r\n".to_vec()].concat();
        assert_eq!(body.advance(&chunk, MAX_BYTES), Ok(chunk.len()));
        assert_eq!(body.advance(&chunk, MAX_BYTES), Ok(chunk.len()));
        assert_eq!(body.advance(b"1\r\n", MAX_BYTES), Err(Refusal::BodyTooLarge));
    }
}
