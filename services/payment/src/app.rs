//! What all of payment's doors share: one for each running service. What happens behind the doors is in
//! `create`, `fulfil`, `events` and `sweeper`.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use storefront_contract::{Shop, settings::PaymentSettings};
use storefront_runtime::{Database, Outbox, Service, TraceContext, http::panic_message, trace};
use tokio_util::task::TaskTracker;

use crate::{
    catalog::{CatalogFile, CatalogFileError},
    fulfil::Fulfilling,
    key::{KeyError, WebhookSecrets},
    metrics::Metrics,
    see_through::SeenThrough,
    store::{Cursor, Payments, StripeEvents},
    stripe::{CaError, Stripe, Transport},
};

/// Everything that a request or the sweeper needs.
pub struct App {
    pub shop: Shop,
    /// Where shoppers reach the shop, without a slash at its end.
    pub public_url: String,
    pub catalog: CatalogFile,
    pub stripe: Stripe,
    pub secrets: WebhookSecrets,
    pub tolerance_s: u64,
    pub payments: Payments,
    pub events: StripeEvents,
    pub cursor: Cursor,
    pub outbox: Outbox,
    pub fulfilling: Fulfilling,
    pub sweep_interval: Duration,
    pub metrics: Metrics,
    tasks: TaskTracker,
}

/// The files that the settings point to, read for the first time: a wrong one ends the start, before a
/// database that is still starting is waited for.
pub struct Files {
    catalog: CatalogFile,
    stripe: Stripe,
    secrets: WebhookSecrets,
    metrics: Metrics,
}

/// What is wrong with a file that the settings point to.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("CATALOG_FILE is wrong")]
    Catalog(#[from] CatalogFileError),
    #[error("a secret is wrong")]
    Key(#[from] KeyError),
    #[error("Stripe's certificate could not be checked")]
    Ca(#[from] CaError),
}

impl FileError {
    /// A fixed word for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Catalog(error) => error.reason(),
            Self::Key(error) => error.reason(),
            Self::Ca(_) => "ca",
        }
    }
}

impl Files {
    pub fn open(service: &Service, settings: &PaymentSettings) -> Result<Self, FileError> {
        let metrics = Metrics::register(&service.metrics);
        Ok(Self {
            catalog: CatalogFile::open(&settings.catalog_file, settings.currency)?,
            stripe: Stripe::new(
                &settings.stripe,
                Transport::new(&settings.stripe)?,
                metrics.clone(),
            )?,
            secrets: WebhookSecrets::open(&settings.stripe.webhook_secret_files)?,
            metrics,
        })
    }
}

impl App {
    pub fn new(
        files: Files,
        service: &Service,
        settings: &PaymentSettings,
        database: &Database,
        outbox: Outbox,
    ) -> Arc<Self> {
        let Files { catalog, stripe, secrets, metrics } = files;
        Arc::new(Self {
            shop: service.shop.clone(),
            public_url: settings.public_url.as_str().trim_end_matches('/').to_owned(),
            catalog,
            stripe,
            secrets,
            tolerance_s: settings.stripe.webhook_tolerance_s,
            payments: Payments::new(database.prompt()),
            events: StripeEvents::new(database.prompt()),
            cursor: Cursor::new(database.clone()),
            outbox,
            fulfilling: Fulfilling::default(),
            sweep_interval: Duration::from_millis(settings.sweep_interval_ms),
            metrics,
            tasks: TaskTracker::new(),
        })
    }

    /// The shortest pause between two looks at one session, in milliseconds.
    pub fn sweep_interval_ms(&self) -> i64 {
        i64::try_from(self.sweep_interval.as_millis()).unwrap_or(i64::MAX)
    }

    /// Runs work to its end even when whoever waits for it goes away: a shopper who closes the page
    /// must not leave a call to Stripe without the row it belongs to. `None` when it panicked.
    pub async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let work = AssertUnwindSafe(work).catch_unwind();
        let seen = SeenThrough::new(work, &self.tasks);
        let ended = match trace::current() {
            Some(_) => seen.await,
            None => trace::scope(TraceContext::new_root(), seen).await,
        };
        match ended {
            Ok(value) => Some(value),
            Err(panic) => {
                let panic = panic_message(&*panic);
                tracing::error!(panic, "work on a payment did not end");
                None
            }
        }
    }

    /// Waits for the work that nobody waits for, at the end of the service.
    pub async fn finish(&self, limit: Duration) {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!("work on payments was cut off; the sweeper finishes it");
        }
    }
}
