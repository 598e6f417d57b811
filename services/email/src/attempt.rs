//! One claimed mail, from its row to the end of the claim.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use lettre::message::Mailbox;
use storefront_contract::{EmailSuccessful, Incoming, Invalid, ServiceId, settings::Branding};
use storefront_runtime::{
    Database, DatabaseError, Outbox, OutboxError, Shutdown, TraceContext,
    failpoint::{self, Step},
};
use url::Url;

use crate::{
    address,
    clock::Clock,
    happening::Happening,
    letter::{self, Purchase},
    mails::{self, Claimed, End, Known},
    marks::{Marks, Sent},
    message::{self, ComposeError},
    metrics::MailMetrics,
    policy::{Policy, Verdict},
    queue::NO_ADDRESS,
    smtp::{Answer, Outcome, Parcel, Smtp},
};

/// How often the end of a claim is written before its expiry is left to tell.
const WRITES_MAX: u32 = 10;
/// Longest wait between two of them.
const WRITE_WAIT_MOST: Duration = Duration::from_secs(5);

/// What every attempt shares.
pub struct Desk {
    pub database: Database,
    pub outbox: Outbox,
    pub smtp: Smtp,
    pub from: Mailbox,
    /// What the shop looks like to its shoppers.
    pub branding: Branding,
    pub public_url: Url,
    pub policy: Policy,
    pub metrics: MailMetrics,
    pub clock: Arc<Clock>,
    /// Who claims: new for each process.
    pub holder: String,
    pub marks: Marks,
}

/// What an attempt says about the mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It spoke with us about a mail.
    Yes,
    No(Answer),
    /// It was not asked.
    NotTried,
}

/// Why a row cannot become a mail.
#[derive(Debug, thiserror::Error)]
enum Unwritable {
    #[error("the stored event cannot be read")]
    Event(#[from] Invalid),
    #[error("the stored row names no topic or template of this program")]
    Foreign,
    #[error(transparent)]
    Address(#[from] address::InvalidAddress),
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// How an attempt ended, for the row and for the log.
struct Finished {
    verdict: Verdict,
    reached: Reached,
    /// For the dead letter. May hold an address.
    error: String,
    /// For the log. Never does.
    reply: String,
    /// Looked for in the address book, and nobody is there: not a failure.
    nobody: bool,
    user_id: String,
}

impl Finished {
    fn without_server(verdict: Verdict, error: impl Into<String>) -> Self {
        let (reached, reply, user_id) = (Reached::NotTried, String::new(), String::new());
        Self { verdict, reached, error: error.into(), reply, nobody: false, user_id }
    }
}

impl Desk {
    /// Tries to send a claimed mail and writes down what became of it.
    pub async fn send(self: Arc<Self>, mail: Claimed, abandon: Shutdown) -> Reached {
        failpoint::reach(ServiceId::Email, Step::MailClaimed);
        let finished = match self.attempt(&mail, &abandon).await {
            Ok(finished) => finished,
            // The address could not be looked up: nothing was tried.
            Err(error) => Finished::without_server(Verdict::Back, error.to_string()),
        };
        self.write_down(&mail, &finished).await;
        finished.reached
    }

    async fn attempt(&self, mail: &Claimed, abandon: &Shutdown) -> Result<Finished, DatabaseError> {
        let now = self.clock.now();
        if let Some(reason) = self.policy.before(mail.standing, now) {
            let error = "the time or the attempts for this mail are used up";
            return Ok(Finished::without_server(Verdict::Failed(reason), error));
        }
        let known = match &mail.recipient {
            Some(recipient) => Known::Address(recipient.clone()),
            None => mails::address(&self.database, &mail.session_id).await?,
        };
        let recipient = match known {
            Known::Address(address) => address,
            Known::NotYet => {
                let verdict = self.policy.without_address(mail.standing, now, fastrand::f64());
                return Ok(Finished::without_server(verdict, "the payment was not seen yet"));
            }
            Known::None => {
                let none = Finished::without_server(Verdict::Failed(NO_ADDRESS), "no address");
                return Ok(Finished { nobody: true, ..none });
            }
        };
        let (parcel, purchase) = match self.parcel(mail, &recipient) {
            Ok(parcel) => parcel,
            Err(error) => {
                let verdict = Verdict::Failed(message::NOT_COMPOSED);
                return Ok(Finished::without_server(verdict, chain(&error)));
            }
        };
        let outcome = self.smtp.deliver(&parcel, abandon).await;
        if outcome == Outcome::Accepted {
            failpoint::reach(ServiceId::Email, Step::MailAccepted);
        }
        let now = self.clock.now();
        let verdict = self.policy.after(&outcome, mail.standing, now, fastrand::f64());
        let (reached, answer) = match outcome {
            Outcome::Accepted => (Reached::Yes, None),
            Outcome::Unreachable(answer) => (Reached::No(answer.clone()), Some(answer)),
            Outcome::Deferred(answer) | Outcome::Rejected(answer) | Outcome::Unclear(answer) => {
                (Reached::Yes, Some(answer))
            }
        };
        Ok(Finished {
            verdict,
            reached,
            reply: answer.as_ref().map(Answer::summary).unwrap_or_default(),
            error: answer.map(|answer| answer.text).unwrap_or_default(),
            nobody: false,
            user_id: purchase.user_id,
        })
    }

    fn parcel(&self, mail: &Claimed, recipient: &str) -> Result<(Parcel, Purchase), Unwritable> {
        let (Some(record), Some(template)) = (&mail.record, mail.template) else {
            return Err(Unwritable::Foreign);
        };
        let payload = record.payload.as_deref().unwrap_or_default();
        let purchase = Happening::decode(record.topic, payload)?.into_purchase();
        let letter = letter::write(template, &purchase, &self.branding, &self.public_url)
            .map_err(ComposeError::Template)?;
        let to = address::recipient(recipient)?;
        let date = Timestamp::from_millisecond(mail.created_at).unwrap_or_default();
        let bytes = message::compose(&letter, &self.from, &to, &mail.message_id, date)?;
        Ok((Parcel { from: self.from.email.clone(), to, bytes }, purchase))
    }

    /// Writes the end of the claim, patiently: what was sent and not written down is sent again.
    async fn write_down(&self, mail: &Claimed, finished: &Finished) {
        let end = match finished.verdict {
            Verdict::Sent => End::Sent,
            Verdict::Again { due_at, unclear } => End::Again { due_at, unclear },
            Verdict::Back => End::Back,
            Verdict::Failed(reason) => End::Failed { reason, dead_lettered: !finished.nobody },
        };
        let mut wait = Duration::from_millis(50);
        for write in 1..=WRITES_MAX {
            match self.write(mail, end, finished).await {
                // Not ours any more: unless an earlier write, whose answer was lost, had succeeded.
                Ok(false) if write == 1 => return lost(mail),
                Ok(_) => {
                    failpoint::reach(ServiceId::Email, Step::MailCommitted);
                    return self.tell(mail, end, finished);
                }
                Err(error) if is_temporary(&error) && write < WRITES_MAX => {
                    tokio::time::sleep(wait).await;
                }
                Err(error) => {
                    let (order, error) = (mail.order_id, chain(&error));
                    tracing::error!(order.id = %order, error, "a mail's state could not be written");
                    return;
                }
            }
            wait = (wait * 2).min(WRITE_WAIT_MOST);
        }
    }

    /// State and event, or state and dead letter, in one transaction; whether the claim was ours.
    async fn write(
        &self,
        mail: &Claimed,
        end: End,
        finished: &Finished,
    ) -> Result<bool, OutboxError> {
        let now = self.clock.now();
        let sent = if end == End::Sent { sent(mail, finished, now) } else { None };
        if let Some(sent) = &sent
            && let Some(own) = self.marks.write(sent.clone()).await?
        {
            return Ok(own);
        }
        let (sent, record) = (&sent, &mail.record);
        self.database
            .transact(|tx| {
                Box::pin(async move {
                    if !mails::finish(tx, &self.holder, &mail.mail_id, end, now).await? {
                        return Ok(false);
                    }
                    if let Some(Sent { event, trace, .. }) = sent {
                        self.outbox.insert(tx, &[(event.clone(), Some(*trace))]).await?;
                    }
                    if let (End::Failed { reason, dead_lettered: true }, Some(record)) =
                        (end, record)
                    {
                        let (error, attempts) = (&finished.error, mail.standing.attempts);
                        self.outbox
                            .dead_letter(tx, record.clone(), reason, error, attempts)
                            .await?;
                    }
                    Ok::<_, OutboxError>(true)
                })
            })
            .await
    }

    /// Says once how the attempt ended: ids and codes, never an address.
    fn tell(&self, mail: &Claimed, end: End, finished: &Finished) {
        let (order, reply) = (mail.order_id, &*finished.reply);
        // Without the domain, which would make it look like an address: logs have none.
        let id = mail.message_id.split('@').next().unwrap_or_default();
        match end {
            End::Sent => {
                self.metrics.count("sent");
                tracing::info!(order.id = %order, mail.id = id, "mail sent");
            }
            End::Again { unclear, .. } if unclear > mail.standing.unclear => {
                self.metrics.count("unknown");
                tracing::warn!(order.id = %order, mail.id = id, reply, "mail may have been sent");
            }
            End::Again { .. } => {
                self.metrics.count("deferred");
                tracing::info!(order.id = %order, mail.id = id, reply, "mail is tried again later");
            }
            End::Back => {}
            End::Failed { reason, .. } => {
                self.metrics.count("failed");
                tracing::warn!(order.id = %order, mail.id = id, reason, reply, "mail is given up");
            }
        }
    }
}

/// Somebody else has the mail now, and tells how it ended.
fn lost(mail: &Claimed) {
    tracing::warn!(order.id = %mail.order_id, mail.id = mail.message_id, "a claim was lost");
}

fn sent(mail: &Claimed, finished: &Finished, now: i64) -> Option<Sent> {
    let event = EmailSuccessful {
        message_id: mail.message_id.clone(),
        user_id: finished.user_id.clone(),
        order_id: mail.order_id,
        session_id: mail.session_id.clone(),
        template: mail.template?,
        sent_at: Timestamp::from_millisecond(now).ok()?,
    };
    let trace = TraceContext::continued(mail.traceparent.as_deref());
    Some(Sent { mail_id: mail.mail_id.clone(), event, trace })
}

fn is_temporary(error: &OutboxError) -> bool {
    matches!(error, OutboxError::Database(error) if error.is_temporary())
}

/// An error with its causes, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
