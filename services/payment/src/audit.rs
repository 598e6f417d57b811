//! What an audit asks of payment: which sessions Stripe says were paid, beside what their rows say; and to
//! close a gap. Compares nothing and decides nothing: whoever audits does, and a gap is closed by what
//! every messenger calls, or by sending again what was sent before.

use std::{collections::HashMap, sync::Arc, time::Duration};

use storefront_contract::ServiceId;
use tokio::time::Instant;

use crate::{
    app::App,
    fulfil::{Asker, Found, FulfilError},
    pace::Pace,
    session_id::SessionId,
    state::State,
    store::{Payment, StoreError},
    stripe::{
        StripeError,
        objects::{PaymentStatus, Session},
        requests::Made,
    },
};

/// Calls to Stripe that audits make, a second: what the sweeper may, so that shoppers keep the rest.
const CALLS_PER_SECOND: u32 = 10;

/// For one page, or one session.
const ASK_LIMIT: Duration = Duration::from_secs(9);

/// What audits of one instance share.
pub struct Audit {
    pub app: Arc<App>,
    pace: Pace,
}

/// A session of this shop as Stripe has it, and its row.
#[derive(Debug)]
pub struct Audited {
    pub id: SessionId,
    pub session: Session,
    pub row: Option<Payment>,
}

/// What is missing of a payment, whoever closes the gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The row, or that it is paid.
    Payment,
    Order,
    Mail,
}

/// What was done about a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    pub state: State,
    /// Whether its event was put into the outbox once more.
    pub sent_again: bool,
}

/// Why Stripe's list and the rows cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("Stripe could not be asked")]
    Stripe(#[source] StripeError),
    #[error("the payments could not be read")]
    Store(#[from] StoreError),
    #[error("the session could not be looked at")]
    Fulfil(#[from] Arc<FulfilError>),
}

impl Audited {
    /// Whether Stripe says that the shopper has paid all there was to pay.
    pub fn is_paid(&self) -> bool {
        is_paid(&self.session)
    }
}

fn is_paid(session: &Session) -> bool {
    use PaymentStatus::{NoPaymentRequired, Paid};
    matches!(session.payment_status, Some(Paid | NoPaymentRequired))
}

impl Audit {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, pace: Pace::new(CALLS_PER_SECOND, CALLS_PER_SECOND) }
    }

    /// A page of Stripe's list: this shop's sessions that were paid, and where the next page begins.
    pub async fn page(
        &self,
        made: Made<'_>,
    ) -> Result<(Vec<Audited>, Option<SessionId>), AuditError> {
        self.pace.wait().await;
        let deadline = Instant::now() + ASK_LIMIT;
        let list = self.app.stripe.sessions(made, deadline).await.map_err(AuditError::Stripe)?;
        let last = list.data.last().and_then(|session| SessionId::parse(&session.id));
        let ours = list.data.into_iter().filter(|session| {
            session.metadata("shop") == Some(self.app.shop.id()) && is_paid(session)
        });
        let ours: Vec<_> =
            ours.filter_map(|session| Some((SessionId::parse(&session.id)?, session))).collect();
        Ok((self.with_rows(ours).await?, last.filter(|_| list.has_more)))
    }

    /// One session, whatever became of it. `None`: it is none of this shop's.
    pub async fn one(&self, id: &SessionId) -> Result<Option<Audited>, AuditError> {
        self.pace.wait().await;
        let deadline = Instant::now() + ASK_LIMIT;
        let session = match self.app.stripe.session(id, deadline).await {
            Ok(session) => session,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(AuditError::Stripe(error)),
        };
        if session.metadata("shop") != Some(self.app.shop.id()) {
            return Ok(None);
        }
        Ok(self.with_rows(vec![(id.clone(), session)]).await?.pop())
    }

    async fn with_rows(
        &self,
        sessions: Vec<(SessionId, Session)>,
    ) -> Result<Vec<Audited>, StoreError> {
        let ids: Vec<SessionId> = sessions.iter().map(|(id, _)| id.clone()).collect();
        let rows =
            if ids.is_empty() { Vec::new() } else { self.app.payments.by_sessions(&ids).await? };
        let named = rows.into_iter().filter_map(|row| Some((row.session_id.clone()?, row)));
        let mut rows: HashMap<SessionId, Payment> = named.collect();
        let audited = sessions.into_iter().map(|(id, session)| {
            let row = rows.remove(&id);
            Audited { id, session, row }
        });
        Ok(audited.collect())
    }

    /// Closes a gap, however often. A session that is not paid here yet is looked at, as for any messenger;
    /// the event of one that is paid is sent again, with the id that it had. `None`: the session is
    /// none of this shop's.
    pub async fn close(
        &self,
        id: &SessionId,
        missing: Missing,
    ) -> Result<Option<Closed>, AuditError> {
        self.pace.wait().await;
        let payment = match self.app.fulfil(id, Asker::Audit).await? {
            Found::Ours(payment) => payment,
            Found::Foreign => return Ok(None),
            Found::Known(_) => return Err(Arc::new(FulfilError::Busy).into()),
        };
        let state = payment.state;
        let sent_again = match (missing.at(), payment.paid_at_ms) {
            (Some(missed_by), Some(paid_at_ms)) if state == State::Paid => {
                self.send_again(&payment, (id, paid_at_ms), missed_by).await.map_err(Arc::new)?;
                true
            }
            _ => false,
        };
        let missing = missing.word();
        tracing::info!(
            payment.id,
            state = state.name(),
            missing,
            sent_again,
            "a gap that an audit found"
        );
        Ok(Some(Closed { state, sent_again }))
    }

    async fn send_again(
        &self,
        payment: &Payment,
        (id, paid_at_ms): (&SessionId, i64),
        missed_by: ServiceId,
    ) -> Result<(), FulfilError> {
        let (event, trace) = &self.app.event_of(payment, id, (None, paid_at_ms));
        let outbox = &self.app.outbox;
        let work = self.app.payments.database().transact(|tx| {
            Box::pin(async move {
                outbox.insert_again(tx, (event, *trace), missed_by).await?;
                Ok::<_, FulfilError>(())
            })
        });
        work.await
    }
}

impl Missing {
    /// The service where it should be.
    fn at(self) -> Option<ServiceId> {
        match self {
            Self::Payment => None,
            Self::Order => Some(ServiceId::Order),
            Self::Mail => Some(ServiceId::Email),
        }
    }

    /// A fixed word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Order => "order",
            Self::Mail => "mail",
        }
    }
}
