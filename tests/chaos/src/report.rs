//! What a run has found, for people and for programs.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::Serialize;

use crate::{
    compare::Verdict,
    facts::Facts,
    lanes::Happened,
    options::{Options, Scenario},
    scenario::Figure,
    tell::clock,
};

/// From so many of them on, faults that have not bitten are a finding of their own.
const BITES_FROM: usize = 40;

/// Everything that a run leaves behind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub seed: u64,
    pub carts: usize,
    pub rate: u32,
    /// Seconds of load, and from its end until nothing was on its way any more.
    pub load_s: f64,
    pub quiet_s: f64,
    /// By the ledger.
    pub paid: usize,
    pub orders: usize,
    /// Mails that came, with those that came again.
    pub mails: usize,
    pub mails_again: usize,
    /// What was done, by kind.
    pub faults: BTreeMap<String, usize>,
    pub kills: usize,
    /// Instances that have ended by themselves, and were started again.
    pub ends: u32,
    /// How often a shopper had to ask again, and how long one waited for all answers to a cart together.
    pub asked_again: usize,
    pub longest_s: f64,
    /// What had to happen for the faults to have bitten.
    pub bites: Bites,
    /// What the scenario has measured.
    pub figures: Vec<Figure>,
    pub timeline: Vec<Line>,
    pub verdict: Verdict,
}

/// A fault of the timeline; times from the load's begin.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    at_s: f64,
    lasted_s: f64,
    what: String,
}

/// Each is more than nothing when the faults have struck where it hurts.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bites {
    /// Records of one `ce_id` beyond the first.
    pub wire_duplicates: usize,
    /// Events that a service knew already.
    pub inbox_hits: u64,
    /// Events that had to wait for another attempt, or behind one that had.
    pub parked: u64,
    /// How often a lease has passed to another instance.
    pub takeovers: u64,
    /// Attempts to send a mail of which email did not hear what had become: each may be one mail more.
    pub mails_unheard: usize,
    /// Garbage that was put among the payments.
    pub garbage: usize,
}

impl Bites {
    /// By name, for the table and for what is missing.
    fn all(&self) -> [(&'static str, u64); 6] {
        [
            ("wire duplicates", self.wire_duplicates as u64),
            ("inbox hits", self.inbox_hits),
            ("parked events", self.parked),
            ("leases taken over", self.takeovers),
            ("mails of which nobody heard", self.mails_unheard as u64),
            ("pieces of garbage", self.garbage as u64),
        ]
    }
}

/// What a run measures beside the facts.
pub struct Measured {
    pub load_s: f64,
    pub quiet_s: f64,
    pub inbox_hits: u64,
    pub parked: u64,
    pub ends: u32,
    pub carts: usize,
    pub asked_again: usize,
    pub longest_s: f64,
    /// Of the scenario.
    pub figures: Vec<Figure>,
}

impl Report {
    pub fn new(
        options: &Options,
        facts: &Facts,
        happened: &[Happened],
        measured: Measured,
        mut verdict: Verdict,
    ) -> Self {
        let bites = Bites {
            wire_duplicates: facts.topics.iter().map(|topic| topic.again).sum(),
            inbox_hits: measured.inbox_hits,
            parked: measured.parked,
            takeovers: facts.takeovers,
            mails_unheard: facts.unclear.values().sum(),
            garbage: facts.poison.len(),
        };
        let is_random = options.scenario == Scenario::Random && options.without.is_none();
        if is_random && happened.len() >= BITES_FROM {
            for (what, _) in bites.all().into_iter().filter(|(_, count)| *count == 0) {
                verdict.toothless(what);
            }
        }
        let mut faults = BTreeMap::<String, usize>::new();
        for happened in happened {
            *faults.entry(happened.what.clone()).or_default() += 1;
        }
        let line = |happened: &Happened| Line {
            at_s: seconds(happened.at),
            lasted_s: seconds(happened.lasted),
            what: happened.what.clone(),
        };
        let mails: usize = facts.mails.values().sum();
        Self {
            seed: options.seed,
            carts: measured.carts,
            rate: options.rate,
            load_s: measured.load_s,
            quiet_s: measured.quiet_s,
            paid: facts.sessions.values().filter(|session| session.is_paid).count(),
            orders: facts.orders.len(),
            mails,
            mails_again: mails - facts.mails.len(),
            faults,
            kills: happened.iter().filter(|happened| happened.is_kill).count(),
            ends: measured.ends,
            asked_again: measured.asked_again,
            longest_s: measured.longest_s,
            bites,
            figures: measured.figures,
            timeline: happened.iter().map(line).collect(),
            verdict,
        }
    }

    /// Nothing was lost, doubled or otherwise wrong.
    pub fn holds(&self) -> bool {
        self.verdict.holds()
    }

    /// The line that says it all.
    pub fn last_line(&self) -> String {
        let Verdict { lost, doubled, wrong, .. } = &self.verdict;
        let mut line = format!("lost {lost}, doubled {doubled}");
        if *wrong > 0 {
            write!(line, ", wrong {wrong}").ok();
        }
        write!(line, " (seed {}: {} paid, {} kills)", self.seed, self.paid, self.kills).ok();
        line
    }
}

fn seconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "what was done, in minutes of load")?;
        for Line { at_s, lasted_s, what } in &self.timeline {
            let at = clock(std::time::Duration::from_secs_f64(*at_s));
            writeln!(f, "  {at}  {lasted_s:>5.1} s  {what}")?;
        }
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<44}{value:>8}");
        row("carts", self.carts.to_string())?;
        row("paid, by the ledger", self.paid.to_string())?;
        row("orders", self.orders.to_string())?;
        row("mails, by the sink", self.mails.to_string())?;
        row("  of them again", self.mails_again.to_string())?;
        row("faults", self.timeline.len().to_string())?;
        row("  of them kills", self.kills.to_string())?;
        row("instances that ended by themselves", self.ends.to_string())?;
        for (name, count) in self.bites.all() {
            row(name, count.to_string())?;
        }
        row("times that a shopper asked again", self.asked_again.to_string())?;
        row("longest that one was at the till, s", format!("{:.1}", self.longest_s))?;
        row("seconds of load", format!("{:.0}", self.load_s))?;
        row("seconds until all was quiet", format!("{:.0}", self.quiet_s))?;
        for Figure { name, value } in &self.figures {
            row(
                name,
                if value.fract() == 0.0 { value.to_string() } else { format!("{value:.1}") },
            )?;
        }
        for finding in &self.verdict.findings {
            writeln!(f, "  {finding}")?;
        }
        f.write_str(&self.last_line())
    }
}
