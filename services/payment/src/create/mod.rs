//! From a request to a session that a shopper can pay. The row is stored before Stripe is asked, so
//! that a crash anywhere ends in the same session; the prices are those of the row, however late the
//! session is made.

mod finish;

use std::sync::Arc;

use storefront_contract::ServiceId;
use storefront_runtime::{
    failpoint::{self, Step},
    trace,
};
use tokio::time::{Duration, Instant};

pub use finish::Finished;

use crate::{
    app::App,
    pricing::{self, PricingError},
    request::CheckedRequest,
    state::State,
    store::{KEY_LIFE_MS, NewPayment, Payment, StoreError},
    stripe::StripeError,
};

/// Longest time for a request, all of Stripe's retries included.
const CREATE_LIMIT: Duration = Duration::from_millis(9_500);
/// How long a creation belongs to the request that began it. Longer than a request, and short enough
/// that the sweeper finishes it within a minute.
pub(crate) const LEASE_MS: i64 = 12_000;
/// How often an idempotency key may slip away while it is looked up: once for each time that somebody
/// else stores or frees it.
const SLIPS_MAX: u32 = 3;

/// What the shopper's browser needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Checkout {
    /// Stripe's Checkout session.
    pub id: String,
    /// Where the shopper pays.
    pub url: String,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("the cart cannot be charged")]
    Pricing(#[from] PricingError),
    #[error("the idempotency key was used with another request")]
    OtherRequest,
    #[error("a request with this idempotency key is still running")]
    Running,
    /// The payment has ended without a session; the reason is Stripe's code.
    #[error("Stripe refuses the payment ({reason})")]
    Refused { reason: String },
    #[error("Stripe could not be asked")]
    Stripe(#[source] StripeError),
    #[error("the payment could not be stored")]
    Store(#[from] StoreError),
    #[error("the work on the request did not end")]
    Lost,
}

impl CreateError {
    /// A fixed word for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Pricing(_) => "pricing",
            Self::OtherRequest => "other-request",
            Self::Running => "running",
            Self::Refused { .. } => "refused",
            Self::Stripe(error) => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Lost => "lost",
        }
    }
}

impl App {
    /// Begins a payment, or answers what an earlier request with the same idempotency key got.
    pub async fn create(
        self: &Arc<Self>,
        request: CheckedRequest,
        idempotency_key: Option<String>,
    ) -> Result<Checkout, CreateError> {
        let app = self.clone();
        // Boxed, as it is large and goes through several hands.
        let work = Box::pin(async move { app.begin(&request, idempotency_key.as_deref()).await });
        self.see_through(work).await.unwrap_or(Err(CreateError::Lost))
    }

    async fn begin(
        &self,
        request: &CheckedRequest,
        key: Option<&str>,
    ) -> Result<Checkout, CreateError> {
        let deadline = Instant::now() + CREATE_LIMIT;
        let fingerprint = request.fingerprint();
        let id = uuid::Uuid::new_v4().simple().to_string();
        for _ in 0..SLIPS_MAX {
            if let Some(payment) = self.store_new(&id, request, key, &fingerprint).await? {
                failpoint::reach(ServiceId::Payment, Step::CartStored);
                return self.finish_for_shopper(payment, deadline).await;
            }
            // Only a key can be in the way of a new row.
            let Some(key) = key else { break };
            let Some(earlier) = self.payments.by_key(&request.user_id, key).await? else {
                continue;
            };
            if earlier.age_ms() >= KEY_LIFE_MS {
                self.payments.forget_key(&earlier.id).await?;
                continue;
            }
            if earlier.fingerprint != fingerprint {
                return Err(CreateError::OtherRequest);
            }
            // Boxed, as it is seldom: each request would have room for it.
            return Box::pin(self.resume(earlier, deadline)).await;
        }
        Err(CreateError::Running)
    }

    /// Stores the row. `None`: the key has been used before, so that what counts is the earlier
    /// request, even when prices have changed since.
    async fn store_new(
        &self,
        id: &str,
        request: &CheckedRequest,
        key: Option<&str>,
        fingerprint: &str,
    ) -> Result<Option<Payment>, CreateError> {
        let catalog = self.catalog.current();
        let cart = match pricing::price(request, &catalog) {
            Ok(cart) => cart,
            Err(error) => {
                let Some(key) = key else { return Err(error.into()) };
                let earlier = self.payments.by_key(&request.user_id, key).await?;
                let valid = earlier.is_some_and(|earlier| earlier.age_ms() < KEY_LIFE_MS);
                return if valid { Ok(None) } else { Err(error.into()) };
            }
        };
        let traceparent = trace::current().map(|context| context.to_traceparent());
        let new = NewPayment {
            id,
            user_id: &request.user_id,
            email: request.email.as_deref(),
            cart: &cart.lines,
            priced: storefront_contract::Money {
                amount: cart.amount,
                currency: catalog.currency(),
            },
            fingerprint,
            idempotency_key: key,
            traceparent: traceparent.as_deref(),
            lease_ms: LEASE_MS,
        };
        if let Some(payment) = self.payments.insert(&new).await? {
            return Ok(Some(payment));
        }
        // The statement may have been run twice, when the first answer was lost with its connection.
        Ok(self.payments.by_id(id).await?)
    }

    /// Answers for an earlier request: what it got, or that it is running, or, when whoever ran it is
    /// gone, finishes it.
    async fn resume(&self, earlier: Payment, deadline: Instant) -> Result<Checkout, CreateError> {
        if let Some(checkout) = self.checkout(&earlier) {
            return Ok(checkout);
        }
        if earlier.state != State::Creating {
            let reason = earlier.reason.unwrap_or_else(|| earlier.state.name().into());
            return Err(CreateError::Refused { reason });
        }
        match self.payments.take_over(&earlier.id, LEASE_MS).await? {
            Some(payment) => self.finish_for_shopper(payment, deadline).await,
            None => Err(CreateError::Running),
        }
    }

    async fn finish_for_shopper(
        &self,
        payment: Payment,
        deadline: Instant,
    ) -> Result<Checkout, CreateError> {
        match self.finish_creation(payment, deadline).await? {
            Finished::Session(payment) => self.checkout(&payment).ok_or(CreateError::Running),
            Finished::Refused { reason } => Err(CreateError::Refused { reason }),
        }
    }

    /// What the browser needs of a payment that has a session.
    fn checkout(&self, payment: &Payment) -> Option<Checkout> {
        let id = payment.session_id.as_ref()?.to_string();
        // Stripe gives no link to a session that is complete; the success page knows what to say.
        let url = payment.url.clone();
        let url = url.unwrap_or_else(|| format!("{}/success?session_id={id}", self.public_url));
        Some(Checkout { id, url })
    }
}
