//! A deadline that moves often and costs little: the runtime's timer is touched only when the
//! deadline comes nearer or has passed, not for every request.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// One lazy timer.
#[derive(Debug, Default)]
pub struct LazyTimer {
    sleep: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl LazyTimer {
    /// Ready once `deadline` has passed; else the task is woken then, or before that in vain.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let (sleep, armed) =
            self.sleep.get_or_insert_with(|| (Box::pin(sleep_until(deadline)), deadline));
        if deadline < *armed {
            sleep.as_mut().reset(deadline);
            *armed = deadline;
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
            *armed = deadline;
        }
        Poll::Pending
    }
}
