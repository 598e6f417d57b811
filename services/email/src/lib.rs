//! Confirmation mails, each sent once as far as SMTP allows.

pub mod address;
pub mod letter;
pub mod message;
mod policy;
pub mod smtp;
mod words;
