//! One cart, as a browser buys it: whatever is in the way is tried again with the same idempotency key, until it works.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use http::Request;
use serde_json::json;
use storefront_testkit::Reply;

use crate::{
    load::Crowd,
    options::Stack,
    world::{self, World},
};

/// Between two attempts, as a page waits.
const PAUSE: Duration = Duration::from_millis(300);
/// Nobody waits longer; the shop is to be back long before.
const LIMIT: Duration = Duration::from_secs(240);

/// What a shopper does after the checkout page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Comes back to the success page, and waits until it thanks.
    Returns,
    /// Pays, and closes the browser: only webhooks and the sweeper bring the news.
    Leaves,
    /// Does not pay.
    Abandons,
}

impl Manner {
    /// Of the cart with that number, the same in each run of a seed.
    pub fn of(seed: u64, number: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ (number as u64).wrapping_mul(0x9e37_79b9));
        match random.u8(..100) {
            0..3 => Self::Abandons,
            3..40 => Self::Leaves,
            _ => Self::Returns,
        }
    }
}

/// What came of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// Among all that were begun.
    pub place: usize,
    /// Of the cart.
    pub number: usize,
    pub user: String,
    pub session: String,
    pub manner: Manner,
}

/// One cart, to its end.
pub struct Shopper<'a> {
    pub world: &'a World,
    /// Counts.
    pub crowd: &'a Crowd,
    /// Node's shop knows a cart by its user alone: there each cart has one of its own.
    pub stack: Stack,
    pub user: String,
    pub place: usize,
    pub number: usize,
    pub manner: Manner,
}

impl Shopper<'_> {
    /// Buys; fails when the shop answers what a browser does not try again, or nothing for too long.
    pub async fn buy(self) -> Result<Purchase> {
        let buying = async {
            let session = self.check_out().await?;
            if self.manner != Manner::Abandons {
                self.pay(&session).await?;
            }
            if self.manner == Manner::Returns {
                self.come_back(&session).await?;
            }
            anyhow::Ok(session)
        };
        let session = tokio::time::timeout(LIMIT, buying)
            .await
            .with_context(|| format!("still not served after {LIMIT:?}"))
            .and_then(|bought| bought)
            .with_context(|| format!("cart {} of {}", self.number, self.user))?;
        let Self { user, place, number, manner, .. } = self;
        Ok(Purchase { place, number, user, session, manner })
    }

    async fn check_out(&self) -> Result<String> {
        let body = json!({
            "userId": self.user,
            "email": format!("{}@example.com", self.user),
            "cart": world::cart(self.number, self.stack),
        });
        loop {
            let request = Request::post(format!("{}/payment", self.world.public))
                .header("content-type", "application/json")
                .header("idempotency-key", format!("cart-{}", self.number))
                .body(body.to_string().into_bytes().into())?;
            if let Some(reply) = self.taken(self.world.http.send(request).await)? {
                let answer = reply.json()?;
                self.crowd.was_given_a_page();
                return Ok(answer["id"].as_str().context("no session's id")?.to_owned());
            }
            self.pause().await;
        }
    }

    /// At the stand-in, which nothing happens to.
    async fn pay(&self, session: &str) -> Result<()> {
        let url = format!("{}/control/sessions/{session}/pay", self.world.stripe);
        let began = Instant::now();
        loop {
            match self.world.http.post(&url).await {
                // 409: an earlier attempt was heard, and its answer was not.
                Ok(reply) => {
                    ensure!(matches!(reply.status, 200 | 409), "paying: {}", reply.text());
                    return Ok(());
                }
                Err(error) if began.elapsed() > LIMIT => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The success page asks until the payment was heard of.
    async fn come_back(&self, session: &str) -> Result<()> {
        let url = format!("{}/payment/verify?session_id={session}", self.world.public);
        loop {
            match self.taken(self.world.http.get(&url).await)? {
                Some(reply) if reply.json()?["status"] == "paid" => return Ok(()),
                // Not yet heard of: the page looks again by itself.
                Some(_) => tokio::time::sleep(PAUSE).await,
                None => self.pause().await,
            }
        }
    }

    async fn pause(&self) {
        self.crowd.asks_again();
        tokio::time::sleep(PAUSE).await;
    }

    /// The answer, or nothing when a browser would ask again: no answer at all, or patience asked for.
    fn taken(&self, answer: Result<Reply>) -> Result<Option<Reply>> {
        match answer {
            Ok(reply) if reply.status == 200 => Ok(Some(reply)),
            // Of 500 the body says why; a shop whose database is away says 503.
            Ok(reply) if matches!(reply.status, 408 | 409 | 429 | 502..=504) => Ok(None),
            // A page that says nothing of it: people reload it.
            Ok(_) if self.stack == Stack::Node => Ok(None),
            Ok(reply) => bail!("answered {}: {}", reply.status, reply.text()),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shoppers_are_the_same_in_each_run_of_a_seed() {
        let all = |seed| (0..1_000).map(|number| Manner::of(seed, number)).collect::<Vec<_>>();
        assert_eq!(all(7), all(7));
        assert_ne!(all(7), all(8));
        let returns = all(7).iter().filter(|manner| **manner == Manner::Returns).count();
        assert!((500..700).contains(&returns), "{returns}");
    }
}
