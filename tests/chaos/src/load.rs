//! Carts at a set rate. A shopper buys one after the other, so that their order is known: who waits for the shop comes later with
//! the next cart, and all others come in time.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    task::{JoinError, JoinSet},
    time::Instant,
};

use crate::{
    options::{Options, Stack},
    shopper::{Manner, Purchase, Shopper},
    world::World,
};

/// How far the shoppers are.
#[derive(Default)]
pub struct Crowd {
    begun: AtomicUsize,
    done: AtomicUsize,
    checkouts: AtomicUsize,
    asked_again: AtomicUsize,
    longest_ms: AtomicU32,
    is_enough: AtomicBool,
    is_over: AtomicBool,
}

impl Crowd {
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// How many were given a page to pay on.
    pub fn checkouts(&self) -> usize {
        self.checkouts.load(Ordering::Relaxed)
    }

    pub fn was_given_a_page(&self) {
        self.checkouts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often somebody had to ask again.
    pub fn asked_again(&self) -> usize {
        self.asked_again.load(Ordering::Relaxed)
    }

    pub fn asks_again(&self) {
        self.asked_again.fetch_add(1, Ordering::Relaxed);
    }

    /// Until the slowest of them had what they came for.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed).into())
    }

    /// Nobody comes in any more.
    pub fn enough(&self) {
        self.is_enough.store(true, Ordering::SeqCst);
    }

    fn is_enough(&self) -> bool {
        self.is_enough.load(Ordering::SeqCst)
    }

    /// Whether the last one has left.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

/// What came of all carts.
#[derive(Debug, Default)]
pub struct Bought {
    /// Of each shopper, in the order in which they bought.
    pub by_user: BTreeMap<String, Vec<Purchase>>,
    /// Shoppers who were not served, in words.
    pub failed: Vec<String>,
}

impl Bought {
    pub fn purchases(&self) -> impl Iterator<Item = &Purchase> {
        self.by_user.values().flatten()
    }
}

pub fn user(number: usize) -> String {
    format!("user-{number}")
}

/// Lets all shoppers in, and waits for the last.
pub async fn shop(world: &World, options: &Options, crowd: &Arc<Crowd>) -> Bought {
    let users = options.users();
    let turns: Vec<Arc<Mutex<()>>> = (0..users).map(|_| Arc::default()).collect();
    let pause = Duration::from_secs(1) / options.rate;
    let (mut next, mut random) = (Instant::now(), fastrand::Rng::with_seed(options.seed));
    let mut tasks = JoinSet::new();
    let mut bought = Bought::default();
    for number in 0..options.carts() as usize {
        tokio::time::sleep_until(next).await;
        if crowd.is_enough() {
            break;
        }
        next += pause;
        let is_regular = random.u8(..5) == 0;
        let who = random.usize(..if is_regular { options.regulars() } else { users });
        let (world, crowd, seed) = (world.clone(), Arc::clone(crowd), options.seed);
        let stack = options.shop;
        let turn = Arc::clone(&turns[who]).lock_owned();
        tasks.spawn(async move {
            let _turn = turn.await;
            if crowd.is_enough() {
                return None;
            }
            // Tasks do not come to their turn in the order in which they were begun: the order that counts is this one.
            let place = crowd.begun.fetch_add(1, Ordering::SeqCst);
            let manner = Manner::of(seed, number);
            let (world, crowd) = (&world, &*crowd);
            let user = match stack {
                Stack::Storefront => user(who),
                Stack::Node => format!("{}.{number}", user(who)),
            };
            let shopper = Shopper { world, crowd, stack, user, place, number, manner };
            let came = Instant::now();
            let purchase = shopper.buy().await;
            let took_ms = u32::try_from(came.elapsed().as_millis()).unwrap_or(u32::MAX);
            crowd.longest_ms.fetch_max(took_ms, Ordering::Relaxed);
            crowd.done.fetch_add(1, Ordering::Relaxed);
            Some(purchase)
        });
        while let Some(ended) = tasks.try_join_next() {
            bought.note(ended);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        bought.note(ended);
    }
    for purchases in bought.by_user.values_mut() {
        purchases.sort_by_key(|purchase| purchase.place);
    }
    crowd.is_over.store(true, Ordering::SeqCst);
    bought
}

impl Bought {
    fn note(&mut self, ended: Result<Option<anyhow::Result<Purchase>>, JoinError>) {
        match ended {
            // Came too late to be let in.
            Ok(None) => {}
            Ok(Some(Ok(purchase))) => {
                self.by_user.entry(purchase.user.clone()).or_default().push(purchase);
            }
            Ok(Some(Err(error))) => self.failed.push(format!("{error:#}")),
            Err(error) => self.failed.push(error.to_string()),
        }
    }
}
