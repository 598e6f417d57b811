//! What must hold whatever comes from outside: one function for each place where strangers' bytes are read. Each takes
//! any bytes, and panics when its property does not hold. The fuzz targets in `fuzz/` look for such bytes; a test
//! holds the properties for the corpus, which is what was found before and one of each kind.

#![expect(clippy::panic, reason = "a property that does not hold has to be heard of")]

mod cart;
mod events;
mod gateway;
mod manifest;
mod webhook;

pub use cart::cart;
pub use events::events;
pub use gateway::gateway;
pub use manifest::manifest;
pub use webhook::webhook;

/// A property, under the name of its fuzz target.
pub type Property = (&'static str, fn(&[u8]));

pub const ALL: [Property; 5] = [
    ("cart", cart),
    ("events", events),
    ("gateway", gateway),
    ("manifest", manifest),
    ("webhook", webhook),
];

/// Splits at the first `separator`; without one, all is the second part.
fn halves<'a>(bytes: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = bytes.windows(separator.len()).position(|window| window == separator);
    at.map_or((&[], bytes), |at| (&bytes[..at], &bytes[at + separator.len()..]))
}

/// A message for people: something, on one line, and nothing that a terminal would obey.
fn is_readable(what: &str, message: &str) {
    assert!(!message.trim().is_empty(), "{what} says nothing");
    let control = message.chars().find(|c| c.is_control());
    assert!(control.is_none(), "{what} holds {control:?}: {message:?}");
}
