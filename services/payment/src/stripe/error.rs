//! What can go wrong with a call to Stripe, sorted by what the caller can do.

use std::time::Duration;

use crate::key::KeyError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failed call. Texts hold Stripe's words for programs only: its messages may quote what a shopper
/// typed.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    #[error("Stripe cannot be asked")]
    Key(#[source] KeyError),
    #[error("Stripe could not be reached")]
    Connection(#[source] BoxError),
    #[error("Stripe did not answer in time")]
    Timeout,
    #[error("too many calls to Stripe are under way")]
    Busy,
    #[error("Stripe refused with status {status} ({code}, request {request_id})")]
    Refused {
        status: u16,
        /// Stripe's `code`, else its `type`, else `unknown`.
        code: String,
        /// The parameter at fault, or empty.
        param: String,
        /// Stripe's name of the call, for its support.
        request_id: String,
        retry_after: Option<Duration>,
    },
    /// The idempotency key leads nowhere any more: the answer it stands for is a failure, or belongs
    /// to other parameters. The same call may be tried with another key.
    #[error("the idempotency key is spent (status {status}, request {request_id})")]
    KeySpent { status: u16, request_id: String },
    #[error("Stripe's answer cannot be read")]
    Malformed(#[source] BoxError),
}

impl StripeError {
    /// The object does not exist in this account and mode.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
            || matches!(self, Self::Refused { status: 400, code, .. } if code == "resource_missing")
    }

    /// The request itself is at fault: the same one never succeeds.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 402 | 404 | 405 | 413 | 422, .. })
    }

    /// The key is at fault: another one, put into the file, heals it.
    pub fn is_of_the_key(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    /// Stripe's word for what is wrong.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => self.reason(),
        }
    }

    /// When Stripe wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A fixed word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Connection(_) => "connection",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Refused { status: 401 | 403, .. } => "unauthorized",
            Self::Refused { status: 404, .. } => "missing",
            Self::Refused { status: 409, .. } => "conflict",
            Self::Refused { status: 429, .. } => "rate-limited",
            Self::Refused { status: 500.., .. } => "server-error",
            Self::Refused { .. } => "refused",
            Self::KeySpent { .. } => "key-spent",
            Self::Malformed(_) => "malformed",
        }
    }
}
