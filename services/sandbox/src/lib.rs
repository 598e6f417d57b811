//! A stand-in for Stripe and a mail inbox, for development, tests and demos. It behaves as the real
//! ones do where a shop can notice, keeps a durable ledger that tests compare with, and refuses to
//! work beside a live key. No money and no mail ever leaves it.

// Stripe's objects have more fields than `json!` may nest by default.
#![recursion_limit = "256"]

mod about;
mod checkout;
mod clock;
mod config;
mod control;
mod expiry;
mod faults;
mod html;
mod ids;
mod keys;
mod ledger;
mod mail;
mod payment;
mod problem;
mod sandbox;
mod session;
mod settings;
mod smtp;
mod store;
mod stripe;
mod webhook;

pub use config::SandboxConfig;
pub use faults::{
    ApiFault, ApiHow, Delayed, FaultSettings, SmtpFault, SmtpHow, SmtpStage, WebhookFault,
};
pub use ledger::LedgerError;
pub use mail::{Address, Envelope, Summary, message::Message};
pub use payment::{Card, ChargeState, Payer, Payment, Refusal};
pub use sandbox::{Sandbox, SandboxOptions, run};
pub use session::{Act, Action, Conflict, Line, Session, State};
pub use settings::{SandboxSettings, StartError};
pub use smtp::Limits as SmtpLimits;
pub use store::{DeliveryCounts, StoreError};
pub use stripe::API_VERSION;
pub use webhook::signature::{OLD_SECRET as OLD_WEBHOOK_SECRET, header as webhook_signature};
