//! The embedded broker as clients and its owner see it.
#![cfg(feature = "embedded")]

mod client;
mod in_process;
mod process;
