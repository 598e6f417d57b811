//! The call to Stripe for a stored row, by the request that stored it, by a repeated request, or by
//! the sweeper: always with the key that the row and its attempt give.

use std::time::Duration;

use storefront_contract::ServiceId;
use storefront_runtime::failpoint::{self, Step};
use tokio::time::Instant;

use super::CreateError;
use crate::{
    app::App,
    schedule::next_check_in_ms,
    session_id::SessionId,
    state::State,
    store::{Opened, Payment},
    stripe::{StripeError, objects::Created, requests::NewSession},
};

/// Most keys that one call spends. A key is spent only by a stored failure of Stripe's; whoever comes
/// next begins with a new one, so that an hour of such failures leaves no payment without a way on.
const KEYS_MAX: u32 = 5;
/// After a failure of Stripe's that will pass, the next one to try may come this soon.
const COOL_DOWN_MS: i64 = 1_000;

/// How the creation of a session ended.
#[derive(Debug)]
pub enum Finished {
    /// The payment has its session.
    Session(Box<Payment>),
    /// Stripe will never make it.
    Refused { reason: String },
}

impl App {
    /// Has Stripe create the session of a `creating` row, or hears of the one it has created before,
    /// and stores it. What is seldom is boxed: each request would have room for it.
    pub(crate) async fn finish_creation(
        &self,
        payment: Payment,
        deadline: Instant,
    ) -> Result<Finished, CreateError> {
        let prepared = NewSession {
            payment_id: &payment.id,
            shop: &self.shop,
            user_id: &payment.user_id,
            email: payment.email.as_deref(),
            cart: &payment.cart,
            currency: payment.priced.currency,
            public_url: &self.public_url,
        }
        .prepare();
        let Ok(prepared) = prepared else {
            return Box::pin(self.refuse(payment, "cart_too_big".into())).await;
        };
        let mut payment = payment;
        let mut spent = 0;
        loop {
            match self.stripe.create(&prepared, &payment.stripe_key(), deadline).await {
                Ok(session) => {
                    failpoint::reach(ServiceId::Payment, Step::SessionMade);
                    return self.store_session(payment, session).await;
                }
                Err(error @ StripeError::KeySpent { .. }) => {
                    tracing::warn!(payment.id, %error, "Stripe's answer for a key is useless");
                    if !self.payments.next_attempt(&payment.id, payment.attempt).await? {
                        return Box::pin(self.reread(payment)).await;
                    }
                    payment.attempt += 1;
                    spent += 1;
                    if spent == KEYS_MAX {
                        return self.later(payment, error).await;
                    }
                }
                Err(error) if error.is_permanent() => {
                    tracing::error!(payment.id, %error, "Stripe refuses a session");
                    return Box::pin(self.refuse(payment, error.code().to_owned())).await;
                }
                Err(error) => return self.later(payment, error).await,
            }
        }
    }

    /// The failure will pass: the row is left for the next one to try.
    async fn later(&self, payment: Payment, error: StripeError) -> Result<Finished, CreateError> {
        self.payments.let_go(&payment.id, cool_down_ms(&payment, &error)).await?;
        Err(CreateError::Stripe(error))
    }

    async fn store_session(
        &self,
        payment: Payment,
        session: Created,
    ) -> Result<Finished, CreateError> {
        let Some(session_id) = SessionId::parse(&session.id) else {
            let malformed = StripeError::Malformed("a session id of unknown form".into());
            return Err(CreateError::Stripe(malformed));
        };
        let expires_at_ms = session.expires_at.map(|seconds| seconds.saturating_mul(1000));
        let check_in_ms = next_check_in_ms(State::Open, 0, None, self.sweep_interval_ms());
        let opened = Opened {
            session_id: &session_id,
            url: session.url.as_deref(),
            expires_at_ms,
            check_in_ms: check_in_ms.unwrap_or_default(),
        };
        if !self.payments.open(&payment.id, opened).await? {
            return Box::pin(self.reread(payment)).await;
        }
        failpoint::reach(ServiceId::Payment, Step::SessionStored);
        let (state, session_id) = (State::Open, Some(session_id));
        let payment = Payment { state, session_id, expires_at_ms, url: session.url, ..payment };
        self.announce(&payment);
        Ok(Finished::Session(Box::new(payment)))
    }

    /// Somebody else has moved the row on: an event of its session was faster, or the sweeper was.
    async fn reread(&self, payment: Payment) -> Result<Finished, CreateError> {
        match self.payments.by_id(&payment.id).await? {
            Some(payment) if payment.session_id.is_some() => {
                Ok(Finished::Session(Box::new(payment)))
            }
            Some(payment) if payment.state != State::Creating => {
                let reason = payment.reason.unwrap_or_else(|| payment.state.name().into());
                Ok(Finished::Refused { reason })
            }
            _ => Err(CreateError::Running),
        }
    }

    async fn refuse(&self, payment: Payment, reason: String) -> Result<Finished, CreateError> {
        if !self.payments.give_up(&payment.id, State::Failed, &reason).await? {
            return self.reread(payment).await;
        }
        self.announce(&Payment { state: State::Failed, ..payment });
        Ok(Finished::Refused { reason })
    }
}

/// When the next one may try: soon for the first time, later for a row that is old.
fn cool_down_ms(payment: &Payment, error: &StripeError) -> i64 {
    let by_age = next_check_in_ms(State::Creating, payment.age_ms(), None, COOL_DOWN_MS);
    let young = payment.age_ms() < super::LEASE_MS;
    let wait_ms = if young { COOL_DOWN_MS } else { by_age.unwrap_or(COOL_DOWN_MS) };
    let told_ms = error.retry_after().as_ref().map_or(0, Duration::as_millis);
    wait_ms.max(i64::try_from(told_ms).unwrap_or(i64::MAX))
}
