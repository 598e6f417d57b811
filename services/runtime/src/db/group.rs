//! Many callers' rows in one statement. While one statement is under way, whoever comes gathers, and what has
//! gathered is the next one's: at rest nobody waits for anybody, and under load the round trip, the commit and
//! the work of the driver are shared. Knows nothing of databases but that a statement can fail.

use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep},
};

use super::error::{DatabaseError, Kind};

/// Most callers of one statement: its parameters stay small, and nobody waits for a large one.
const GROUP_MAX: usize = 64;
/// After this time nobody waits for the statement under way any more: its connection may be one of those that are
/// dead without a word. Those who have gathered go on another one.
const PATIENCE: Duration = Duration::from_millis(20);

type Run<T, R> = Box<dyn Fn(Vec<T>) -> Answers<R> + Send + Sync>;
/// One answer for each item, in their order.
type Answers<R> = Pin<Box<dyn Future<Output = Result<Vec<R>, DatabaseError>> + Send>>;
type Answer<R> = Result<Option<R>, DatabaseError>;

/// A statement that takes what several callers bring. Clones share what has gathered.
pub struct Group<T, R>(Arc<Inner<T, R>>);

struct Inner<T, R> {
    run: Run<T, R>,
    gathered: Mutex<Gathered<T, R>>,
}

struct Gathered<T, R> {
    waiting: Vec<(T, oneshot::Sender<Answer<R>>)>,
    /// Somebody takes what gathers, as soon as the statement before has ended.
    served: bool,
}

impl<T, R> Clone for Group<T, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, R> Group<T, R>
where
    T: Send + 'static,
    R: Send + 'static,
{
    /// `run` answers each item, in their order.
    pub fn new(run: impl Fn(Vec<T>) -> Answers<R> + Send + Sync + 'static) -> Self {
        let gathered = Mutex::new(Gathered { waiting: Vec::new(), served: false });
        Self(Arc::new(Inner { run: Box::new(run), gathered }))
    }

    /// Has an item taken with those of others. `None`: what the statement was given was refused, and this item
    /// need not be the reason, so that each has to be tried alone.
    ///
    /// A caller that goes away meanwhile leaves its item: it is taken all the same.
    pub async fn take(&self, item: T) -> Answer<R> {
        let (sender, receiver) = oneshot::channel();
        let serve = {
            let mut gathered = self.0.lock();
            gathered.waiting.push((item, sender));
            !mem::replace(&mut gathered.served, true)
        };
        if serve {
            tokio::spawn(Arc::clone(&self.0).serve());
        }
        // Without an answer, `run` has panicked.
        receiver.await.unwrap_or(Ok(None))
    }
}

/// The part of the one who serves. When it is dropped, be it that `run` has panicked, the next one takes it.
struct Serving<T, R>(Arc<Inner<T, R>>)
where
    T: Send + 'static,
    R: Send + 'static;

impl<T, R> Drop for Serving<T, R>
where
    T: Send + 'static,
    R: Send + 'static,
{
    fn drop(&mut self) {
        let mut gathered = self.0.lock();
        // Nobody waits: whoever comes next serves. Or the program ends.
        match Handle::try_current() {
            Ok(runtime) if !gathered.waiting.is_empty() => {
                runtime.spawn(Arc::clone(&self.0).serve());
            }
            _ => gathered.served = false,
        }
    }
}

impl<T, R> Inner<T, R>
where
    T: Send + 'static,
    R: Send + 'static,
{
    fn lock(&self) -> MutexGuard<'_, Gathered<T, R>> {
        // Nothing here can panic half-way through a change.
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Vec<(T, oneshot::Sender<Answer<R>>)> {
        let mut gathered = self.lock();
        let count = gathered.waiting.len().min(GROUP_MAX);
        gathered.waiting.drain(..count).collect()
    }

    /// Statement after statement, until nobody waits, or until one takes too long: then another one serves.
    async fn serve(self: Arc<Self>) {
        let serving = Serving(Arc::clone(&self));
        let mut patience = pin!(sleep(PATIENCE));
        loop {
            let group = self.next();
            if group.is_empty() {
                return;
            }
            let (items, senders): (Vec<T>, Vec<_>) = group.into_iter().unzip();
            let mut running = (self.run)(items);
            patience.as_mut().reset(Instant::now() + PATIENCE);
            tokio::select! {
                biased;
                answers = &mut running => answer(senders, answers),
                () = &mut patience => {
                    drop(serving);
                    return answer(senders, running.await);
                }
            }
        }
    }
}

/// Who has gone away needs no answer.
fn answer<R>(senders: Vec<oneshot::Sender<Answer<R>>>, answers: Result<Vec<R>, DatabaseError>) {
    match answers {
        Ok(answers) => {
            for (sender, answer) in senders.into_iter().zip(answers) {
                let _ = sender.send(Ok(Some(answer)));
            }
        }
        Err(error) if matches!(error.kind(), Kind::Data | Kind::Broken) => {
            for sender in senders {
                let _ = sender.send(Ok(None));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for sender in senders {
                let _ = sender.send(Err(DatabaseError::Shared(Arc::clone(&error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    /// Answers each number with how many came with it, one permit a statement.
    fn counting(permits: &Arc<Semaphore>, refused: Option<Kind>) -> Group<u32, usize> {
        let permits = Arc::clone(permits);
        Group::new(move |items: Vec<u32>| {
            let permits = Arc::clone(&permits);
            Box::pin(async move {
                permits.acquire().await.unwrap().forget();
                match refused.filter(|_| items.contains(&13)) {
                    Some(kind) => Err(DatabaseError::Aborted { kind }),
                    None => Ok(vec![items.len(); items.len()]),
                }
            })
        })
    }

    async fn gathered(group: &Group<u32, usize>) -> usize {
        tokio::task::yield_now().await;
        group.0.lock().waiting.len()
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_are_the_next_group() {
        let permits = Arc::new(Semaphore::new(0));
        let group = counting(&permits, None);
        let first = tokio::spawn({
            let group = group.clone();
            async move { group.take(0).await.unwrap() }
        });
        assert_eq!(gathered(&group).await, 0, "nobody waits when nothing is under way");
        let others: Vec<_> = (1..=5)
            .map(|item| {
                let group = group.clone();
                tokio::spawn(async move { group.take(item).await.unwrap() })
            })
            .collect();
        assert_eq!(gathered(&group).await, 5);
        permits.add_permits(2);
        assert_eq!(first.await.unwrap(), Some(1));
        for other in others {
            assert_eq!(other.await.unwrap(), Some(5));
        }
        assert!(!group.0.lock().served);
    }

    #[tokio::test]
    async fn a_statement_that_hangs_holds_up_nobody_else() {
        let permits = Arc::new(Semaphore::new(0));
        let group = counting(&permits, None);
        let tasks: Vec<_> = (0..3)
            .map(|item| {
                let group = group.clone();
                tokio::spawn(async move { group.take(item).await.unwrap() })
            })
            .collect();
        assert_eq!(gathered(&group).await, 0, "all three came before anything ran");
        let late = tokio::spawn({
            let group = group.clone();
            async move { group.take(4).await.unwrap() }
        });
        assert_eq!(gathered(&group).await, 1);
        let in_another = async {
            while gathered(&group).await > 0 {
                tokio::time::sleep(PATIENCE / 20).await;
            }
        };
        tokio::time::timeout(PATIENCE * 500, in_another).await.unwrap();
        permits.add_permits(2);
        assert_eq!(late.await.unwrap(), Some(1));
        for task in tasks {
            assert_eq!(task.await.unwrap(), Some(3));
        }
    }

    #[tokio::test]
    async fn one_that_is_refused_is_found_alone_and_an_absent_database_is_told_to_all() {
        let answers = async |kind| {
            let group = counting(&Arc::new(Semaphore::new(9)), Some(kind));
            let (one, other) = tokio::join!(group.take(1), group.take(13));
            (one.map_err(|error| error.kind()), other.map_err(|error| error.kind()))
        };
        assert_eq!(answers(Kind::Data).await, (Ok(None), Ok(None)));
        let away = Kind::Unavailable;
        assert_eq!(answers(away).await, (Err(away), Err(away)));
    }

    #[tokio::test]
    async fn after_a_panic_it_goes_on() {
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let group = Group::<u32, u32>::new(move |items| {
            let gate = Arc::clone(&gate);
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                assert!(!items.contains(&13), "a bug");
                Ok(items)
            })
        });
        let take = |item| {
            let group = group.clone();
            tokio::spawn(async move { group.take(item).await.unwrap() })
        };
        let unlucky = take(13);
        tokio::task::yield_now().await;
        // This one waits for the statement that will panic.
        let next = take(1);
        tokio::task::yield_now().await;
        opened.add_permits(3);
        assert_eq!(unlucky.await.unwrap(), None);
        assert_eq!(next.await.unwrap(), Some(1));
        assert_eq!(take(2).await.unwrap(), Some(2));
    }
}
