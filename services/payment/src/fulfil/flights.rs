//! One question at a time about each session: whoever asks the same meanwhile shares the answer, if the
//! question was put after they came. An answer to an older question may be older than their news.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use crate::session_id::SessionId;

/// Questions under way. Bounded by the requests under way.
#[derive(Debug)]
pub struct Flights<T> {
    open: Mutex<HashMap<SessionId, Arc<Flight<T>>>>,
}

#[derive(Debug)]
struct Flight<T> {
    /// When the last question was put, and its answer.
    last: tokio::sync::Mutex<Option<(Instant, T)>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

impl<T: Clone> Flights<T> {
    /// Asks, or shares the answer of one who asked after this call began, if it `serves`: not everybody
    /// is content with the same.
    pub async fn ask<F: Future<Output = T>>(
        &self,
        id: &SessionId,
        serves: impl Fn(&T) -> bool,
        ask: impl FnOnce() -> F,
    ) -> T {
        let arrived = Instant::now();
        let seat = self.seat(id);
        let mut last = seat.flight.last.lock().await;
        if let Some((put, answer)) = &*last
            && *put >= arrived
            && serves(answer)
        {
            return answer.clone();
        }
        let put = Instant::now();
        let answer = ask().await;
        *last = Some((put, answer.clone()));
        answer
    }

    fn seat(&self, id: &SessionId) -> Seat<'_, T> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = open
            .entry(id.clone())
            .or_insert_with(|| Arc::new(Flight { last: tokio::sync::Mutex::new(None) }));
        Seat { flights: self, id: id.clone(), flight: flight.clone() }
    }
}

/// A place in a flight. The last one to leave forgets the flight, cancelled or not.
struct Seat<'a, T> {
    flights: &'a Flights<T>,
    id: SessionId,
    flight: Arc<Flight<T>>,
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut open = self.flights.open.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and ours: seats are only given out under this lock, so nobody is coming.
        if Arc::strong_count(&self.flight) == 2 {
            open.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn those_who_come_meanwhile_share_one_later_question() {
        let flights = Arc::new(Flights::<usize>::default());
        let id = SessionId::parse("cs_test_1").unwrap();
        let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let ask = || {
            let (flights, id) = (flights.clone(), id.clone());
            let (asked, gate) = (asked.clone(), gate.clone());
            tokio::spawn(async move {
                let question = || async {
                    let number = asked.fetch_add(1, Ordering::SeqCst);
                    gate.notified().await;
                    number
                };
                flights.ask(&id, |_| true, question).await
            })
        };
        let first = ask();
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..50).map(|_| ask()).collect();
        // All of them are in the flight before the first answer comes.
        while Arc::strong_count(flights.open.lock().unwrap().get(&id).unwrap()) < 52 {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        assert_eq!(first.await.unwrap(), 0);
        // The first question was put before they came, so they need one of their own: one for all.
        gate.notify_one();
        for other in others {
            assert_eq!(other.await.unwrap(), 1);
        }
        assert!(flights.open.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn one_who_gives_up_leaves_no_trace() {
        let flights = Flights::<()>::default();
        let id = SessionId::parse("cs_test_1").unwrap();
        let asking = flights.ask(&id, |()| true, std::future::pending);
        assert!(futures_util::FutureExt::now_or_never(asking).is_none());
        assert!(flights.open.lock().unwrap().is_empty());
        flights.ask(&id, |()| true, || async {}).await;
        assert!(flights.open.lock().unwrap().is_empty());
    }
    #[tokio::test]
    async fn an_answer_that_does_not_serve_is_not_shared() {
        let flights = Arc::new(Flights::<&str>::default());
        let id = SessionId::parse("cs_test_1").unwrap();
        let gate = Arc::new(Notify::new());
        let (first, blocked) = (flights.clone(), gate.clone());
        let first = async move {
            let id = SessionId::parse("cs_test_1").unwrap();
            let wait = || async move {
                blocked.notified().await;
                "first"
            };
            first.ask(&id, |_| true, wait).await
        };
        // All three come before the first answer; they are served in the order in which they came.
        let content = flights.ask(&id, |_| true, || async { "known" });
        let strict = flights.ask(&id, |answer| *answer != "known", || async { "fresh" });
        let open = async { gate.notify_one() };
        let (first, content, strict, ()) = tokio::join!(first, content, strict, open);
        assert_eq!((first, content, strict), ("first", "known", "fresh"));
    }
}
