//! The runtime's tables, in every service's schema or file.

use crate::db::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { name: "inbox", postgres: INBOX_POSTGRES, sqlite: INBOX_SQLITE },
    Migration { name: "outbox", postgres: OUTBOX_POSTGRES, sqlite: OUTBOX_SQLITE },
    Migration::same("offsets", OFFSETS),
    Migration { name: "parked", postgres: PARKED_POSTGRES, sqlite: PARKED_SQLITE },
    Migration::same("leases", LEASES),
];

/// Every event that was taken, by what names it. `state`: see `inbox::State`. Kept longer than the
/// topics' retention; the index serves the pruning, and on PostgreSQL a block range costs the inserts
/// nothing, as time only grows.
const INBOX_POSTGRES: &str = "
CREATE TABLE inbox (
    consumer_group TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    state BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (consumer_group, source, id)
);
CREATE INDEX inbox_seen_at ON inbox USING brin (seen_at) WITH (pages_per_range = 32);
";
const INBOX_SQLITE: &str = "
CREATE TABLE inbox (
    consumer_group TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    state BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (consumer_group, source, id)
) WITHOUT ROWID;
CREATE INDEX inbox_seen_at ON inbox (seen_at);
";

/// What is to be sent, in the order of `id`. `state`: see `outbox::State`. The table is a queue: its
/// rows live for milliseconds, so that on PostgreSQL it is vacuumed by count and not by share.
const OUTBOX_POSTGRES: &str = "
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic TEXT NOT NULL,
    partition BIGINT,
    key BYTEA,
    payload BYTEA,
    headers TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    state BIGINT NOT NULL DEFAULT 0,
    error TEXT
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX outbox_ready ON outbox (id) WHERE state = 0;
CREATE INDEX outbox_kept ON outbox (topic, id) WHERE state <> 0;
";
const OUTBOX_SQLITE: &str = "
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    partition BIGINT,
    key BYTEA,
    payload BYTEA,
    headers TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    state BIGINT NOT NULL DEFAULT 0,
    error TEXT
);
CREATE INDEX outbox_ready ON outbox (id) WHERE state = 0;
CREATE INDEX outbox_kept ON outbox (topic, id) WHERE state <> 0;
";

/// Where to read on, per partition. `epoch` grows with each new owner and fences the old one;
/// `generation` grows when the topic turns out to be another one of the same name, which
/// `fingerprint`, that of the record before `next_offset`, tells.
const OFFSETS: &str = "
CREATE TABLE offsets (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    fingerprint TEXT,
    PRIMARY KEY (consumer_group, topic, partition)
);
";

/// Events that wait for another attempt, and one row for each of their keys: whoever holds the lock on
/// that row decides about the key.
const PARKED_POSTGRES: &str = "
CREATE TABLE parked_keys (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    order_key TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (consumer_group, topic, order_key)
);
CREATE INDEX parked_keys_due_at ON parked_keys (due_at);
CREATE TABLE parked (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    order_key TEXT NOT NULL,
    partition BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    key BYTEA,
    payload BYTEA,
    headers TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT NOT NULL,
    parked_at BIGINT NOT NULL
);
CREATE INDEX parked_order ON parked (consumer_group, topic, order_key, position);
";
const PARKED_SQLITE: &str = "
CREATE TABLE parked_keys (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    order_key TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (consumer_group, topic, order_key)
);
CREATE INDEX parked_keys_due_at ON parked_keys (due_at);
CREATE TABLE parked (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    order_key TEXT NOT NULL,
    partition BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    key BYTEA,
    payload BYTEA,
    headers TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT NOT NULL,
    parked_at BIGINT NOT NULL
);
CREATE INDEX parked_order ON parked (consumer_group, topic, order_key, position);
";

/// Work that one instance at a time does.
const LEASES: &str = "
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
";
