//! Mails that the server took, written down many at a time: state and event of each in one transaction, which is
//! another's too. While one is under way the next ones gather; at rest nobody waits for anybody.

use std::sync::Arc;

use storefront_contract::{EmailSuccessful, ServiceId};
use storefront_runtime::{
    Database, DatabaseError, Outbox, OutboxError, TraceContext,
    db::Group,
    failpoint::{self, Step},
};

use crate::{
    clock::Clock,
    mails::{self, End},
};

/// A mail that was sent, and what is said about it.
#[derive(Clone)]
pub struct Sent {
    pub mail_id: String,
    pub event: EmailSuccessful,
    pub trace: TraceContext,
}

/// See the module.
pub struct Marks(Group<Sent, bool>);

/// What a group is written with.
struct Books {
    database: Database,
    outbox: Outbox,
    clock: Arc<Clock>,
    /// Whose claims end.
    holder: String,
}

impl Marks {
    pub fn new(database: &Database, outbox: &Outbox, clock: &Arc<Clock>, holder: &str) -> Self {
        let books = Arc::new(Books {
            database: database.clone(),
            outbox: outbox.clone(),
            clock: Arc::clone(clock),
            holder: holder.to_owned(),
        });
        Self(Group::new(move |sent| {
            let books = Arc::clone(&books);
            Box::pin(async move { books.write(&sent).await })
        }))
    }

    /// Writes a mail down; whether its claim was still ours. `None`: it has to be tried alone.
    pub async fn write(&self, sent: Sent) -> Result<Option<bool>, DatabaseError> {
        self.0.take(sent).await
    }
}

impl Books {
    async fn write(&self, sent: &[Sent]) -> Result<Vec<bool>, DatabaseError> {
        let now = self.clock.now();
        let written = self.database.transact(|tx| {
            Box::pin(async move {
                // One after the other by its key: a plan for many, made while the table was small, would read all of it.
                let mut own = Vec::with_capacity(sent.len());
                for mail in sent {
                    let id = &mail.mail_id;
                    own.push(mails::finish(tx, &self.holder, id, End::Sent, now).await?);
                }
                let events: Vec<_> = sent
                    .iter()
                    .zip(&own)
                    .filter(|(_, own)| **own)
                    .map(|(mail, _)| (mail.event.clone(), Some(mail.trace)))
                    .collect();
                self.outbox.insert(tx, &events).await?;
                failpoint::reach(ServiceId::Email, Step::MailWritten);
                Ok::<_, OutboxError>(own)
            })
        });
        written.await.map_err(|error| match error {
            OutboxError::Database(error) => error,
            // One of them cannot be said: each alone finds out which.
            OutboxError::Json(_) => DatabaseError::Shape,
        })
    }
}
