//! Sums of one batch, in memory. Pure: knows no table, only what is added where.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use storefront_contract::Currency;

use crate::latency;

/// A minute and an hour, in milliseconds.
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// How finely sales are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Minute,
    Hour,
}

impl Step {
    const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// The begin of the minute or hour of a time.
    pub fn start_of(self, at_ms: i64) -> i64 {
        let length_ms = match self {
            Self::Minute => MINUTE_MS,
            Self::Hour => HOUR_MS,
        };
        at_ms - at_ms.rem_euclid(length_ms)
    }
}

/// One row of sales to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sales {
    pub payments: i64,
    pub revenue: i64,
    pub orders: i64,
}

/// One row of the histogram to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub mails: i64,
    pub sum_ms: i64,
    pub longest_ms: i64,
}

/// Everything that a batch adds, in the order of the keys: two batches at once lock in one order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sales: BTreeMap<(Step, i64, Currency), Sales>,
    pub mails: BTreeMap<(i64, &'static str), i64>,
    pub latency: BTreeMap<(i64, i64), Latency>,
}

impl Tally {
    pub fn payment(&mut self, at: Timestamp, currency: Currency, amount: i64) {
        self.sales(at, currency, |sales| {
            sales.payments += 1;
            sales.revenue = sales.revenue.saturating_add(amount);
        });
    }

    pub fn order(&mut self, at: Timestamp, currency: Currency) {
        self.sales(at, currency, |sales| sales.orders += 1);
    }

    pub fn mail(&mut self, at: Timestamp, template: &'static str) {
        *self.mails.entry((Step::Hour.start_of(at.as_millisecond()), template)).or_default() += 1;
    }

    /// A session's first mail. Clocks of two machines may have it before the payment: then it took
    /// no time.
    pub fn paid_and_mailed(&mut self, paid_at_ms: i64, mailed_at_ms: i64) {
        let ms = mailed_at_ms.saturating_sub(paid_at_ms).max(0);
        let key = (Step::Hour.start_of(mailed_at_ms), latency::bucket(ms));
        let sum = self.latency.entry(key).or_default();
        sum.mails += 1;
        sum.sum_ms = sum.sum_ms.saturating_add(ms);
        sum.longest_ms = sum.longest_ms.max(ms);
    }

    fn sales(&mut self, at: Timestamp, currency: Currency, add: impl Fn(&mut Sales)) {
        for step in Step::ALL {
            let key = (step, step.start_of(at.as_millisecond()), currency);
            add(self.sales.entry(key).or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_adds_up_by_minute_hour_and_currency() {
        let at = |text: &str| format!("2026-11-14T{text}Z").parse::<Timestamp>().unwrap();
        let (inr, jpy) = ("INR".parse().unwrap(), "JPY".parse().unwrap());
        let mut tally = Tally::default();
        tally.payment(at("10:31:07"), inr, 1_899_900);
        tally.payment(at("10:31:59.999"), inr, 100);
        tally.payment(at("10:32:00"), jpy, 500);
        tally.order(at("10:31:08"), inr);
        tally.mail(at("10:31:09"), "payment-receipt");
        tally.mail(at("11:00:00"), "payment-receipt");
        tally.paid_and_mailed(1_000, 1_400);
        tally.paid_and_mailed(1_000, 1_300);
        tally.paid_and_mailed(2_000, 1_000);
        insta::assert_debug_snapshot!(tally);
    }

    #[test]
    fn times_before_1970_have_their_minute_too() {
        assert_eq!(Step::Minute.start_of(-1), -60_000);
        assert_eq!(Step::Hour.start_of(0), 0);
    }
}
