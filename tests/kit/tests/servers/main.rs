//! The kit itself: servers that start, can be hurt, and never outlive the test process.

mod dev;
mod http;
mod kafka;
mod postgres;
mod up;
mod wait;
