//! Work that goes on when whoever waits for it goes away. As long as they wait it runs as a part of them,
//! which saves the two switches that a task of its own costs.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use storefront_runtime::{TraceContext, trace};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Dropped before its end, it becomes a task, in the trace and the span in which it was dropped.
pub struct SeenThrough<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// Empty once it has ended.
    work: Option<Pin<Box<F>>>,
    tasks: TaskTracker,
    runtime: Handle,
}

impl<F> SeenThrough<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// `tasks` counts it once it is a task.
    pub fn new(work: F, tasks: &TaskTracker) -> Self {
        Self { work: Some(Box::pin(work)), tasks: tasks.clone(), runtime: Handle::current() }
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
            let context = trace::current().unwrap_or_else(TraceContext::new_root);
            let work = trace::scope(context, work).in_current_span();
            self.tasks.spawn_on(work, &self.runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_answers() {
        assert_eq!(SeenThrough::new(async { 7 }, &TaskTracker::new()).await, 7);
    }

    #[tokio::test]
    async fn what_was_begun_ends_though_nobody_waits() {
        let gate = Arc::new(Semaphore::new(0));
        let (ended, wait) = oneshot::channel();
        let tasks = TaskTracker::new();
        let work = {
            let (gate, tasks) = (Arc::clone(&gate), tasks.clone());
            async move {
                let work = async move {
                    gate.acquire().await.unwrap().forget();
                    ended.send(trace::current()).unwrap();
                };
                SeenThrough::new(work, &tasks).await;
            }
        };
        let context = TraceContext::new_root();
        let gone = tokio::time::timeout(Duration::ZERO, trace::scope(context, work)).await;
        assert!(gone.is_err());
        assert_eq!(tasks.len(), 1);
        gate.add_permits(1);
        assert_eq!(wait.await.unwrap(), Some(context), "it belongs to the same trace");
        tasks.close();
        tasks.wait().await;
    }
}
