//! A shopper who does not give up: each step is tried again until it works, as a browser would that meets a shop which is just being
//! started again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::Site;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// How much of a purchase a shopper sees of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shopper {
    /// Asks the success page's question until the payment is heard of.
    Returns,
    /// Opens the success page itself, until it says so.
    Looks,
    /// Closes the browser after paying.
    Leaves,
}

impl Shopper {
    /// One cart from the shop's page to its payment; its session.
    pub async fn buy(self, site: &Site, number: usize, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        let mut open = None;
        loop {
            match self.attempt(site, number, &mut open).await {
                Ok(session) => return Ok(session),
                // Killed in the middle, or not up again yet.
                Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.context(format!("cart {number}, {limit:?} later"))),
            }
        }
    }

    async fn attempt(
        self,
        site: &Site,
        number: usize,
        open: &mut Option<String>,
    ) -> Result<String> {
        let session = if let Some(session) = &open {
            session.clone()
        } else {
            let (user, key) = (format!("user-{}", number % 20), format!("cart-{number}"));
            open.insert(site.checkout_of(&user, &key, 1 + number % 3).await?).clone()
        };
        let paid = site.act(&session, "pay").await?;
        // A second payment of a session is refused: the first was heard before the crash.
        ensure!(matches!(paid.status, 200..300 | 409), "{}", paid.text());
        match self {
            Self::Leaves => {}
            Self::Returns => {
                let verified = site.verify(&session).await?;
                ensure!(verified["status"] == "paid", "{verified}");
            }
            Self::Looks => {
                let page = site.gateway(&format!("/success?session_id={session}"));
                let page = site.http.get(page).await?.text();
                let order = site.verify(&session).await?;
                let order = order["orderId"].as_str().context("no order")?;
                if !page.contains(order) || !page.contains("Thank you") {
                    bail!("the page does not thank for order {order}: {page}");
                }
            }
        }
        Ok(session)
    }
}
