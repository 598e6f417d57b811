//! Of the storage: that reads stay on their indexes, and that writes share commits but not failures.

use sqlx::{QueryBuilder, Row, Sqlite};

use super::*;
use crate::session::tests::open_session;

/// How SQLite would go about a query.
async fn plan(store: &Store, mut sql: QueryBuilder<Sqlite>) -> String {
    let rows = sql.build().fetch_all(&store.read).await.unwrap();
    let steps: Vec<&str> = rows.iter().map(|row| row.get("detail")).collect();
    steps.join("\n")
}

#[tokio::test]
async fn no_page_reads_or_sorts_a_whole_table() {
    let store = Store::open(None).await.unwrap();
    let windows = [
        Window { limit: 10, ..Window::default() },
        Window { after: Some(5), limit: 10, ..Window::default() },
        Window { before: Some(5), limit: 10, ..Window::default() },
        Window { since: Some(5), until: Some(9), after: Some(5), limit: 10, ..Window::default() },
    ];
    for window in windows {
        for (table, column, kinds) in [
            ("sessions", "state", ["paid", "failed", "processing"].as_slice()),
            ("events", "type", ["charge.succeeded", "checkout.session.completed"].as_slice()),
        ] {
            let mut all =
                QueryBuilder::new(format!("EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE TRUE"));
            let mut of_kinds = QueryBuilder::new(all.sql().as_str().to_owned());
            window.push(&mut all, table);
            window.push_kinds(&mut of_kinds, table, column, kinds);
            let plan_of_all = plan(&store, all).await;
            let plan_of_kinds = plan(&store, of_kinds).await;
            assert!(!plan_of_all.contains("B-TREE"), "{plan_of_all}");
            assert!(!plan_of_kinds.contains("B-TREE"), "{plan_of_kinds}");
            assert!(!plan_of_kinds.contains(&format!("SCAN {table}")), "{plan_of_kinds}");
        }
    }
}

#[tokio::test]
async fn a_write_that_fails_does_not_fail_its_neighbours() {
    let store = Store::open(None).await.unwrap();
    let session = |id: &str| {
        let mut session = open_session();
        session.id = id.into();
        session.insert().unwrap()
    };
    store.commit(vec![session("cs_0")]).await.unwrap();
    let results = tokio::join!(
        store.commit(vec![session("cs_1")]),
        store.commit(vec![session("cs_2"), session("cs_0")]),
        store.commit(vec![session("cs_3")]),
    );
    assert!(results.0.is_ok() && results.2.is_ok());
    assert_eq!(results.1.unwrap_err().reason(), "LedgerNotWritten");
    let mut there = Vec::new();
    for id in ["cs_0", "cs_1", "cs_2", "cs_3"] {
        there.push(store.session(id).await.unwrap().is_some());
    }
    assert_eq!(there, [true, true, false, true], "all of a job or nothing");
}

#[tokio::test]
async fn keys_run_out() {
    let store = Store::open(None).await.unwrap();
    let answer = |key: &str, created_ms| StoredAnswer {
        key: key.into(),
        created_ms,
        endpoint: "POST /v1/checkout/sessions".into(),
        fingerprint: "f".into(),
        request_id: "req_1".into(),
        status: 200,
        body: "{}".into(),
    };
    for (key, created_ms) in [("a", 100), ("b", 200), ("c", 300)] {
        store.commit(vec![answer(key, created_ms).insert()]).await.unwrap();
    }
    assert_eq!(store.stored_answer("a", 101).await.unwrap(), None);
    assert_eq!(store.stored_answer("a", 100).await.unwrap(), Some(answer("a", 100)));
    store.forget_keys(300, 1).await.unwrap();
    assert_eq!(store.stored_answer("a", 0).await.unwrap(), None);
    assert!(store.stored_answer("b", 0).await.unwrap().is_some(), "one at a time");
    // A key that has run out is taken as new.
    store.commit(vec![answer("b", 500).insert()]).await.unwrap();
    assert_eq!(store.stored_answer("b", 0).await.unwrap(), Some(answer("b", 500)));
}
