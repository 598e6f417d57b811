//! The gateway between raw sockets.

mod bad_input;
mod failures;
mod proxying;
mod support;
