//! Tables of the ledger. A change here needs a new table or column that an old file can be given.

/// Run at every start.
pub const STATEMENTS: &[&str] = &[
    // `body` is the session whole; the columns are what it is looked up by.
    "CREATE TABLE IF NOT EXISTS sessions (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        state TEXT NOT NULL,
        payment_intent TEXT,
        body TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS sessions_by_state ON sessions (state, seq)",
    "CREATE INDEX IF NOT EXISTS sessions_by_time ON sessions (created, seq)",
    "CREATE INDEX IF NOT EXISTS sessions_to_expire ON sessions (expires_at) WHERE state = 'open'",
    "CREATE INDEX IF NOT EXISTS sessions_by_intent ON sessions (payment_intent)
        WHERE payment_intent IS NOT NULL",
    // `delivery` is pending, delivered, dropped, failed or none.
    "CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL,
        type TEXT NOT NULL,
        delivery TEXT NOT NULL,
        copies INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_ms INTEGER NOT NULL,
        last_result TEXT,
        request TEXT NOT NULL,
        object TEXT NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS events_by_time ON events (created, seq)",
    "CREATE INDEX IF NOT EXISTS events_by_type ON events (type, seq)",
    "CREATE INDEX IF NOT EXISTS events_due ON events (due_ms) WHERE delivery = 'pending'",
    "CREATE INDEX IF NOT EXISTS events_by_delivery ON events (delivery, attempts)",
    // In the order of arrival, with only the short keys in random order: the answers are long.
    "CREATE TABLE IF NOT EXISTS idempotency_keys (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        endpoint TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        request_id TEXT NOT NULL,
        status INTEGER NOT NULL,
        body TEXT NOT NULL
    )",
    // `raw` stands last: a list reads a row's first page only.
    "CREATE TABLE IF NOT EXISTS mails (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        is_read INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL,
        summary TEXT NOT NULL,
        addresses TEXT NOT NULL,
        envelope TEXT NOT NULL,
        search_text TEXT NOT NULL,
        raw BLOB NOT NULL
    )",
    "CREATE INDEX IF NOT EXISTS mails_by_message_id ON mails (message_id)",
    // Counted in the transaction that changes them, so that a list need not count rows.
    "CREATE TABLE IF NOT EXISTS mail_counts (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        total INTEGER NOT NULL,
        unread INTEGER NOT NULL
    )",
    "INSERT OR IGNORE INTO mail_counts VALUES (1, 0, 0)",
    "CREATE TRIGGER IF NOT EXISTS mail_came AFTER INSERT ON mails BEGIN
        UPDATE mail_counts SET total = total + 1, unread = unread + 1 - new.is_read;
    END",
    "CREATE TRIGGER IF NOT EXISTS mail_went AFTER DELETE ON mails BEGIN
        UPDATE mail_counts SET total = total - 1, unread = unread - 1 + old.is_read;
    END",
    "CREATE TRIGGER IF NOT EXISTS mail_was_read AFTER UPDATE OF is_read ON mails BEGIN
        UPDATE mail_counts SET unread = unread + old.is_read - new.is_read;
    END",
];
