//! Opens to `tests/properties` how a record becomes an event, and an event a record.

pub use crate::{
    consumer::decode::{Content, Decoded, Raw, Reader, decode},
    handler::Sender,
    store::{
        headers::{Headers, decode as decode_headers, encode as encode_headers},
        inbox::Identity,
        outbox::Message,
        parked::OrderKey,
    },
};
