//! What an audit has found, for people and programs. Pure.

use jiff::Timestamp;
use serde::Serialize;

use super::compare::{Findings, Gap, Remedy, Sort, Tally};
use crate::{
    table::{Cell, Column, Table},
    terminal::{Terminal, Tone},
    words,
};

/// The whole of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Whether gaps were to be closed.
    fix: bool,
    /// Paid at Stripe.
    paid: Tally,
    orders: Tally,
    mails: Mails,
    gaps: Vec<Line>,
    /// Gaps that are not closed.
    pub left: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Mails {
    sent: usize,
    waiting: usize,
    failed: usize,
    no_address: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    gap: Sort,
    session: String,
    order: String,
    /// In minor units, as Stripe says.
    amount: Option<i64>,
    currency: Option<String>,
    why: String,
    closed: bool,
    /// What is to be done; nothing about one that is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
    #[serde(skip)]
    money: String,
}

impl Report {
    /// `found` at first, and what the last look says.
    pub fn new(
        (since, until): (Timestamp, Timestamp),
        fix: bool,
        found: Vec<Gap>,
        last: Findings,
    ) -> Self {
        let Findings { paid, orders, mails, mails_waiting, mails_failed, no_address, gaps } = last;
        let left = gaps.len();
        let mut lines: Vec<Line> = gaps.into_iter().map(|gap| line(gap, fix, false)).collect();
        // Of a session one thing may be missing after the other: it is closed when nothing is.
        let is_left = |gap: &Gap| lines.iter().any(|line| line.session == gap.session_id);
        let closed: Vec<Gap> = found.into_iter().filter(|gap| !is_left(gap)).collect();
        lines.extend(closed.into_iter().map(|gap| line(gap, fix, true)));
        lines.sort_by(|a, b| (a.gap, &a.session).cmp(&(b.gap, &b.session)));
        let mails = Mails { sent: mails, waiting: mails_waiting, failed: mails_failed, no_address };
        Self { since, until, fix, paid, orders, mails, gaps: lines, left }
    }

    /// For people: what was compared, the gaps, and one line that says how it stands.
    pub fn text(&self, terminal: Terminal) -> String {
        let mut text = terminal.paint(
            Tone::Dim,
            &format!("Checkout sessions made from {:.0} to {:.0}", self.since, self.until),
        );
        text.push('\n');
        text.push_str(&self.counts().text(terminal));
        if !self.gaps.is_empty() {
            text.push('\n');
            text.push_str(&self.table().text(terminal));
        }
        text.push('\n');
        text.push_str(&self.last_line(terminal));
        text
    }

    fn counts(&self) -> Table {
        let mut table = Table::new(&[Column::text(""), Column::number(""), Column::text("")]);
        let mut row = |name: &str, count: usize, more: String| {
            table.row([name.into(), count.to_string().into(), more.into()]);
        };
        row("paid", self.paid.count, self.paid.shown());
        row("orders", self.orders.count, self.orders.shown());
        let Mails { sent, waiting, failed, no_address } = self.mails;
        let others = [
            (waiting, "on their way"),
            (failed, "given up: see `storefront dlq list --service email`"),
            (no_address, "without an address"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        let others: Vec<_> = others.map(|(count, what)| format!("{count} {what}")).collect();
        row("mails", sent, others.join(", "));
        table
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            Column::text("GAP"),
            Column::text("SESSION"),
            Column::number("PAID"),
            Column::long("WHY"),
            Column::long("NOW"),
        ]);
        for line in &self.gaps {
            let tone = if line.closed { Tone::Good } else { Tone::Bad };
            let now = line.todo.as_deref().unwrap_or("closed");
            table.row([
                Cell::toned(tone, line.gap.word()),
                line.session.as_str().into(),
                line.money.as_str().into(),
                line.why.as_str().into(),
                Cell::toned(tone, now),
            ]);
        }
        table
    }

    fn last_line(&self, terminal: Terminal) -> String {
        if self.gaps.is_empty() {
            return terminal.paint(Tone::Good, "no gap") + "\n";
        }
        let found = words::count(self.gaps.len(), "gap");
        let closed = self.gaps.len() - self.left;
        let tone = if self.left == 0 { Tone::Good } else { Tone::Bad };
        terminal.paint(tone, &format!("{found}: {closed} closed, {} left", self.left)) + "\n"
    }
}

impl Tally {
    fn shown(&self) -> String {
        let money = |(currency, amount): (&_, &_)| {
            storefront_contract::Money { amount: *amount, currency: *currency }.to_string()
        };
        self.amounts.iter().map(money).collect::<Vec<_>>().join(", ")
    }
}

fn line(gap: Gap, fix: bool, closed: bool) -> Line {
    let todo = match &gap.remedy {
        _ if closed => None,
        Remedy::Close if fix => {
            Some("sent again, and nothing came yet: run it once more".to_owned())
        }
        Remedy::Close => Some("--fix closes it".to_owned()),
        Remedy::Wait => Some("wait, and look again".to_owned()),
        Remedy::Replay(place) => Some(format!("storefront dlq replay {place}")),
        Remedy::Look => Some("look at it yourself".to_owned()),
    };
    Line {
        gap: gap.sort,
        session: gap.session_id,
        order: gap.order_id,
        amount: gap.paid.map(|money| money.amount),
        currency: gap.paid.map(|money| money.currency.code().to_owned()),
        money: gap.paid.map_or_else(|| "?".to_owned(), |money| money.to_string()),
        why: gap.why,
        closed,
        todo,
    }
}

#[cfg(test)]
mod tests {
    use storefront_contract::Money;

    use super::*;

    fn gap(sort: Sort, session: &str, remedy: Remedy) -> Gap {
        Gap {
            sort,
            session_id: session.into(),
            order_id: "5ab5989b-728e-548e-b0f9-2ecbda30970d".into(),
            paid: Some(Money { amount: 1_899_900, currency: "INR".parse().unwrap() }),
            why: "payment has never heard of it".into(),
            remedy,
        }
    }

    fn report(fix: bool, found: Vec<Gap>, left: Vec<Gap>) -> Report {
        let mut paid = Tally { count: 12, ..Tally::default() };
        paid.amounts.insert("INR".parse().unwrap(), 22_798_800);
        let orders = Tally { count: 11, amounts: paid.amounts.clone() };
        let last = Findings {
            paid,
            orders,
            mails: 9,
            mails_waiting: 1,
            mails_failed: 1,
            no_address: 0,
            gaps: left,
        };
        let span =
            ("2026-01-01T10:00:00Z".parse().unwrap(), "2026-01-02T10:00:00Z".parse().unwrap());
        Report::new(span, fix, found, last)
    }

    #[test]
    fn people_read_what_was_compared_and_what_is_to_be_done() {
        let place = "payment-successful.order-service.dlq/1/4".parse().unwrap();
        let found = vec![
            gap(Sort::Payment, "cs_test_a", Remedy::Close),
            gap(Sort::Order, "cs_test_b", Remedy::Replay(place)),
        ];
        insta::assert_snapshot!(
            report(false, found.clone(), found.clone()).text(Terminal::default())
        );
        let left = vec![found[1].clone()];
        let fixed = report(true, found, left);
        insta::assert_snapshot!(fixed.text(Terminal::default()));
        insta::assert_snapshot!(serde_json::to_string_pretty(&fixed).unwrap());
        let nothing = report(true, Vec::new(), Vec::new()).text(Terminal::default());
        assert!(nothing.ends_with("no gap\n"), "{nothing}");
    }

    #[test]
    fn a_session_is_closed_when_nothing_of_it_is_missing() {
        // Its payment was closed, and now its order is missing: one gap, and left.
        let found = vec![gap(Sort::Payment, "cs_test_a", Remedy::Close)];
        let left = vec![gap(Sort::Order, "cs_test_a", Remedy::Wait)];
        let report = report(true, found, left);
        assert_eq!((report.gaps.len(), report.left), (1, 1));
        assert_eq!(report.gaps[0].todo.as_deref(), Some("wait, and look again"));
    }
}
