//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): which distributed operation the
//! current work belongs to. Carried in the header `traceparent`, of HTTP and of Kafka alike.

use std::{fmt, future::Future};

/// Name of the header, in HTTP and in Kafka.
pub const TRACEPARENT: &str = "traceparent";

/// Length of `00-<trace>-<span>-<flags>`.
const VERSION_00_LENGTH: usize = 55;
const SAMPLED: u8 = 0x01;

/// One span of one distributed operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The context that the current task works for, if any.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// Runs `work` with `context` as the [`current`] one.
pub fn scope<F: Future>(context: TraceContext, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(context, work)
}

impl TraceContext {
    /// Reads a `traceparent`, as strictly as the specification asks: lower-case hexadecimal, no
    /// zero ids, version 00 exactly 55 characters; what a later version adds is ignored.
    /// `None` means that the receiver starts a new trace.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let text = traceparent.as_bytes();
        let head = text.get(..VERSION_00_LENGTH)?;
        let [version] = hexadecimal(&head[..2])?;
        let known = match version {
            0x00 => text.len() == VERSION_00_LENGTH,
            0xff => false,
            _ => text.get(VERSION_00_LENGTH).is_none_or(|next| *next == b'-'),
        };
        let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
        let (trace_id, span_id) = (hexadecimal(&head[3..35])?, hexadecimal(&head[36..52])?);
        let [flags] = hexadecimal(&head[53..55])?;
        let named = trace_id != [0; 16] && span_id != [0; 8];
        (known && dashes && named).then_some(Self { trace_id, span_id, flags: flags & SAMPLED })
    }

    /// The first span of a new trace, marked as sampled.
    pub fn new_root() -> Self {
        let trace_id = fastrand::u128(1..).to_be_bytes();
        Self { trace_id, span_id: new_span_id(), flags: SAMPLED }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: new_span_id(), ..*self }
    }

    /// The context after this one in what a header said: its child, or a new trace.
    pub fn continued(traceparent: Option<&str>) -> Self {
        traceparent.and_then(Self::parse).map_or_else(Self::new_root, |parent| parent.child())
    }

    /// The header's value.
    pub fn to_traceparent(&self) -> String {
        String::from_utf8_lossy(&self.traceparent()).into_owned()
    }

    /// The header's value, in ASCII.
    pub fn traceparent(&self) -> [u8; VERSION_00_LENGTH] {
        let mut text = *b"00-                                -                -  ";
        write_digits(&mut text[3..35], &self.trace_id);
        write_digits(&mut text[36..52], &self.span_id);
        write_digits(&mut text[53..], &[self.flags]);
        text
    }

    /// 32 hexadecimal digits, for logs and for people who ask for help.
    pub fn trace_id(&self) -> String {
        String::from_utf8_lossy(&self.trace_digits()).into_owned()
    }

    /// The same, in ASCII.
    pub fn trace_digits(&self) -> [u8; 32] {
        let mut text = [0; 32];
        write_digits(&mut text, &self.trace_id);
        text
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_traceparent())
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn new_span_id() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

/// Two lower-case digits for each byte. Each request has some fifty of them, which `write!` takes its time for.
fn write_digits(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// `N` bytes from `2 * N` lower-case hexadecimal digits.
fn hexadecimal<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_survives() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.to_traceparent(), EXAMPLE);
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn a_child_keeps_the_trace_and_changes_the_span() {
        let parent = TraceContext::parse(EXAMPLE).unwrap();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child, parent);
        assert_eq!(TraceContext::parse(&child.to_traceparent()), Some(child));
    }

    #[test]
    fn a_later_version_may_add_fields_after_a_dash() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        let known = TraceContext::parse(EXAMPLE);
        assert_eq!(TraceContext::parse(&later), known);
        assert_eq!(TraceContext::parse(&format!("{later}-what-comes")), known);
        assert_eq!(TraceContext::parse(&format!("{later}.what")), None);
    }

    #[test]
    fn whatever_else_starts_a_new_trace() {
        let bad = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-010",
            "00-ébf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        ];
        for traceparent in bad {
            assert_eq!(TraceContext::parse(traceparent), None, "{traceparent:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(text in ".{0,80}") {
            if let Some(context) = TraceContext::parse(&text) {
                assert!(text.contains(&context.trace_id()));
            }
        }
    }

    #[tokio::test]
    async fn work_sees_the_context_it_runs_in() {
        let context = TraceContext::new_root();
        assert_eq!(current(), None);
        assert_eq!(scope(context, async { current() }).await, Some(context));
    }
}
