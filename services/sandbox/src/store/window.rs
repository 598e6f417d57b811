//! A page of rows in the order in which they were stored, between two times, from a cursor on.

use sqlx::{QueryBuilder, Sqlite};

/// Rows that are stored side by side may differ this much in `created`, as when a clock is set or
/// requests overtake each other. The exact condition holds; this only says where to begin.
const SKEW_S: i64 = 120;

/// Which rows of a table with `seq` and `created`, newest first.
#[derive(Debug, Clone, Default)]
pub struct Window {
    /// `created` at least, in seconds.
    pub since: Option<i64>,
    /// `created` at most.
    pub until: Option<i64>,
    /// Below this `seq`: the next page.
    pub after: Option<i64>,
    /// Above this `seq`: the page before.
    pub before: Option<i64>,
    pub limit: i64,
}

impl Window {
    /// Adds conditions, order and limit. One row more than the limit is read, to know of the rest.
    pub fn push(&self, sql: &mut QueryBuilder<Sqlite>, table: &'static str) {
        self.push_conditions(sql, table);
        self.push_order(sql);
    }

    /// As [`Window::push`], for rows of several kinds: a page of each is read by the index on
    /// `column` and `seq`, then the page of all of them. One search for all kinds would sort every
    /// row there is. No other condition may stand beside it.
    pub fn push_kinds(
        &self,
        sql: &mut QueryBuilder<Sqlite>,
        table: &'static str,
        column: &'static str,
        kinds: &[&'static str],
    ) {
        sql.push(" AND seq IN (SELECT NULL");
        for kind in kinds {
            sql.push(format_args!(" UNION ALL SELECT seq FROM (SELECT seq FROM {table} "));
            sql.push(format_args!("WHERE {column} = ")).push_bind(*kind);
            self.push(sql, table);
            sql.push(")");
        }
        sql.push(")");
        self.push_order(sql);
    }

    fn push_order(&self, sql: &mut QueryBuilder<Sqlite>) {
        sql.push(if self.before.is_some() { " ORDER BY seq" } else { " ORDER BY seq DESC" });
        sql.push(" LIMIT ").push_bind(self.limit.saturating_add(1));
    }

    fn push_conditions(&self, sql: &mut QueryBuilder<Sqlite>, table: &'static str) {
        // A condition on `created` alone would read all that is newer, or older, than the page. The
        // plus keeps SQLite from the index on `created`, whose rows it would have to sort.
        if let Some(since) = self.since {
            sql.push(" AND +created >= ").push_bind(since);
            sql.push(format_args!(" AND seq >= (SELECT seq FROM {table} WHERE created >= "));
            sql.push_bind(since.saturating_sub(SKEW_S));
            sql.push(" ORDER BY created, seq LIMIT 1)");
        }
        if let Some(until) = self.until {
            sql.push(" AND +created <= ").push_bind(until);
            sql.push(format_args!(" AND seq <= (SELECT seq FROM {table} WHERE created <= "));
            sql.push_bind(until.saturating_add(SKEW_S));
            sql.push(" ORDER BY created DESC, seq DESC LIMIT 1)");
        }
        if let Some(after) = self.after {
            sql.push(" AND seq < ").push_bind(after);
        }
        if let Some(before) = self.before {
            sql.push(" AND seq > ").push_bind(before);
        }
    }

    /// Cuts the one row more, turns a page that was read upwards round, and says if there is more.
    pub fn page<T>(&self, mut rows: Vec<T>) -> (Vec<T>, bool) {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        if self.before.is_some() {
            rows.reverse();
        }
        (rows, has_more)
    }
}

/// A condition on a column that another condition has narrowed already.
pub fn push_any_of(
    sql: &mut QueryBuilder<Sqlite>,
    column: &'static str,
    kinds: Option<&[&'static str]>,
) {
    let Some(kinds) = kinds else { return };
    sql.push(format_args!(" AND +{column} IN ("));
    let mut list = sql.separated(", ");
    for kind in kinds {
        list.push_bind(*kind);
    }
    sql.push(")");
}
