//! What the brokers know: mails and orders that were told, dead letters, and who has still to read.

use std::time::Duration;

use jiff::Timestamp;
use storefront_contract::{EmailSuccessful, Incoming as _, OrderSuccessful, ServiceId, Topic};
use storefront_inspect::{Session, Span, Start};

use super::compare::Facts;
use crate::brokers::Brokers;

const WAIT: Duration = Duration::from_secs(15);
/// Clocks of services and brokers may differ by so much.
const CLOCKS_APART: Duration = Duration::from_mins(5);
/// Who may be behind, or have given up.
const READERS: [ServiceId; 2] = [ServiceId::Order, ServiceId::Email];

/// An order that was told.
pub struct Told {
    pub session_id: String,
    pub created_at: Timestamp,
}

/// Reads what was told since a time, into the facts; the orders, in no order.
pub fn read(
    session: &Session,
    brokers: &Brokers,
    since: Timestamp,
    facts: &mut Facts,
) -> anyhow::Result<Vec<Told>> {
    let names = &brokers.scope.names;
    let since = since.checked_sub(CLOCKS_APART).unwrap_or(Timestamp::MIN);
    let from = Start::Time(since.as_millisecond().max(0));
    let (orders, mails) = (Topic::OrderSuccessful, Topic::EmailSuccessful);
    let topics = [names.topic(orders), names.topic(mails)];
    let mut told = Vec::new();
    let mut reader = session.read(&topics, None, from, Span::Now)?;
    while !reader.is_at_end() {
        let Some(record) = reader.next(WAIT)? else { continue };
        let Some(value) = record.value.as_deref() else { continue };
        if record.topic == topics[0] {
            let order = OrderSuccessful::decode(orders, value).ok();
            told.extend(
                order.map(|order| Told {
                    session_id: order.session_id,
                    created_at: order.created_at,
                }),
            );
        } else if let Ok(mail) = EmailSuccessful::decode(mails, value) {
            facts.mailed.insert(mail.session_id);
        }
    }
    look(session, brokers, facts)?;
    Ok(told)
}

/// Who has still to read, and what was given up and waits for somebody.
pub fn look(session: &Session, brokers: &Brokers, facts: &mut Facts) -> anyhow::Result<()> {
    let groups = session.groups(&brokers.scope, &session.cluster()?, false)?;
    facts.behind = READERS
        .into_iter()
        .map(|id| {
            let ours = groups.iter().filter(|group| group.service == Some(id));
            (id, ours.map(|group| group.lag).sum())
        })
        .collect();
    let letters = session.dead_letters(&brokers.scope)?.letters;
    facts.letters.clear();
    for letter in letters.iter().filter(|letter| letter.fate.is_open()) {
        let of = |id: &ServiceId| brokers.scope.names.group(*id).as_ref() == Some(&letter.group);
        let id = READERS.iter().find(|id| of(id));
        if let (Some(id), Some(about)) = (id, letter.record.field("sessionId")) {
            facts.letters.insert((*id, about), letter.place());
        }
    }
    Ok(())
}
