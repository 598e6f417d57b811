//! The time of day. Only the edges ask for it; everything below is told.

use jiff::Timestamp;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Seconds since 1970, as Stripe writes times.
pub fn now_s() -> i64 {
    Timestamp::now().as_second()
}
