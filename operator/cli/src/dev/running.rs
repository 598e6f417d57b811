//! The parts of a shop that run as tasks, and the order in which they stop.

use std::{process, time::Duration};

use futures_util::future::{BoxFuture, select_all};
use storefront_runtime::Shutdown;
use tokio::task::{JoinError, JoinHandle};

use super::{DevError, error::Cause};

/// How long parts of one stage may take to stop, before they are cut off.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Exit code of a process that was interrupted: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// When a part stops: those that take in work go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    FrontDoor,
    Service,
    StandIn,
}

/// One part that runs.
struct Part {
    name: String,
    stage: Stage,
    shutdown: Shutdown,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Everything that runs.
#[derive(Default)]
pub struct Running {
    parts: Vec<Part>,
}

impl Running {
    /// Starts a part. `run` gets the token that asks it to stop.
    pub fn start(
        &mut self,
        name: &str,
        stage: Stage,
        run: impl FnOnce(Shutdown) -> BoxFuture<'static, anyhow::Result<()>>,
    ) {
        let shutdown = Shutdown::new();
        let task = tokio::spawn(run(shutdown.clone()));
        self.parts.push(Part { name: name.to_owned(), stage, shutdown, task });
    }

    /// Until a part ends, which it should not, or `stop` is asked for.
    pub async fn wait(&mut self, stop: &Shutdown) -> Result<(), DevError> {
        if self.parts.is_empty() {
            stop.cancelled().await;
            return Ok(());
        }
        let tasks = self.parts.iter_mut().map(|part| &mut part.task);
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            (result, index, _) = select_all(tasks) => {
                let part = self.parts.swap_remove(index);
                Err(ended(part.name, result))
            }
        }
    }

    /// Stops every part: the front door, then the services together, then the stand-ins.
    pub async fn stop(mut self) {
        self.parts.sort_by_key(|part| part.stage);
        while let Some(stage) = self.parts.first().map(|part| part.stage) {
            let later = self.parts.partition_point(|part| part.stage == stage);
            let rest = self.parts.split_off(later);
            for part in &self.parts {
                part.shutdown.cancel();
            }
            let deadline = tokio::time::Instant::now() + STOP_LIMIT;
            for part in std::mem::replace(&mut self.parts, rest) {
                stop_part(part, deadline).await;
            }
        }
    }
}

async fn stop_part(part: Part, deadline: tokio::time::Instant) {
    let Part { name, mut task, .. } = part;
    match tokio::time::timeout_at(deadline, &mut task).await {
        Ok(Ok(Ok(()))) => {}
        Ok(result) => {
            let error = ended(name, result);
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a part did not stop cleanly"
            );
        }
        Err(_) => {
            tracing::error!(part = name, "not stopped within {} s, cut off", STOP_LIMIT.as_secs());
            task.abort();
        }
    }
}

fn ended(name: String, result: Result<anyhow::Result<()>, JoinError>) -> DevError {
    match result {
        Ok(Ok(())) => DevError::Ended { name },
        Ok(Err(error)) => DevError::Stopped { name, source: Cause(error) },
        Err(panic) => DevError::Stopped { name, source: Cause(panic.into()) },
    }
}

/// Cancelled by the first Ctrl-C or SIGTERM. A second Ctrl-C ends the process at once: whoever sends
/// it does not want to wait.
pub fn stop_signal() -> Shutdown {
    let stop = storefront_runtime::shutdown_signal();
    let stopping = stop.clone();
    tokio::spawn(async move {
        stopping.cancelled().await;
        if tokio::signal::ctrl_c().await.is_ok() {
            process::exit(INTERRUPTED);
        }
    });
    stop
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn parts_stop_in_order_from_the_front_door_on() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut running = Running::default();
        for (name, stage) in
            [("sandbox", Stage::StandIn), ("order", Stage::Service), ("gateway", Stage::FrontDoor)]
        {
            let order = Arc::clone(&order);
            running.start(name, stage, move |shutdown| {
                Box::pin(async move {
                    shutdown.cancelled().await;
                    order.lock().unwrap().push(name);
                    Ok(())
                })
            });
        }
        let stop = Shutdown::new();
        stop.cancel();
        running.wait(&stop).await.unwrap();
        running.stop().await;
        assert_eq!(*order.lock().unwrap(), ["gateway", "order", "sandbox"]);
    }

    #[tokio::test]
    async fn a_part_that_ends_is_named_with_its_cause() {
        let mut running = Running::default();
        running.start("gateway", Stage::FrontDoor, |shutdown| {
            Box::pin(async move {
                shutdown.cancelled().await;
                Ok(())
            })
        });
        running.start("order", Stage::Service, |_| {
            Box::pin(async { Err(anyhow::anyhow!("disk full").context("cannot store")) })
        });
        let error = anyhow::Error::from(running.wait(&Shutdown::new()).await.unwrap_err());
        let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
        assert_eq!(chain, ["order stopped", "cannot store", "disk full"]);
        running.stop().await;
    }
}
