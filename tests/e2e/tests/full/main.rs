//! What takes long, and is asked for: `make e2e-full`. As in `tests/cluster`, one file a behaviour.

mod keys;
mod namespace;
mod outage;
mod policies;
mod scale;
mod secrets;
mod topics;
