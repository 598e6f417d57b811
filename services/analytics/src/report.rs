//! Reads the aggregates back, as `GET /analytics` shows them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use storefront_contract::Currency;
use storefront_runtime::{Database, DatabaseError, Row};

use crate::{latency, tally::Step};

/// What is listed minute by minute.
const MINUTES: SignedDuration = SignedDuration::from_mins(60);
/// What is listed hour by hour.
const HOURS: SignedDuration = SignedDuration::from_hours(48);
/// Most rows of a list: a few currencies.
const ROWS_MAX: i64 = 1_000;

/// Everything that analytics knows. Totals are of all time, money in minor units.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub payments: i64,
    pub orders: i64,
    /// By currency.
    pub revenue: BTreeMap<String, i64>,
    /// The last 60 minutes in which something happened, the oldest first.
    pub by_minute: Vec<SalesRow>,
    /// The last 48 hours, likewise.
    pub by_hour: Vec<SalesRow>,
    pub mails: Mails,
    pub payment_to_mail: PaymentToMail,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SalesRow {
    /// Of the minute or hour.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub start: Timestamp,
    #[schemars(with = "Currency")]
    pub currency: String,
    pub payments: i64,
    pub revenue: i64,
    pub orders: i64,
}

#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mails {
    pub sent: i64,
    pub by_template: BTreeMap<String, i64>,
    /// Payments of the last 30 days with an address and no mail so far.
    pub awaited: i64,
}

/// Times from payment to the session's first mail; quantiles are estimates.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentToMail {
    pub count: i64,
    pub average_ms: Option<i64>,
    pub p50_ms: Option<i64>,
    pub p95_ms: Option<i64>,
    pub longest_ms: Option<i64>,
}

/// Reads it all, as of `now`.
pub async fn report(database: &Database, now: Timestamp) -> Result<Report, DatabaseError> {
    let (mut payments, mut orders, mut revenue) = (0, 0, BTreeMap::new());
    for row in database
        .query(
            "SELECT currency, CAST(SUM(payments) AS BIGINT) AS payments, \
                CAST(SUM(revenue) AS BIGINT) AS revenue, CAST(SUM(orders) AS BIGINT) AS orders \
             FROM sales WHERE step = 'hour' GROUP BY currency",
            &[],
        )
        .await?
    {
        payments += row.int("payments")?;
        orders += row.int("orders")?;
        revenue.insert(row.text("currency")?, row.int("revenue")?);
    }
    Ok(Report {
        payments,
        orders,
        revenue,
        by_minute: sales(database, Step::Minute, now - MINUTES).await?,
        by_hour: sales(database, Step::Hour, now - HOURS).await?,
        mails: mails(database).await?,
        payment_to_mail: payment_to_mail(database).await?,
    })
}

async fn sales(
    database: &Database,
    step: Step,
    since: Timestamp,
) -> Result<Vec<SalesRow>, DatabaseError> {
    let rows = database
        .query(
            "SELECT starts_at, currency, payments, revenue, orders FROM sales \
             WHERE step = $1 AND starts_at >= $2 ORDER BY starts_at DESC, currency DESC LIMIT $3",
            &[step.name().into(), since.into(), ROWS_MAX.into()],
        )
        .await?;
    rows.iter().rev().map(sales_row).collect()
}

fn sales_row(row: &Row) -> Result<SalesRow, DatabaseError> {
    Ok(SalesRow {
        // Every time in the table came from a timestamp.
        start: Timestamp::from_millisecond(row.int("starts_at")?).unwrap_or_default(),
        currency: row.text("currency")?,
        payments: row.int("payments")?,
        revenue: row.int("revenue")?,
        orders: row.int("orders")?,
    })
}

async fn mails(database: &Database) -> Result<Mails, DatabaseError> {
    let mut by_template = BTreeMap::new();
    for row in database
        .query(
            "SELECT template, CAST(SUM(sent) AS BIGINT) AS sent FROM mails GROUP BY template",
            &[],
        )
        .await?
    {
        by_template.insert(row.text("template")?, row.int("sent")?);
    }
    let awaited = database
        .query(
            "SELECT COUNT(*) AS awaited FROM sessions WHERE awaits_mail = 1 AND mailed_at IS NULL",
            &[],
        )
        .await?;
    let awaited = awaited.first().map_or(Ok(0), |row| row.int("awaited"))?;
    Ok(Mails { sent: by_template.values().sum(), by_template, awaited })
}

async fn payment_to_mail(database: &Database) -> Result<PaymentToMail, DatabaseError> {
    let rows = database
        .query(
            "SELECT at_most_ms, CAST(SUM(mails) AS BIGINT) AS mails, \
                CAST(SUM(sum_ms) AS BIGINT) AS sum_ms, MAX(longest_ms) AS longest_ms \
             FROM latency GROUP BY at_most_ms ORDER BY at_most_ms",
            &[],
        )
        .await?;
    let (mut buckets, mut sum_ms, mut longest_ms) = (Vec::new(), 0_i64, None);
    for row in &rows {
        buckets.push((row.int("at_most_ms")?, row.int("mails")?));
        sum_ms = sum_ms.saturating_add(row.int("sum_ms")?);
        longest_ms = longest_ms.max(Some(row.int("longest_ms")?));
    }
    let count: i64 = buckets.iter().map(|(_, mails)| mails).sum();
    let quantile = |share| latency::quantile(&buckets, longest_ms.unwrap_or_default(), share);
    Ok(PaymentToMail {
        count,
        average_ms: sum_ms.checked_div(count),
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        longest_ms,
    })
}
