//! What was paid, beside what came of it. Pure.
//!
//! Lost is what the ledger has and something else has not; doubled is what something has more than once; wrong is all that must
//! hold beside that: money, the order of events, garbage that went elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use storefront_contract::{Names, ServiceId, Topic};

use crate::{
    facts::{Facts, Told},
    ledger::Session,
    shopper::{Manner, Purchase},
};

/// Of each kind of finding so many are told in words.
const SHOWN_MAX: usize = 20;

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub lost: usize,
    pub doubled: usize,
    pub wrong: usize,
    /// What it was, in words: the first of each kind.
    pub findings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lost,
    Doubled,
    Wrong,
}

impl Verdict {
    /// Nothing was found.
    pub fn holds(&self) -> bool {
        (self.lost, self.doubled, self.wrong) == (0, 0, 0)
    }

    fn find(&mut self, kind: Kind, words: &str) {
        let count = match kind {
            Kind::Lost => &mut self.lost,
            Kind::Doubled => &mut self.doubled,
            Kind::Wrong => &mut self.wrong,
        };
        *count += 1;
        if *count <= SHOWN_MAX {
            self.findings.push(format!("{}: {words}", format!("{kind:?}").to_lowercase()));
        }
    }

    /// A promise that a scenario found broken.
    pub fn broken(&mut self, words: &str) {
        self.find(Kind::Wrong, words);
    }

    /// Something that the faults should have caused has never happened: nothing is proven.
    pub fn toothless(&mut self, what: &str) {
        self.find(Kind::Wrong, &format!("no {what}: the faults have not bitten"));
    }

    /// Each of `all` has to be among `found` once.
    fn once<'a>(
        &mut self,
        what: &str,
        all: &BTreeSet<&'a str>,
        found: impl Iterator<Item = &'a str>,
    ) {
        let mut times = BTreeMap::<&str, usize>::new();
        for id in found {
            *times.entry(id).or_default() += 1;
        }
        for id in all.iter().filter(|id| !times.contains_key(*id)) {
            self.find(Kind::Lost, &format!("{what} of {id}"));
        }
        for (id, times) in times {
            if !all.contains(id) {
                self.find(Kind::Wrong, &format!("{what} of {id}, which nobody has paid"));
            }
            for _ in 1..times {
                self.find(Kind::Doubled, &format!("{what} of {id}"));
            }
        }
    }
}

/// Compares all of it.
pub fn compare(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    shoppers(facts, &mut verdict);
    flow(facts, &mut verdict);
    sales(facts, &mut verdict);
    mails(facts, &mut verdict);
    order_of_events(facts, &mut verdict);
    garbage(facts, &mut verdict);
    for (what, count) in facts.waiting.iter().filter(|(_, count)| **count > 0) {
        verdict.find(Kind::Wrong, &format!("{what}: {count} are not done"));
    }
    verdict
}

/// One session for each cart, and those are paid that were to be.
fn shoppers(facts: &Facts, verdict: &mut Verdict) {
    for words in &facts.bought.failed {
        verdict.find(Kind::Wrong, words);
    }
    let mut got = BTreeSet::new();
    for purchase in facts.bought.purchases() {
        let cart = format!("cart {}", purchase.number);
        if !got.insert(purchase.session.as_str()) {
            verdict.find(Kind::Doubled, &format!("{cart} got the session of another one"));
        }
        match facts.sessions.get(&purchase.session) {
            None => verdict.find(Kind::Lost, &format!("the session of {cart}")),
            Some(session) if session.user != purchase.user => {
                verdict.find(Kind::Wrong, &format!("{cart} got a session of {}", session.user));
            }
            Some(session) if session.is_paid == (purchase.manner == Manner::Abandons) => {
                verdict.find(Kind::Wrong, &format!("{cart} is paid: {}", session.is_paid));
            }
            Some(_) => {}
        }
    }
    // A session that no shopper was given could be paid beside the one that they have. Of a cart that failed nobody knows.
    let is_forgotten =
        |session: &Session| !session.is_paid && session.created <= facts.excuses.sessions_until;
    let orphans = facts.sessions.iter().filter(|(id, _)| !got.contains(id.as_str()));
    let orphans = orphans.filter(|(_, session)| !is_forgotten(session)).count();
    let orphans = orphans.saturating_sub(facts.bought.failed.len());
    for _ in 0..orphans {
        verdict.find(Kind::Doubled, "a session that no shopper was given");
    }
}

/// Each paid session is told of once on each topic, and has one order, all for the same money.
fn flow(facts: &Facts, verdict: &mut Verdict) {
    let paid = facts.sessions.iter().filter(|(_, session)| session.is_paid);
    let all: BTreeSet<&str> = paid.map(|(id, _)| id.as_str()).collect();
    for (topic, wire) in Topic::ALL.into_iter().zip(&facts.topics) {
        let told = wire.events.iter().map(|event| event.session.as_str());
        verdict.once(&format!("the event on {topic}"), &all, told);
        for Told { id, session, amount, key, .. } in &wire.events {
            let Some(truth) = facts.sessions.get(session) else { continue };
            if amount.is_some_and(|amount| amount != truth.amount) {
                let words = format!("{topic}: {amount:?} for {session} of {}", truth.amount);
                verdict.find(Kind::Wrong, &words);
            }
            if *key != truth.user {
                verdict.find(Kind::Wrong, &format!("{topic}: {id} has the key {key:?}"));
            }
        }
    }
    verdict.once("the order", &all, facts.orders.iter().map(|(session, _)| session.as_str()));
    for (session, amount) in &facts.orders {
        let truth = facts.sessions.get(session).map(|session| session.amount);
        if truth.is_some_and(|truth| truth != *amount) {
            verdict.find(Kind::Wrong, &format!("an order of {amount} for {session}: {truth:?}"));
        }
    }
}

/// A sum tells what was counted twice.
fn sales(facts: &Facts, verdict: &mut Verdict) {
    let paid = || facts.sessions.values().filter(|session| session.is_paid);
    let count = i64::try_from(paid().count()).unwrap_or(i64::MAX);
    let revenue: i64 = paid().map(|session| session.amount).sum();
    let sales = facts.sales;
    let counted = [("payments", sales.payments), ("orders", sales.orders), ("mails", sales.mails)];
    for (what, counted) in counted {
        for _ in counted..count {
            verdict.find(Kind::Lost, &format!("one of the {what} that analytics counts"));
        }
        for _ in count..counted {
            verdict.find(Kind::Doubled, &format!("one of the {what} that analytics counts"));
        }
    }
    if sales.revenue != revenue {
        verdict.find(Kind::Wrong, &format!("analytics: {} for {revenue}", sales.revenue));
    }
}

/// Each paid session has its mail. One may come again only where email did not hear what had become of an attempt, and under the
/// same `Message-ID`.
fn mails(facts: &Facts, verdict: &mut Verdict) {
    let told: BTreeSet<&str> =
        facts.topics[2].events.iter().map(|event| event.message_id.as_str()).collect();
    for id in told.iter().filter(|id| !facts.mails.contains_key(**id)) {
        verdict.find(Kind::Lost, &format!("the mail {id}"));
    }
    for (id, times) in &facts.mails {
        if !told.contains(id.as_str()) {
            verdict.find(Kind::Wrong, &format!("the mail {id}, which nobody tells of"));
        }
        let count = |of: &BTreeMap<String, usize>| of.get(id).copied().unwrap_or_default();
        let may_be = 1 + count(&facts.unclear) + count(&facts.excuses.mails);
        for _ in may_be..*times {
            verdict.find(Kind::Doubled, &format!("the mail {id}, without a cause"));
        }
    }
}

/// A shopper who has come back from a purchase before the next one is told of in that order, and orders follow payments.
fn order_of_events(facts: &Facts, verdict: &mut Verdict) {
    let [payments, orders, _] = &facts.topics;
    let places: BTreeMap<&str, usize> = payments
        .events
        .iter()
        .enumerate()
        .map(|(place, event)| (event.session.as_str(), place))
        .collect();
    for purchases in facts.bought.by_user.values() {
        let mut latest: Option<(usize, &Purchase)> = None;
        for purchase in purchases {
            let Some(place) = places.get(purchase.session.as_str()).copied() else { continue };
            if let Some((after, earlier)) = latest
                && place < after
            {
                let (id, earlier) = (&purchase.session, &earlier.session);
                let words = format!("{}: {id} is told of before {earlier}", purchase.user);
                verdict.find(Kind::Wrong, &words);
            }
            // What was not waited for may be told of at any later time.
            if purchase.manner == Manner::Returns && latest.is_none_or(|(after, _)| after < place) {
                latest = Some((place, purchase));
            }
        }
    }
    let (paid, placed) = (by_key(&payments.events), by_key(&orders.events));
    for (key, placed) in placed {
        let paid = paid.get(key).cloned().unwrap_or_default();
        let both = placed.iter().zip(&paid).find(|(placed, paid)| placed != paid);
        if let Some((placed, paid)) = both.filter(|_| placed.len() == paid.len()) {
            let words = format!("{key}: the order of {placed} comes before that of {paid}");
            verdict.find(Kind::Wrong, &words);
        }
    }
}

/// The sessions of each key, in their order. Keys stay in their partition.
fn by_key(events: &[Told]) -> BTreeMap<&str, Vec<&str>> {
    let mut keys = BTreeMap::<&str, Vec<&str>>::new();
    for event in events {
        keys.entry(&event.key).or_default().push(&event.session);
    }
    keys
}

/// Dead is what was garbage, once for each group that reads it, and nothing else.
fn garbage(facts: &Facts, verdict: &mut Verdict) {
    let names = Names::new("");
    let groups = [ServiceId::Order, ServiceId::Email, ServiceId::Analytics];
    let takers: BTreeSet<String> = groups
        .into_iter()
        .filter_map(|service| names.dead_letter(Topic::PaymentSuccessful, service))
        .collect();
    for topic in &takers {
        let dead = facts.dead.get(topic).map(Vec::as_slice).unwrap_or_default();
        // On the wire one may stand twice, as any message may.
        let dead: BTreeSet<_> = dead.iter().copied().collect();
        for place in facts.poison.difference(&dead) {
            verdict.find(Kind::Lost, &format!("the dead letter of garbage {place:?} on {topic}"));
        }
        for place in dead.difference(&facts.poison) {
            verdict.find(Kind::Wrong, &format!("{place:?} is dead on {topic}, and no garbage"));
        }
    }
    for (topic, dead) in facts.dead.iter().filter(|(topic, _)| !takers.contains(*topic)) {
        for place in dead {
            verdict.find(Kind::Wrong, &format!("{place:?} is dead on {topic}, and no garbage"));
        }
    }
}

#[cfg(test)]
mod tests;
