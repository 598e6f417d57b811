//! What the reader of a connection and the handler of its requests tell each other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

use super::Refusal;

/// The state of a connection's current request. One per connection, shared by the guard that reads
/// the socket and the handler; in the extensions of requests to axum routers.
#[derive(Clone, Debug, Default)]
pub struct Exchange(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Code of the [`Refusal`], 0 for none.
    refusal: AtomicU8,
    /// A request was read and its answer is not complete.
    busy: AtomicBool,
    /// The current request's body has not come whole.
    receiving: AtomicBool,
    /// Who waits for the answer to be complete.
    waiting: AtomicWaker,
}

impl Exchange {
    /// Why the current request was refused, if it was. Never taken back: a refused request is the
    /// last of its connection.
    pub fn refusal(&self) -> Option<Refusal> {
        Refusal::from_code(self.0.refusal.load(Ordering::Relaxed))
    }

    /// Whether the client still owes a part of its request's body.
    pub fn is_receiving(&self) -> bool {
        self.0.receiving.load(Ordering::Relaxed)
    }

    pub(super) fn set_receiving(&self, receiving: bool) {
        self.0.receiving.store(receiving, Ordering::Relaxed);
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.0.refusal.store(refusal as u8, Ordering::Relaxed);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.0.busy.load(Ordering::Acquire)
    }

    /// Ready when no answer is being given.
    pub(super) fn poll_idle(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.waiting.register(cx.waker());
        if self.is_busy() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Marks the connection as busy until the guard is dropped, with the answer's body.
    pub(super) fn begin(&self) -> Busy {
        self.0.busy.store(true, Ordering::Relaxed);
        Busy(self.clone())
    }
}

/// Ends the exchange when dropped.
#[derive(Debug)]
pub(super) struct Busy(Exchange);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.store(false, Ordering::Release);
        self.0.0.waiting.wake();
    }
}
