//! Work that goes on when whoever waits for it goes away. As long as they wait it runs as a part of them,
//! which saves the two switches that a task of its own costs.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::runtime::Handle;

/// Dropped before its end, it becomes a task.
pub struct SeenThrough<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// Empty once it has ended.
    work: Option<Pin<Box<F>>>,
    runtime: Handle,
}

impl<F> SeenThrough<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    pub fn new(work: F) -> Self {
        Self { work: Some(Box::pin(work)), runtime: Handle::current() }
    }
}

impl<F> Future for SeenThrough<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let output = ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(output)
    }
}

impl<F> Drop for SeenThrough<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_answers() {
        assert_eq!(SeenThrough::new(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn what_was_begun_ends_though_nobody_waits() {
        let gate = Arc::new(Semaphore::new(0));
        let (ended, wait) = oneshot::channel();
        let work = SeenThrough::new({
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                ended.send(()).unwrap();
            }
        });
        let gone = tokio::time::timeout(std::time::Duration::ZERO, work).await;
        assert!(gone.is_err());
        gate.add_permits(1);
        wait.await.unwrap();
    }
}
