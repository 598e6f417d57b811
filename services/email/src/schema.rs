//! The tables of mails and addresses. Times are Unix milliseconds.

use storefront_runtime::Migration;

/// Steps that bring an empty database here.
pub const MIGRATIONS: &[Migration] =
    &[Migration::same("mails", MAILS), Migration::same("addresses", ADDRESSES)];

/// One row a mail, for ever: `mail_id` follows from session and template, so the same mail cannot be
/// queued twice. `state` is one of `queued, sending, sent, unknown, failed`. `due_at` is when somebody
/// should look at it next (while `sending`: when the claim ends), and nothing once that is never.
/// `recipient`, `payload` and what is beside it
/// in the record go when they are no longer needed; the row stays.
const MAILS: &str = "
CREATE TABLE mails (
    mail_id TEXT PRIMARY KEY,
    message_id TEXT NOT NULL,
    template TEXT NOT NULL,
    order_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    attempts BIGINT NOT NULL,
    unclear BIGINT NOT NULL,
    due_at BIGINT,
    holder TEXT,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    dead_lettered BIGINT NOT NULL,
    recipient TEXT,
    traceparent TEXT,
    event_topic TEXT NOT NULL,
    event_partition BIGINT NOT NULL,
    event_offset BIGINT NOT NULL,
    event_source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_key BYTEA,
    event_headers TEXT,
    payload BYTEA
);
CREATE INDEX mails_due_at ON mails (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX mails_order_id ON mails (order_id);
CREATE INDEX mails_kept ON mails (changed_at) WHERE payload IS NOT NULL AND due_at IS NULL;
";

/// Where the mails of a session go, as its payment said: the order's event does not know. A row
/// without address says that there is none.
const ADDRESSES: &str = "
CREATE TABLE addresses (
    session_id TEXT PRIMARY KEY,
    address TEXT,
    kept_until BIGINT NOT NULL
);
CREATE INDEX addresses_kept_until ON addresses (kept_until);
";
