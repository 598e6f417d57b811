//! The tables of the aggregates. Times are Unix milliseconds; a row's `starts_at` is the begin of its
//! minute or hour (UTC).

use storefront_runtime::Migration;

/// Steps that bring an empty database here.
pub const MIGRATIONS: &[Migration] = &[
    Migration::same("sales", SALES),
    Migration::same("mails", MAILS),
    Migration::same("latency", LATENCY),
    Migration::same("sessions", SESSIONS),
];

/// Payments and orders by `minute` and by `hour`, for each currency.
const SALES: &str = "
CREATE TABLE sales (
    step TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    currency TEXT NOT NULL,
    payments BIGINT NOT NULL,
    revenue BIGINT NOT NULL,
    orders BIGINT NOT NULL,
    PRIMARY KEY (step, starts_at, currency)
);
";

/// Mails sent, by hour and template.
const MAILS: &str = "
CREATE TABLE mails (
    starts_at BIGINT NOT NULL,
    template TEXT NOT NULL,
    sent BIGINT NOT NULL,
    PRIMARY KEY (starts_at, template)
);
";

/// From payment to mail, by the mail's hour: a histogram. `at_most_ms` is a bucket's upper bound.
const LATENCY: &str = "
CREATE TABLE latency (
    starts_at BIGINT NOT NULL,
    at_most_ms BIGINT NOT NULL,
    mails BIGINT NOT NULL,
    sum_ms BIGINT NOT NULL,
    longest_ms BIGINT NOT NULL,
    PRIMARY KEY (starts_at, at_most_ms)
);
";

/// What is known of each session, for a bounded time: which event was counted (another one of the same
/// kind is not), and when it was paid and mailed, in whichever order that is heard.
const SESSIONS: &str = "
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL,
    paid_id TEXT,
    paid_at BIGINT,
    awaits_mail BIGINT,
    ordered_id TEXT,
    receipt_id TEXT,
    confirmation_id TEXT,
    mailed_at BIGINT,
    measured BIGINT NOT NULL
);
CREATE INDEX sessions_seen_at ON sessions (seen_at);
CREATE INDEX sessions_awaiting ON sessions (session_id) WHERE awaits_mail = 1 AND mailed_at IS NULL;
";
