//! What brokers know, for people and programs: topics, consumer groups and their lag, records, dead
//! letters. Used by the command, the console and the operator; works on any brokers, changes nothing on
//! them but by [`Session::send_back`] and [`Session::remove`], and joins no group.
//!
//! Calls block, each for a bounded time: in an async program they belong on a thread of their own.

mod assignment;
mod connection;
mod dead_letter;
mod error;
mod fate;
mod groups;
mod properties;
mod reader;
mod record;
mod scope;
mod send;
mod session;
mod topics;
mod words;

pub use connection::{Connection, DEFAULT_BROKERS};
pub use dead_letter::{DeadLetter, DeadLetters, NotALetter, Place, PlaceError};
pub use error::{ConnectionError, InspectError};
pub use fate::Fate;
pub use groups::{Group, GroupPartition, Member};
pub use reader::{Reader, Span, Start};
pub use record::{Content, Headers, Record, tame};
pub use scope::{Scope, is_for_dead_letters};
pub use send::{Removed, Sent};
pub use session::Session;
pub use storefront_contract::Cause;
pub use topics::{Broker, Cluster, Topic, TopicPartition};
pub use words::{cart, summary};
