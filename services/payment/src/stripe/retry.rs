//! What follows an attempt to call Stripe. Pure: the attempt's outcome and a random number go in.
//!
//! The rules are Stripe's own (<https://docs.stripe.com/error-low-level>) and those of its official
//! libraries: `Stripe-Should-Retry` decides where it is sent; else conflicts, limits and server errors
//! are tried again.

use std::time::Duration;

/// Most attempts of one call. The caller's deadline usually ends it before.
pub const ATTEMPTS_MAX: u32 = 14;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    Answer(Reply<'a>),
    /// Connection refused, reset, cut, or silent until the time-out: what Stripe did is unknown, and
    /// the same key finds out.
    Nothing,
}

/// The parts of an answer that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reply<'a> {
    pub status: u16,
    /// `Stripe-Should-Retry`.
    pub should_retry: Option<bool>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `Idempotent-Replayed`: the answer is one that was stored for this key.
    pub replayed: bool,
    /// `error.type`.
    pub error_type: &'a str,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Read the answer.
    Take,
    /// The same call with the same key, after a pause.
    Again(Duration),
    /// The same call, but this key's answer is settled and useless.
    NewKey,
    Stop,
}

/// What follows attempt number `attempt` (from 0). `jitter` is a random number from 0 to 1 that keeps
/// many callers from coming back at once.
pub fn next(heard: Heard<'_>, attempt: u32, jitter: f64) -> Next {
    let again = |least: Option<Duration>| {
        if attempt + 1 >= ATTEMPTS_MAX {
            return Next::Stop;
        }
        Next::Again(pause(attempt, jitter).max(least.unwrap_or_default()))
    };
    let reply = match heard {
        Heard::Nothing => return again(None),
        Heard::Answer(reply) => reply,
    };
    match reply.status {
        200..=299 => Next::Take,
        // Stripe keeps the answer for a key once a call has begun, server errors included: asking
        // again with this key would hear the same for 24 hours.
        500.. if reply.replayed => Next::NewKey,
        // The key was used with other parameters, as by an older version of this program.
        400 if reply.error_type == "idempotency_error" => Next::NewKey,
        _ if reply.should_retry == Some(false) => Next::Stop,
        _ if reply.should_retry == Some(true) => again(reply.retry_after),
        409 | 424 | 429 | 500.. => again(reply.retry_after),
        _ => Next::Stop,
    }
}

/// Doubles from a tenth of a second; half of it is fixed, half is random.
fn pause(attempt: u32, jitter: f64) -> Duration {
    let full = PAUSE_FIRST.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Reply<'static> {
        Reply { status, ..Reply::default() }
    }

    fn word(reply: Reply<'_>) -> &'static str {
        match next(Heard::Answer(reply), 0, 1.0) {
            Next::Take => "take",
            Next::Again(_) => "again",
            Next::NewKey => "new key",
            Next::Stop => "stop",
        }
    }

    #[test]
    fn each_answer_has_its_sequel() {
        let plain = [200, 400, 401, 402, 404, 409, 424, 429, 500, 502, 503, 504];
        let words: Vec<_> =
            plain.iter().map(|status| format!("{status} {}", word(answer(*status)))).collect();
        assert_eq!(
            words.join(", "),
            "200 take, 400 stop, 401 stop, 402 stop, 404 stop, 409 again, 424 again, 429 again, \
             500 again, 502 again, 503 again, 504 again"
        );
        let replayed = |status| Reply { replayed: true, ..answer(status) };
        assert_eq!(word(replayed(200)), "take");
        assert_eq!(word(replayed(500)), "new key");
        assert_eq!(word(replayed(402)), "stop");
        assert_eq!(word(Reply { should_retry: Some(false), ..replayed(500) }), "new key");
        let told = |status, should| Reply { should_retry: Some(should), ..answer(status) };
        assert_eq!(word(told(500, false)), "stop");
        assert_eq!(word(told(429, false)), "stop");
        assert_eq!(word(told(400, true)), "again");
        assert_eq!(word(Reply { error_type: "idempotency_error", ..answer(400) }), "new key");
        assert!(matches!(next(Heard::Nothing, 0, 0.0), Next::Again(_)));
    }

    #[test]
    fn pauses_grow_are_bounded_and_heed_retry_after() {
        let pauses = |jitter| -> Vec<u128> {
            (0..6)
                .map(|attempt| match next(Heard::Nothing, attempt, jitter) {
                    Next::Again(pause) => pause.as_millis(),
                    _ => 0,
                })
                .collect()
        };
        assert_eq!(pauses(1.0), [100, 200, 400, 800, 1500, 1500]);
        assert_eq!(pauses(0.0), [50, 100, 200, 400, 750, 750]);
        let retry_after = Some(Duration::from_secs(3));
        let limited = Reply { retry_after, ..answer(429) };
        assert_eq!(next(Heard::Answer(limited), 0, 1.0), Next::Again(Duration::from_secs(3)));
        assert_eq!(next(Heard::Nothing, ATTEMPTS_MAX - 1, 0.5), Next::Stop);
    }
}
