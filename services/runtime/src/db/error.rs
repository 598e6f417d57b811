//! What can go wrong with a database, sorted by what a caller can do about it.

use std::{borrow::Cow, io};

/// What a caller can do about a failure. The consumer's whole behaviour hangs on this: a `Data`
/// failure is the event's own fault and dead-letters it, everything else pauses and waits, because
/// no event may pay for a database that is away, full, read-only or misconfigured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lost against another transaction: the same transaction again may succeed at once.
    Conflict,
    /// Away, starting, full, out of connections, read-only, too slow: wait and try again.
    Unavailable,
    /// The link was cut at `COMMIT`: read what is stored before doing it again.
    CommitUnknown,
    /// The values are refused (a constraint, a type, a size): the same values never succeed.
    Data,
    /// The statement, the schema or a permission is wrong: only a person can help.
    Broken,
}

/// A failure of the database. Texts name what was tried; the cause is chained.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database URL {problem}")]
    Url { problem: &'static str },
    #[error("the file of the database URL cannot be read")]
    UrlFile(#[source] std::io::Error),
    #[error("could not connect to the database")]
    Connect {
        kind: Kind,
        #[source]
        source: sqlx::Error,
    },
    #[error("statement failed: {statement}")]
    Statement {
        kind: Kind,
        statement: Cow<'static, str>,
        #[source]
        source: sqlx::Error,
    },
    /// A caller went on after an error, which PostgreSQL would answer by a silent rollback at
    /// `COMMIT`: here it is an error on both databases.
    #[error("an earlier statement of this transaction failed, so nothing of it is kept")]
    Aborted { kind: Kind },
    #[error("it is not known whether the transaction was committed")]
    CommitUnknown(#[source] sqlx::Error),
    #[error("column {column} is missing, null or of another type")]
    Column {
        column: String,
        #[source]
        source: Option<sqlx::Error>,
    },
    #[error("migration {position} is {found:?} in the database and {expected:?} in this program")]
    ForeignMigration { position: usize, found: String, expected: &'static str },
    #[error("the rows to insert do not fit their columns")]
    Shape,
    #[error("the transaction took too long")]
    TooSlow,
    /// A statement that was run for several callers failed: each is told.
    #[error(transparent)]
    Shared(std::sync::Arc<DatabaseError>),
}

impl DatabaseError {
    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Connect { kind, .. } | Self::Statement { kind, .. } | Self::Aborted { kind } => {
                *kind
            }
            Self::CommitUnknown(_) => Kind::CommitUnknown,
            Self::Shared(error) => error.kind(),
            // The file of a Secret can be missing for a moment while it is swapped.
            Self::UrlFile(_) | Self::TooSlow => Kind::Unavailable,
            Self::Url { .. }
            | Self::Column { .. }
            | Self::ForeignMigration { .. }
            | Self::Shape => Kind::Broken,
        }
    }

    /// Whether waiting and trying again can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self.kind(), Kind::Conflict | Kind::Unavailable | Kind::CommitUnknown)
    }

    /// Whether the database has said nothing for as long as we wait: its connection may be dead, or it is at
    /// work on what we asked, and may yet do it.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Statement { source: sqlx::Error::Io(error), .. } => {
                error.kind() == io::ErrorKind::TimedOut
            }
            Self::Shared(error) => error.is_silence(),
            _ => false,
        }
    }

    /// A fixed word for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self.kind() {
            Kind::Conflict => "database-conflict",
            Kind::Unavailable => "database-unavailable",
            Kind::CommitUnknown => "commit-unknown",
            Kind::Data => "data-refused",
            Kind::Broken => "database-broken",
        }
    }

    pub(crate) fn statement(statement: impl Into<Cow<'static, str>>, source: sqlx::Error) -> Self {
        let kind = classify(&source);
        Self::Statement { kind, statement: shorten(&statement.into()), source }
    }

    pub(crate) fn connect(source: sqlx::Error) -> Self {
        Self::Connect { kind: classify(&source), source }
    }
}

/// Enough of a statement to find it, without its values (they are parameters) and on one line.
fn shorten(statement: &str) -> Cow<'static, str> {
    const LENGTH_MAX: usize = 100;
    let words: Vec<&str> = statement.split_whitespace().collect();
    let mut line = words.join(" ");
    if line.chars().count() > LENGTH_MAX {
        line = line.chars().take(LENGTH_MAX).chain(['…']).collect();
    }
    line.into()
}

pub(crate) fn classify(error: &sqlx::Error) -> Kind {
    use sqlx::Error as E;
    match error {
        E::Database(error) => {
            if let Some(error) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                sqlstate(error.code())
            } else {
                let code = error.code().and_then(|code| code.parse().ok());
                code.map_or(Kind::Broken, result_code)
            }
        }
        E::Io(_)
        | E::Tls(_)
        | E::Protocol(_)
        | E::PoolTimedOut
        | E::PoolClosed
        | E::WorkerCrashed => Kind::Unavailable,
        _ => Kind::Broken,
    }
}

/// Whether the connection was ended, by PostgreSQL or on the way, and not for want of something that another
/// one would lack as well: what was not committed there did not happen, and may be done anew.
pub(crate) fn is_cut(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::TimedOut,
        // admin_shutdown, crash_shutdown, idle_in_transaction_session_timeout
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| matches!(&*code, "57P01" | "57P02" | "25P03"))
        }
        _ => false,
    }
}

/// PostgreSQL, Appendix A. PostgreSQL Error Codes.
fn sqlstate(code: &str) -> Kind {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => Kind::Conflict,
        // read_only_sql_transaction: a failover left us on the old primary.
        // idle_in_transaction_session_timeout: the server gave up on us.
        "25006" | "25P03" => Kind::Unavailable,
        // program_limit_exceeded: a row or an index entry that is too large.
        "54000" => Kind::Data,
        _ => match code.get(..2) {
            // connection, authentication (a rotation is under way), resources, operator
            // intervention (shutdown, cancelled by statement_timeout), system error.
            Some("08" | "28" | "53" | "57" | "58") => Kind::Unavailable,
            Some("22" | "23") => Kind::Data,
            _ => Kind::Broken,
        },
    }
}

/// SQLite, Result and Error Codes; the low byte is the primary code.
fn result_code(code: i32) -> Kind {
    match code & 0xff {
        5 | 6 => Kind::Conflict,                            // BUSY, LOCKED
        7 | 8 | 9 | 10 | 13 | 14 | 15 => Kind::Unavailable, // NOMEM READONLY INTERRUPT IOERR FULL CANTOPEN PROTOCOL
        18..=20 => Kind::Data,                              // TOOBIG, CONSTRAINT, MISMATCH
        _ => Kind::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_can_be_done() {
        let postgres = [
            ("40001", Kind::Conflict),
            ("40P01", Kind::Conflict),
            ("55P03", Kind::Conflict),
            ("08006", Kind::Unavailable),
            ("53300", Kind::Unavailable),
            ("57P01", Kind::Unavailable),
            ("57014", Kind::Unavailable),
            ("25006", Kind::Unavailable),
            ("28P01", Kind::Unavailable),
            ("23505", Kind::Data),
            ("22021", Kind::Data),
            ("42P01", Kind::Broken),
            ("42501", Kind::Broken),
        ];
        for (code, kind) in postgres {
            assert_eq!(sqlstate(code), kind, "{code}");
        }
        // 2067 is SQLITE_CONSTRAINT_UNIQUE, 261 SQLITE_BUSY_RECOVERY.
        for (code, kind) in [
            (5, Kind::Conflict),
            (261, Kind::Conflict),
            (13, Kind::Unavailable),
            (2067, Kind::Data),
            (1, Kind::Broken),
        ] {
            assert_eq!(result_code(code), kind, "{code}");
        }
    }

    #[test]
    fn a_statement_is_shown_short_and_on_one_line() {
        let error =
            DatabaseError::statement("SELECT a\n        FROM   t", sqlx::Error::PoolTimedOut);
        assert_eq!(error.to_string(), "statement failed: SELECT a FROM t");
        assert!(error.is_temporary());
    }
}
