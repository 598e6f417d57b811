//! What was paid at Stripe beside what came of it. Pure: everything that was asked goes in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use storefront_contract::{Currency, Money, ServiceId};
use storefront_inspect::Place;

/// A session of the shop that Stripe says is paid, as payment tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkout {
    pub session_id: String,
    pub order_id: String,
    pub paid: bool,
    /// In minor units.
    pub amount: Option<i64>,
    pub currency: Option<Currency>,
    pub payment: Option<Row>,
}

/// What payment's own row says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Row {
    pub state: String,
    /// Whether there is an address to send a mail to.
    pub mailed: bool,
    #[serde(default)]
    pub reason: Option<String>,
}

/// An order as its shopper sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub session_id: String,
    pub amount: i64,
    pub currency: Currency,
    #[serde(default)]
    pub mail: Mail,
}

/// The state of an order's mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    pub state: String,
    #[serde(default)]
    pub message_id: Option<String>,
}

/// Everything that was asked.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By session.
    pub paid: BTreeMap<String, Checkout>,
    /// By session; what is not there has no order.
    pub orders: BTreeMap<String, Order>,
    /// Sessions whose mail was told as sent.
    pub mailed: BTreeSet<String>,
    /// Orders that were told, of sessions that Stripe says are not paid, or not the shop's.
    pub unpaid: BTreeMap<String, Checkout>,
    /// Dead letters that wait for somebody, by the service that gave up and the session.
    pub letters: BTreeMap<(ServiceId, String), Place>,
    /// Messages that a service has still to read.
    pub behind: BTreeMap<ServiceId, i64>,
    /// Whether mails are compared.
    pub mails: bool,
}

/// What is missing or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Checkout at Stripe, and payment does not know.
    Payment,
    /// Checkout, but not what was priced, or nobody knows for what.
    Held,
    Order,
    /// The order's amount is not what was paid.
    Amount,
    Mail,
    /// An order that nobody paid.
    Unpaid,
}

/// What closes a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Payment can, by itself.
    Close,
    /// It closes by itself, once somebody has read on.
    Wait,
    /// A dead letter is to be sent back.
    Replay(Place),
    /// Somebody has to look at it.
    Look,
}

/// One thing that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub sort: Sort,
    pub session_id: String,
    pub order_id: String,
    pub paid: Option<Money>,
    pub why: String,
    pub remedy: Remedy,
}

/// What the comparison says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub paid: Tally,
    pub orders: Tally,
    pub mails: usize,
    /// Mails that are still to be sent.
    pub mails_waiting: usize,
    /// Mails that email has given up; its dead letters tell why.
    pub mails_failed: usize,
    /// Payments without an address.
    pub no_address: usize,
    /// In the order of sorts, then of sessions.
    pub gaps: Vec<Gap>,
}

/// How many, and how much of each currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub count: usize,
    /// In minor units.
    pub amounts: BTreeMap<Currency, i64>,
}

impl Sort {
    pub const ALL: [Self; 6] =
        [Self::Payment, Self::Held, Self::Order, Self::Amount, Self::Mail, Self::Unpaid];

    /// The word in metrics and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Held => "held",
            Self::Order => "order",
            Self::Amount => "amount",
            Self::Mail => "mail",
            Self::Unpaid => "unpaid",
        }
    }
}

impl Tally {
    fn add(&mut self, money: Option<Money>) {
        self.count += 1;
        if let Some(Money { amount, currency }) = money {
            let sum = self.amounts.entry(currency).or_default();
            *sum = sum.saturating_add(amount);
        }
    }
}

impl Checkout {
    fn money(&self) -> Option<Money> {
        Some(Money { amount: self.amount?, currency: self.currency? })
    }
}

impl Mail {
    /// Email could not be asked: of a mail whose end is unclear there is an id.
    pub fn is_untold(&self) -> bool {
        self.state == "unknown" && self.message_id.is_none()
    }
}

/// Holds everything that was paid against what came of it.
pub fn compare(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    for paid in facts.paid.values() {
        findings.paid.add(paid.money());
        if let Some(gap) = payment_gap(paid).or_else(|| findings.order_gap(facts, paid)) {
            findings.gaps.push(gap);
        }
    }
    let unpaid = facts.unpaid.values().map(|session| {
        let why = "an order was made of it, and Stripe does not say that it is paid";
        gap(Sort::Unpaid, session, why, Remedy::Look)
    });
    findings.gaps.extend(unpaid);
    findings.gaps.sort_by(|a, b| (a.sort, &a.session_id).cmp(&(b.sort, &b.session_id)));
    findings
}

fn gap(sort: Sort, paid: &Checkout, why: impl Into<String>, remedy: Remedy) -> Gap {
    Gap {
        sort,
        session_id: paid.session_id.clone(),
        order_id: paid.order_id.clone(),
        paid: paid.money(),
        why: why.into(),
        remedy,
    }
}

fn payment_gap(paid: &Checkout) -> Option<Gap> {
    let Some(row) = &paid.payment else {
        return Some(gap(Sort::Payment, paid, "payment has never heard of it", Remedy::Close));
    };
    match row.state.as_str() {
        "paid" => None,
        "held" => {
            let why = row.reason.as_deref().unwrap_or("it does not say why");
            Some(gap(Sort::Held, paid, why, Remedy::Look))
        }
        state => {
            let why = format!("payment says that it is {state}");
            Some(gap(Sort::Payment, paid, why, Remedy::Close))
        }
    }
}

impl Findings {
    fn order_gap(&mut self, facts: &Facts, paid: &Checkout) -> Option<Gap> {
        let Some(order) = facts.orders.get(&paid.session_id) else {
            let (why, remedy) = why_missing(facts, ServiceId::Order, paid);
            return Some(gap(Sort::Order, paid, why, remedy));
        };
        let ordered = Money { amount: order.amount, currency: order.currency };
        self.orders.add(Some(ordered));
        if paid.money() != Some(ordered) {
            let why = format!("the order says {ordered}");
            return Some(gap(Sort::Amount, paid, why, Remedy::Look));
        }
        if facts.mails { self.mail_gap(facts, paid, order) } else { None }
    }

    fn mail_gap(&mut self, facts: &Facts, paid: &Checkout, order: &Order) -> Option<Gap> {
        if facts.mailed.contains(&paid.session_id) {
            self.mails += 1;
            return None;
        }
        match order.mail.state.as_str() {
            "sent" => self.mails += 1,
            "failed" => self.mails_failed += 1,
            "queued" | "sending" | "unknown" => self.mails_waiting += 1,
            _ if paid.payment.as_ref().is_some_and(|row| !row.mailed) => self.no_address += 1,
            _ => {
                let (why, remedy) = why_missing(facts, ServiceId::Email, paid);
                return Some(gap(Sort::Mail, paid, why, remedy));
            }
        }
        None
    }
}

/// Why nothing came of a payment at a service, and what can be done.
fn why_missing(facts: &Facts, id: ServiceId, paid: &Checkout) -> (String, Remedy) {
    if let Some(place) = facts.letters.get(&(id, paid.session_id.clone())) {
        return (format!("the {id} service gave it up: {place}"), Remedy::Replay(place.clone()));
    }
    match facts.behind.get(&id) {
        Some(behind) if *behind > 0 => {
            let why =
                format!("the {id} service has {behind} messages to read: it may be among them");
            (why, Remedy::Wait)
        }
        _ => {
            (format!("the {id} service has read everything, and has nothing of it"), Remedy::Close)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(session: &str) -> Checkout {
        let row = Row { state: "paid".into(), mailed: true, reason: None };
        Checkout {
            session_id: session.into(),
            order_id: format!("order of {session}"),
            paid: true,
            amount: Some(100),
            currency: "INR".parse().ok(),
            payment: Some(row),
        }
    }

    fn order(session: &str, mail: &str) -> Order {
        let mail = Mail { state: mail.into(), message_id: None };
        let currency = "INR".parse().unwrap();
        Order { session_id: session.into(), amount: 100, currency, mail }
    }

    /// So many payments of which all has come.
    fn whole(count: usize) -> Facts {
        let mut facts = Facts { mails: true, ..Facts::default() };
        for number in 0..count {
            let session = format!("cs_{number}");
            facts.orders.insert(session.clone(), order(&session, "sent"));
            facts.paid.insert(session.clone(), paid(&session));
        }
        facts
    }

    fn told(facts: &Facts) -> Vec<String> {
        let gaps = compare(facts).gaps.into_iter();
        gaps.map(|gap| {
            format!("{} {}: {} ({:?})", gap.sort.word(), gap.session_id, gap.why, gap.remedy)
        })
        .collect()
    }

    #[test]
    fn what_is_whole_has_no_gap_and_its_money_is_equal() {
        let found = compare(&whole(3));
        assert_eq!((found.gaps.len(), found.mails, found.mails_waiting), (0, 3, 0));
        assert_eq!(found.paid, found.orders);
        assert_eq!(found.paid.amounts.into_values().collect::<Vec<_>>(), [300]);
        assert_eq!(compare(&Facts::default()), Findings::default());
    }

    #[test]
    fn each_gap_is_named_with_what_closes_it() {
        let mut facts = whole(6);
        let row = |facts: &mut Facts, session: &str, row: Option<Row>| {
            facts.paid.get_mut(session).unwrap().payment = row;
        };
        let of = |state: &str, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            Some(Row { state: state.into(), mailed: true, reason })
        };
        row(&mut facts, "cs_0", None);
        row(&mut facts, "cs_1", of("expired", None));
        row(&mut facts, "cs_2", of("held", Some("priced ₹1.00, paid ₹0.99")));
        facts.orders.remove("cs_3");
        facts.orders.get_mut("cs_4").unwrap().amount = 99;
        facts.orders.insert("cs_5".into(), order("cs_5", "none"));
        facts.unpaid.insert("cs_9".into(), paid("cs_9"));
        insta::assert_snapshot!(told(&facts).join("\n"), @r"
        payment cs_0: payment has never heard of it (Close)
        payment cs_1: payment says that it is expired (Close)
        held cs_2: priced ₹1.00, paid ₹0.99 (Look)
        order cs_3: the order service has read everything, and has nothing of it (Close)
        amount cs_4: the order says ₹0.99 (Look)
        mail cs_5: the email service has read everything, and has nothing of it (Close)
        unpaid cs_9: an order was made of it, and Stripe does not say that it is paid (Look)
        ");
    }

    #[test]
    fn what_is_given_up_or_not_read_yet_is_not_sent_again() {
        let mut facts = whole(1);
        facts.orders.clear();
        facts.behind.insert(ServiceId::Order, 7);
        assert_eq!(
            told(&facts),
            ["order cs_0: the order service has 7 messages to read: it may be among them (Wait)"]
        );
        let place: Place = "p.order-service.dlq/1/4".parse().unwrap();
        facts.letters.insert((ServiceId::Order, "cs_0".into()), place.clone());
        assert_eq!(compare(&facts).gaps[0].remedy, Remedy::Replay(place));
        // Another service's is another gap's.
        facts.letters.clear();
        facts.behind = BTreeMap::from([(ServiceId::Email, 7)]);
        assert_eq!(compare(&facts).gaps[0].remedy, Remedy::Close);
    }

    #[test]
    fn a_mail_is_missing_only_when_nobody_knows_of_it() {
        let gaps = |state: &str, change: &dyn Fn(&mut Facts)| {
            let mut facts = whole(1);
            facts.orders.insert("cs_0".into(), order("cs_0", state));
            change(&mut facts);
            let found = compare(&facts);
            let counts = (found.mails, found.mails_waiting, found.mails_failed, found.no_address);
            (found.gaps.len(), counts)
        };
        let as_it_is = |_: &mut Facts| {};
        assert_eq!(gaps("none", &as_it_is), (1, (0, 0, 0, 0)));
        assert_eq!(gaps("queued", &as_it_is), (0, (0, 1, 0, 0)));
        assert_eq!(gaps("unknown", &as_it_is), (0, (0, 1, 0, 0)), "sent again with the same id");
        assert_eq!(gaps("failed", &as_it_is), (0, (0, 0, 1, 0)));
        // Email's row is gone, but the mail was told.
        let was_told = |facts: &mut Facts| {
            facts.mailed.insert("cs_0".into());
        };
        assert_eq!(gaps("none", &was_told), (0, (1, 0, 0, 0)));
        let nowhere = |facts: &mut Facts| {
            facts.paid.get_mut("cs_0").unwrap().payment.as_mut().unwrap().mailed = false;
        };
        assert_eq!(gaps("none", &nowhere), (0, (0, 0, 0, 1)));
        assert_eq!(gaps("none", &|facts| facts.mails = false), (0, (0, 0, 0, 0)));
    }

    #[test]
    fn money_is_equal_to_the_minor_unit_and_in_its_currency() {
        let mut facts = whole(1);
        facts.orders.get_mut("cs_0").unwrap().currency = "JPY".parse().unwrap();
        assert_eq!(compare(&facts).gaps[0].sort, Sort::Amount);
        facts.paid.get_mut("cs_0").unwrap().amount = None;
        assert_eq!(compare(&facts).gaps[0].paid, None, "what Stripe does not say is not equal");
    }
}
