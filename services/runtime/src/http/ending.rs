//! How the connections of a server end: asked to when the server drains, cut off when it must stop.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::Shutdown;

/// A moment that many connections wait for. Unlike a token's, its state is read without a lock, and
/// each connection is told once: connections are polled far too often to ask a shared list each time.
#[derive(Clone, Debug, Default)]
struct Moment {
    come: Arc<AtomicBool>,
    wake: Shutdown,
}

impl Moment {
    fn now(&self) {
        self.come.store(true, Ordering::Release);
        self.wake.cancel();
    }

    fn has_come(&self) -> bool {
        self.come.load(Ordering::Acquire)
    }
}

/// The two moments at which connections end.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending {
    drain: Moment,
    cut_off: Moment,
}

impl Ending {
    /// Connections finish what they are answering and take nothing more.
    pub(super) fn drain(&self) {
        self.drain.now();
    }

    /// Connections end where they are.
    pub(super) fn cut_off(&self) {
        self.cut_off.now();
    }

    /// Runs `connection` to its end. `finish` is called once, at the moment of draining. `None` when
    /// it was cut off.
    pub(super) async fn run<C: Future>(
        self,
        connection: C,
        finish: impl FnOnce(Pin<&mut C>),
    ) -> Option<C::Output> {
        let mut connection = pin!(connection);
        let (mut drain, mut cut_off) =
            (pin!(self.drain.wake.cancelled()), pin!(self.cut_off.wake.cancelled()));
        let mut finish = Some(finish);
        let mut told = false;
        poll_fn(|cx| {
            if !told {
                // Once is enough: the task that runs a connection stays the same.
                let _ = (drain.as_mut().poll(cx), cut_off.as_mut().poll(cx));
                told = true;
            }
            if self.cut_off.has_come() {
                return std::task::Poll::Ready(None);
            }
            if self.drain.has_come()
                && let Some(finish) = finish.take()
            {
                finish(connection.as_mut());
            }
            connection.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
