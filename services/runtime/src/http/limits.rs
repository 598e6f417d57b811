//! What one client may cost: sizes, counts and times of the HTTP server, each with its reason.

use std::time::Duration;

/// Limits of an HTTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request line and headers together, in bytes. More is a 431.
    pub head_max_bytes: usize,
    /// Longest request target, in bytes; RFC 9112 asks for 8000 at least. More is a 414.
    pub target_max_bytes: usize,
    /// Largest request body, in bytes. More is a 413.
    pub body_max_bytes: u64,
    /// From a head's first byte to its last. More is a 408.
    pub head_timeout: Duration,
    /// How long a body may stand still, and how long it may take in all before it must be faster
    /// than [`Limits::body_min_bytes_per_s`]. More is a 408.
    pub body_timeout: Duration,
    /// A body slower than this is an attack or a broken link.
    pub body_min_bytes_per_s: u64,
    /// How long a connection may be idle between two requests. Longer than the 60 s for which
    /// ingress controllers keep theirs, so that they close first and never send into a closing one.
    pub idle_timeout: Duration,
    /// How long a client may take no byte of an answer.
    pub write_timeout: Duration,
    /// Most connections at once. Further ones wait in the kernel's queue.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_max_bytes: 32 * 1024,
            target_max_bytes: 8 * 1024,
            body_max_bytes: 2 * 1024 * 1024,
            head_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(5),
            body_min_bytes_per_s: 512,
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            connections_max: 10_000,
        }
    }
}
