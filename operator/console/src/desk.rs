//! What the console holds while somebody looks: an open way to the brokers, and the last overview for
//! those who ask at the same moment. Both go when nobody looks any more.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use storefront_inspect::{InspectError, Session};
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::{ConsoleSettings, sales::Sales};

/// A session that was not used for so long is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(15);
/// Questions to the brokers at the same time: each takes a thread.
const QUESTIONS_MAX: usize = 4;
/// An overview is shared for so long: several windows cost what one does.
const SHARED_FOR: Duration = Duration::from_millis(900);

/// An overview and when it was made.
pub type Shared = Option<(Instant, Arc<Value>)>;

/// Shared by all requests.
pub struct Desk {
    pub settings: ConsoleSettings,
    pub sales: Sales,
    /// One replay after the other: the second one sees what the first has sent back.
    pub replays: AsyncMutex<()>,
    session: Mutex<Option<(Arc<Session>, Instant)>>,
    questions: Semaphore,
    overview: AsyncMutex<Shared>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("the console is stopping")]
    Stopping,
}

impl Desk {
    pub fn new(settings: ConsoleSettings) -> Self {
        Self {
            sales: Sales::new(settings.analytics.clone()),
            settings,
            replays: AsyncMutex::default(),
            session: Mutex::default(),
            questions: Semaphore::new(QUESTIONS_MAX),
            overview: AsyncMutex::default(),
        }
    }

    /// Asks the brokers, on a thread that may block.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Session, &ConsoleSettings) -> Result<T, InspectError> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let _place = self.questions.acquire().await.map_err(|_| Unanswered::Stopping)?;
        let desk = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let session = desk.session()?;
            let answer = question(&session, &desk.settings);
            if answer.as_ref().is_err_and(|error| error.reason() == "NoBroker") {
                // A new one finds brokers that have moved.
                desk.close();
            }
            answer
        });
        let answer = asked.await.map_err(|_| Unanswered::Stopping)?;
        Ok(answer?)
    }

    /// The overview, made by `make` unless one is as good as new.
    pub async fn overview<E>(
        &self,
        make: impl Future<Output = Result<Value, E>>,
    ) -> Result<Arc<Value>, E> {
        let mut shared = self.overview.lock().await;
        if let Some((made, value)) = shared.as_ref()
            && made.elapsed() < SHARED_FOR
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make.await?);
        *shared = Some((Instant::now(), Arc::clone(&value)));
        Ok(value)
    }

    fn session(self: &Arc<Self>) -> Result<Arc<Session>, InspectError> {
        let mut open = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((session, used)) = open.as_mut() {
            *used = Instant::now();
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.settings.connection.open()?);
        *open = Some((Arc::clone(&session), Instant::now()));
        self.close_when_idle();
        Ok(session)
    }

    /// Only runs while a session is open: a console without viewers does nothing at all.
    fn close_when_idle(self: &Arc<Self>) {
        let desk = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE_LIMIT).await;
                let Some(desk) = desk.upgrade() else { return };
                if desk.is_idle() {
                    // Closing waits for the client's threads.
                    let closed = tokio::task::spawn_blocking(move || desk.close()).await;
                    return closed.unwrap_or_default();
                }
            }
        });
    }

    fn is_idle(&self) -> bool {
        let open = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().is_none_or(|(_, used)| used.elapsed() >= IDLE_LIMIT)
    }

    fn close(&self) {
        let closed = self.session.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(closed);
    }
}
