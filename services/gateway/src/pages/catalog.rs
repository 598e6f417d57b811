//! What the shop sells, as payment says it: asked for again when it is a second old, and kept for a
//! minute when payment is away for a moment.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use storefront_contract::Currency;
use tokio::{sync::Mutex, time::Instant};

use super::{
    ask::{AskError, Services},
    assets::Document,
};

/// How long an answer is good without asking again.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long the last answer is shown while payment cannot be asked.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How long a page waits for payment.
const ASK_LIMIT: Duration = Duration::from_millis(1_500);
/// After a failure nobody waits again for this long.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What the page needs of `GET /catalog`. Unlike payment's own file it may have more.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Catalog {
    pub currency: Currency,
    pub products: Vec<Product>,
}

/// One product.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub price: i64,
    pub image: Option<String>,
}

/// The catalog and the page made of it.
#[derive(Debug)]
pub struct Stock {
    pub catalog: Catalog,
    /// The cart page as most shoppers get it; made when first asked for.
    pub page: OnceLock<Document>,
}

/// The last answer of payment.
#[derive(Debug, Default)]
pub struct Shelf {
    last: Mutex<Last>,
    /// Only a change is worth a line in the log.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Last {
    stock: Option<(Arc<Stock>, Instant)>,
    failed: Option<Instant>,
}

impl Shelf {
    /// What is sold now, or was a moment ago; `None` while payment is away. Pages wait for one
    /// question, not for one each.
    pub async fn stock(&self, services: Services<'_>, newest: bool) -> Option<Arc<Stock>> {
        let began = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((stock, at)) = &last.stock {
            // An answer that came while this page waited is as new as can be.
            let fresh = if newest { *at >= began } else { at.elapsed() < FRESH_FOR };
            if fresh {
                return Some(stock.clone());
            }
        }
        if last.failed.is_none_or(|failed| failed.elapsed() >= ASK_AGAIN_AFTER) {
            match services.ask::<Catalog>("/catalog", "", ASK_LIMIT).await {
                Ok(catalog) => return Some(self.put(&mut last, catalog)),
                Err(error) => {
                    last.failed = Some(Instant::now());
                    self.report(&error);
                }
            }
        }
        let (stock, at) = last.stock.as_ref()?;
        (at.elapsed() < KEPT_FOR).then(|| stock.clone())
    }

    fn put(&self, last: &mut Last, catalog: Catalog) -> Arc<Stock> {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the catalog can be shown again");
        }
        last.failed = None;
        let same = last.stock.take().filter(|(stock, _)| stock.catalog == catalog);
        let stock = same
            .map_or_else(|| Arc::new(Stock { catalog, page: OnceLock::new() }), |(stock, _)| stock);
        last.stock = Some((stock.clone(), Instant::now()));
        stock
    }

    fn report(&self, error: &AskError) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let reason = error.reason();
            let error = error as &dyn std::error::Error;
            tracing::warn!(reason, error, "the catalog cannot be asked for");
        }
    }
}
