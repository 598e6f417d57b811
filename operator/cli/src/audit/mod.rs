//! `storefront audit`: what Stripe says was paid, beside the orders and mails that came of it; and the gaps
//! closed. Truth is asked where it stands: Stripe's list and payment's rows of payment, orders and mails of
//! the shop itself, what was told and given up of the brokers. Closes nothing itself: payment does.

mod ask;
mod compare;
mod report;
mod topics;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::bail;
use jiff::Timestamp;
use storefront_inspect::Session;

use crate::{
    Exit,
    args::AuditArguments,
    brokers::Brokers,
    output::{self, Output},
    terminal::Terminal,
};
use ask::Shop;
use compare::{Checkout, Facts, Findings, Gap, Remedy, Sort, compare};
use report::Report;

/// Between two looks at what seems to be missing.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One audit under way.
struct Audit<'a> {
    arguments: &'a AuditArguments,
    brokers: Brokers,
    session: Session,
    shop: Shop,
    since: Timestamp,
    until: Timestamp,
    facts: Facts,
}

/// Compares, and closes what it is told to.
pub async fn run(arguments: &AuditArguments) -> anyhow::Result<Exit> {
    let now = Timestamp::now();
    let until = arguments.until.map_or(now, |when| when.before(now));
    let since = arguments.since.before(now);
    if since >= until {
        bail!(
            "--since is {since}, which is not before --until, {until}: nothing lies between them"
        );
    }
    let brokers = arguments.brokers.read()?;
    let session = brokers.open()?;
    let shop = Shop::find(arguments).await?;
    let facts = Facts { mails: !arguments.no_mail, ..Facts::default() };
    let mut audit = Audit { arguments, brokers, session, shop, since, until, facts };
    let report = audit.run().await?;
    let open = report.left > 0;
    match arguments.output.output {
        Output::Json => output::print_json(&report)?,
        Output::Text => output::print(&report.text(Terminal::stdout()))?,
    }
    Ok(if open { Exit::Found } else { Exit::Done })
}

impl Audit<'_> {
    async fn run(&mut self) -> anyhow::Result<Report> {
        self.gather().await?;
        // What is on its way arrives in a moment, and is no gap.
        let found = self.look_until(self.arguments.settle, may_close_itself).await?;
        let found_gaps = found.gaps.clone();
        let counts =
            Sort::ALL.map(|sort| (sort, found_gaps.iter().filter(|gap| gap.sort == sort).count()));
        self.shop.count(&counts).await?;
        let left = if self.arguments.fix { self.close(found).await? } else { found };
        Ok(Report::new((self.since, self.until), self.arguments.fix, found_gaps, left))
    }

    /// Asks everybody about everything.
    async fn gather(&mut self) -> anyhow::Result<()> {
        let paid = self.shop.paid(self.since, self.until).await?;
        let ids = paid.iter().map(|it| (it.session_id.clone(), it.order_id.clone())).collect();
        self.facts.paid = paid.into_iter().map(|it| (it.session_id.clone(), it)).collect();
        self.ask_orders(ids).await?;
        let told = topics::read(&self.session, &self.brokers, self.since, &mut self.facts)?;
        let within = |at: Timestamp| at >= self.since && at < self.until;
        let strangers: BTreeSet<String> = told
            .into_iter()
            .filter(|it| within(it.created_at) && !self.facts.paid.contains_key(&it.session_id))
            .map(|it| it.session_id)
            .collect();
        for id in strangers {
            // Made before the span and paid in it, mostly.
            let session = self.shop.session(&id).await?;
            if session.as_ref().is_none_or(|session| !session.paid) {
                self.facts.unpaid.insert(id.clone(), session.unwrap_or_else(|| nobodys(id)));
            }
        }
        Ok(())
    }

    async fn ask_orders(&mut self, ids: Vec<(String, String)>) -> anyhow::Result<()> {
        let orders = self.shop.orders(ids).await?;
        let untold = |order: &compare::Order| order.mail.is_untold();
        if self.facts.mails && orders.iter().any(|(_, order)| untold(order)) {
            bail!(
                "the shop does not say what became of mails, as email does not answer: ask again when it \
                 does, or leave mails out with --no-mail"
            );
        }
        self.facts.orders.extend(orders);
        Ok(())
    }

    /// Looks again at what is missing until nothing is that `closes`, or the time is over.
    async fn look_until(
        &mut self,
        limit: Duration,
        closes: impl Fn(&Gap) -> bool,
    ) -> anyhow::Result<Findings> {
        let deadline = Instant::now() + limit;
        loop {
            let found = compare(&self.facts);
            if !found.gaps.iter().any(&closes) || Instant::now() >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let missing: Vec<&Gap> = found.gaps.iter().filter(|gap| closes(gap)).collect();
            self.look_again(&missing).await?;
        }
    }

    async fn look_again(&mut self, missing: &[&Gap]) -> anyhow::Result<()> {
        let mut orders = Vec::new();
        for gap in missing {
            if gap.sort == Sort::Payment
                && let Some(paid) = self.shop.session(&gap.session_id).await?
            {
                self.facts.paid.insert(gap.session_id.clone(), paid);
            }
            orders.push((gap.session_id.clone(), gap.order_id.clone()));
        }
        self.ask_orders(orders).await?;
        topics::look(&self.session, &self.brokers, &mut self.facts)
    }

    /// Has every gap closed that payment can close, and waits for it to be seen.
    async fn close(&mut self, found: Findings) -> anyhow::Result<Findings> {
        let closing: Vec<&Gap> =
            found.gaps.iter().filter(|gap| gap.remedy == Remedy::Close).collect();
        let sessions: BTreeSet<&str> = closing.iter().map(|gap| gap.session_id.as_str()).collect();
        for gap in &closing {
            let done = self.shop.close(&gap.session_id, gap.sort).await?;
            if self.arguments.output.output == Output::Text {
                output::note(&format!("{}: the payment is {}", gap.session_id, done.state));
            }
        }
        // A payment that was closed has its order and its mail before it.
        let closing =
            |gap: &Gap| may_close_itself(gap) && sessions.contains(gap.session_id.as_str());
        self.look_until(self.arguments.wait, closing).await
    }
}

/// Whether looking again can help: not while somebody has to do something.
fn may_close_itself(gap: &Gap) -> bool {
    matches!(gap.remedy, Remedy::Close | Remedy::Wait)
}

/// A session that Stripe does not know, or that is another shop's.
fn nobodys(session_id: String) -> Checkout {
    Checkout {
        session_id,
        order_id: String::new(),
        paid: false,
        amount: None,
        currency: None,
        payment: None,
    }
}
