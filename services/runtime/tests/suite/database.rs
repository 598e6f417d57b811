//! What every service may rely on, whichever database it is given: one suite, run on both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use storefront_runtime::{
    Database, DatabaseError, Lease, Migration, OnConflict, Sql, Value, db::Kind,
};

use storefront_testkit::seed;

use crate::{on_both, world::Store};

const MIGRATIONS: &[Migration] = &[
    Migration::same(
        "things",
        "CREATE TABLE things (id TEXT PRIMARY KEY, amount BIGINT, image BYTEA, note TEXT);",
    ),
    Migration {
        name: "log",
        postgres:
            "CREATE TABLE log (n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id TEXT NOT NULL);
                   CREATE TABLE other (id TEXT);",
        sqlite: "CREATE TABLE log (n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL);
                 CREATE TABLE other (id TEXT);",
    },
];

on_both! { Store;
    values_come_back_as_they_went_in,
    many_rows_keep_their_order_and_known_ones_are_left_out,
    lists_are_one_parameter,
    a_dropped_transaction_leaves_nothing,
    an_error_ends_the_transaction_even_when_it_is_swallowed,
    a_transaction_that_lost_is_run_again,
    a_transaction_whose_connection_is_ended_is_run_again,
    a_commit_whose_connection_is_ended_is_unknown,
    a_write_that_may_happen_twice_is_run_again_and_no_other,
    writers_of_one_row_all_get_through,
    migrations_run_once_and_survive_their_predecessor,
    a_lease_has_one_holder_and_a_fence_that_grows,
    a_lease_ends_with_the_only_user_of_a_file,
    errors_say_what_can_be_done,
    a_cancelled_transaction_gives_its_connection_back,
    who_goes_away_leaves_no_answer_to_others,
}

async fn things(store: &Store) -> Database {
    store.open(MIGRATIONS).await
}

async fn count(database: &Database, table: &'static str) -> i64 {
    let sql = match table {
        "things" => "SELECT COUNT(*) AS n FROM things",
        _ => "SELECT COUNT(*) AS n FROM log",
    };
    database.query(sql, &[]).await.unwrap()[0].int("n").unwrap()
}

async fn values_come_back_as_they_went_in(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let image = vec![0_u8, 255, 7];
    database
        .query(
            "INSERT INTO things (id, amount, image, note) VALUES ($1, $2, $3, $4)",
            &["ü'\"".into(), i64::MIN.into(), image.clone().into(), None::<i64>.into()],
        )
        .await
        .unwrap();
    let row = &database
        .query("SELECT id, amount, image, note, EXISTS(SELECT 1 FROM log) AS some, 1 AS one FROM things", &[])
        .await
        .unwrap()[0];
    assert_eq!(row.text("id").unwrap(), "ü'\"");
    assert_eq!(row.int("amount").unwrap(), i64::MIN);
    assert_eq!(row.bytes("image").unwrap(), image);
    assert_eq!(row.opt_text("note").unwrap(), None);
    assert_eq!((row.int("some").unwrap(), row.int("one").unwrap()), (0, 1));
    assert!(matches!(row.text("note"), Err(DatabaseError::Column { .. })));
    assert!(matches!(row.int("nothing"), Err(DatabaseError::Column { .. })));
    Ok(())
}

async fn many_rows_keep_their_order_and_known_ones_are_left_out(
    store: Store,
) -> anyhow::Result<()> {
    let database = things(&store).await;
    let ids: Vec<String> = (0..150).map(|n| format!("t{}", (n * 37) % 150)).collect();
    let rows = |ids: &[String]| ids.iter().map(|id| vec![id.into()]).collect::<Vec<Vec<Value>>>();
    let mut tx = database.begin().await.unwrap();
    tx.insert("log", &["id"], rows(&ids), OnConflict::Fail).await.unwrap();
    let logged = tx.query("SELECT id FROM log ORDER BY n", &[]).await.unwrap();
    let logged: Vec<String> = logged.iter().map(|row| row.text("id").unwrap()).collect();
    assert_eq!(logged, ids);

    let few = |ids: &[&str]| {
        ids.iter().map(|id| vec![(*id).into(), Value::Null, 3_i64.into()]).collect::<Vec<_>>()
    };
    let columns = &["id", "image", "amount"];
    assert_eq!(
        tx.insert("things", columns, few(&["a", "b"]), OnConflict::Ignore).await.unwrap(),
        2
    );
    let new = tx
        .insert_returning(
            "things",
            columns,
            few(&["b", "c", "c", "d"]),
            OnConflict::Ignore,
            &["id"],
        )
        .await
        .unwrap();
    let new: Vec<_> = new.iter().map(|row| row.text("id").unwrap()).collect();
    assert_eq!(new, ["c", "d"]);
    assert_eq!(tx.insert("things", columns, vec![], OnConflict::Fail).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(count(&database, "things").await, 4);
    Ok(())
}

async fn lists_are_one_parameter(store: Store) -> anyhow::Result<()> {
    const AMONG: Sql = Sql {
        postgres: "SELECT id FROM things WHERE id = ANY($1) AND amount = ANY($2) ORDER BY id",
        sqlite: "SELECT id FROM things WHERE id IN (SELECT value FROM json_each($1)) \
                 AND amount IN (SELECT value FROM json_each($2)) ORDER BY id",
    };
    let database = things(&store).await;
    for (id, amount) in [("a", 1), ("b\"", 2), ("c", 3)] {
        let params = [id.into(), i64::from(amount).into()];
        database.query("INSERT INTO things (id, amount) VALUES ($1, $2)", &params).await.unwrap();
    }
    let ids = vec!["a".to_owned(), "b\"".to_owned(), "x".to_owned()];
    let rows = database.query(AMONG, &[ids.into(), vec![2_i64, 3].into()]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].text("id").unwrap(), "b\"");
    assert!(
        database
            .query(AMONG, &[Value::Texts(vec![]), vec![1_i64].into()])
            .await
            .unwrap()
            .is_empty()
    );
    Ok(())
}

async fn a_dropped_transaction_leaves_nothing(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let mut tx = database.begin().await.unwrap();
    tx.execute("INSERT INTO log (id) VALUES ($1)", &["x".into()]).await.unwrap();
    drop(tx);
    let mut tx = database.begin().await.unwrap();
    tx.execute("INSERT INTO log (id) VALUES ($1)", &["y".into()]).await.unwrap();
    tx.rollback().await;
    assert_eq!(count(&database, "log").await, 0);
    Ok(())
}

async fn an_error_ends_the_transaction_even_when_it_is_swallowed(
    store: Store,
) -> anyhow::Result<()> {
    let database = things(&store).await;
    let insert = "INSERT INTO things (id) VALUES ($1)";
    let mut tx = database.begin().await.unwrap();
    tx.execute(insert, &["a".into()]).await.unwrap();
    assert_eq!(tx.execute(insert, &["a".into()]).await.unwrap_err().kind(), Kind::Data);
    let next = tx.execute(insert, &["b".into()]).await.unwrap_err();
    assert!(matches!(next, DatabaseError::Aborted { kind: Kind::Data }));
    assert!(matches!(tx.commit().await, Err(DatabaseError::Aborted { .. })));
    assert_eq!(count(&database, "things").await, 0);
    Ok(())
}

/// Neither database can be made to lose at will, but a serialization failure can be raised.
const LOSE: Sql = Sql {
    postgres: "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$",
    sqlite: "SELECT 1",
};

async fn a_transaction_that_lost_is_run_again(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let runs = AtomicU32::new(0);
    let runs = &runs;
    let losing = database.dialect() == storefront_runtime::Dialect::Postgres;
    let result = database
        .transact(|tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO log (id) VALUES ('x')", &[]).await?;
                if runs.fetch_add(1, Ordering::Relaxed) < 4 && losing {
                    tx.execute(LOSE, &[]).await?;
                }
                Ok::<_, DatabaseError>(())
            })
        })
        .await;
    assert!(result.is_ok());
    assert_eq!(runs.load(Ordering::Relaxed), if losing { 5 } else { 1 });
    assert_eq!(count(&database, "log").await, 1);
    Ok(())
}

/// As when its user's password is changed, and whoever came by the old one is sent away.
const END: Sql =
    Sql { postgres: "SELECT pg_terminate_backend(pg_backend_pid())", sqlite: "SELECT 1" };

async fn a_transaction_whose_connection_is_ended_is_run_again(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let ending = database.dialect() == storefront_runtime::Dialect::Postgres;
    let told = async |ends| {
        let runs = AtomicU32::new(0);
        let runs = &runs;
        let result = database.transact(|tx| {
            Box::pin(async move {
                tx.execute("INSERT INTO log (id) VALUES ('x')", &[]).await?;
                if runs.fetch_add(1, Ordering::Relaxed) < ends && ending {
                    tx.execute(END, &[]).await?;
                }
                Ok::<_, DatabaseError>(())
            })
        });
        (result.await.map_err(|error| error.kind()), runs.load(Ordering::Relaxed))
    };
    assert_eq!(told(2).await, (Ok(()), if ending { 3 } else { 1 }));
    let always = if ending { (Err(Kind::Unavailable), 4) } else { (Ok(()), 1) };
    assert_eq!(told(u32::MAX).await, always);
    assert_eq!(count(&database, "log").await, if ending { 1 } else { 2 });
    Ok(())
}

async fn a_commit_whose_connection_is_ended_is_unknown(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    if database.dialect() != storefront_runtime::Dialect::Postgres {
        return Ok(());
    }
    for statement in [
        "CREATE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION end_me()",
    ] {
        database.query(statement, &[]).await?;
    }
    let runs = AtomicU32::new(0);
    let runs = &runs;
    let result = database.transact(|tx| {
        Box::pin(async move {
            runs.fetch_add(1, Ordering::Relaxed);
            tx.execute("INSERT INTO log (id) VALUES ('x')", &[]).await?;
            Ok::<_, DatabaseError>(())
        })
    });
    assert_eq!(result.await.unwrap_err().kind(), Kind::CommitUnknown);
    assert_eq!(runs.load(Ordering::Relaxed), 1, "it may have happened");
    Ok(())
}

async fn a_write_that_may_happen_twice_is_run_again_and_no_other(
    store: Store,
) -> anyhow::Result<()> {
    let database = things(&store).await;
    if database.dialect() != storefront_runtime::Dialect::Postgres {
        return Ok(());
    }
    database.query("INSERT INTO things (id, amount) VALUES ('a', 0)", &[]).await?;
    for statement in [
        // It counts on when a transaction is rolled back.
        "CREATE SEQUENCE runs",
        "CREATE FUNCTION end_two() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF nextval(''runs'') <= 2 \
         THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN OLD; END'",
        "CREATE TRIGGER at_delete BEFORE DELETE ON things FOR EACH ROW EXECUTE FUNCTION end_two()",
    ] {
        database.query(statement, &[]).await?;
    }
    let runs = async || {
        let rows = database.query("SELECT last_value AS n FROM runs", &[]).await.unwrap();
        rows[0].int("n").unwrap()
    };
    let delete = "DELETE FROM things WHERE id = 'a'";
    assert_eq!(database.query(delete, &[]).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!((runs().await, count(&database, "things").await), (1, 1), "it may have happened");
    database.query_repeatable(delete, &[]).await?;
    assert_eq!((runs().await, count(&database, "things").await), (3, 0));
    Ok(())
}

async fn writers_of_one_row_all_get_through(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    database.query("INSERT INTO things (id, amount) VALUES ('a', 0)", &[]).await.unwrap();
    let writers = (0..64).map(|_| {
        let database = database.clone();
        tokio::spawn(async move {
            database
                .transact(|tx| {
                    Box::pin(async move {
                        let rows = tx
                            .query("UPDATE things SET amount = amount + 1 WHERE id = 'a' RETURNING amount", &[])
                            .await?;
                        rows[0].int("amount")
                    })
                })
                .await
        })
    });
    let mut amounts = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        amounts.push(writer.await.unwrap().unwrap());
    }
    amounts.sort_unstable();
    assert_eq!(amounts, (1..=64).collect::<Vec<_>>());
    Ok(())
}

const FOREIGN: &[Migration] = &[Migration::same("other", "CREATE TABLE x (id TEXT)")];

async fn migrations_run_once_and_survive_their_predecessor(store: Store) -> anyhow::Result<()> {
    let (one, two) = tokio::join!(things(&store), things(&store));
    one.query("INSERT INTO log (id) VALUES ('x')", &[]).await.unwrap();
    assert_eq!(count(&two, "log").await, 1);
    // The program before the last migration comes back after a rollback.
    let before = store.open(&MIGRATIONS[..1]).await;
    assert_eq!(count(&before, "log").await, 1);
    // Another program's database is refused, and named.
    let error = store.try_open(FOREIGN).await.err().unwrap();
    assert!(matches!(error, DatabaseError::ForeignMigration { position: 0, .. }), "{error}");
    Ok(())
}

async fn a_lease_has_one_holder_and_a_fence_that_grows(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let (long, short) = (Duration::from_secs(60), Duration::ZERO);
    let (ours, theirs) = (Lease::new("work", long), Lease::new("work", long));
    assert_eq!(ours.acquire(&database).await.unwrap(), Some(1));
    assert_eq!(theirs.acquire(&database).await.unwrap(), None);
    assert_eq!(ours.acquire(&database).await.unwrap(), Some(1), "renewed");
    theirs.release(&database).await.unwrap();
    assert_eq!(theirs.acquire(&database).await.unwrap(), None, "only the holder can release");
    ours.release(&database).await.unwrap();
    assert_eq!(theirs.acquire(&database).await.unwrap(), Some(2));
    let asleep = Lease::new("other", short);
    assert_eq!(asleep.acquire(&database).await.unwrap(), Some(1));
    assert_eq!(Lease::new("other", long).acquire(&database).await.unwrap(), Some(2), "ended");
    assert_eq!(asleep.acquire(&database).await.unwrap(), None, "awake again, and fenced");
    Ok(())
}

/// On a server others may live whom we cannot see.
async fn a_lease_ends_with_the_only_user_of_a_file(store: Store) -> anyhow::Result<()> {
    let day = Duration::from_secs(86_400);
    let database = things(&store).await;
    let beside = things(&store).await;
    assert_eq!(Lease::new("work", day).acquire(&database).await?, Some(1));
    assert_eq!(Lease::new("work", day).acquire(&beside).await?, None, "the holder lives");
    beside.close().await;
    database.close().await;
    drop((database, beside));
    let taken = Lease::new("work", day).acquire(&things(&store).await).await?;
    assert_eq!(taken.is_some(), store.file().is_some());
    Ok(())
}

async fn errors_say_what_can_be_done(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let kind = async |sql: &'static str| database.query(sql, &[]).await.unwrap_err().kind();
    assert_eq!(kind("SELECT nothing FROM nowhere").await, Kind::Broken);
    database.query("INSERT INTO things (id) VALUES ('a')", &[]).await.unwrap();
    assert_eq!(kind("INSERT INTO things (id) VALUES ('a')").await, Kind::Data);
    assert_eq!(kind("INSERT INTO log (id) VALUES (NULL)").await, Kind::Data);
    Ok(())
}

/// A client that goes away in the middle of a request drops the future wherever it stands.
async fn a_cancelled_transaction_gives_its_connection_back(store: Store) -> anyhow::Result<()> {
    let database = Arc::new(things(&store).await);
    for step in 0..40 {
        let work = async {
            let mut tx = database.begin().await.unwrap();
            for _ in 0..5 {
                tx.execute("INSERT INTO log (id) VALUES ('x')", &[]).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let limit = Duration::from_micros(step * 100);
        assert!(tokio::time::timeout(limit, work).await.is_err());
    }
    assert_eq!(count(&database, "log").await, 0);
    let mut tx = database.begin().await.unwrap();
    tx.execute("INSERT INTO log (id) VALUES ('x')", &[]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&database, "log").await, 1);
    Ok(())
}

/// The next one on a connection hears the answer to its own question.
async fn who_goes_away_leaves_no_answer_to_others(store: Store) -> anyhow::Result<()> {
    let database = things(&store).await;
    let asks = |caller: u64| {
        let (database, mut random) = (database.clone(), Rng::with_seed(seed() ^ caller));
        tokio::spawn(async move {
            let (mut heard, mut left) = (0, 0);
            for question in 0..200_i64 {
                let question = i64::try_from(caller).unwrap() * 1000 + question;
                let params = [question.into()];
                let answer = database.query("SELECT CAST($1 AS BIGINT) AS n", &params);
                let patience = Duration::from_micros(random.u64(0..2_000));
                match tokio::time::timeout(patience, answer).await {
                    Ok(rows) => {
                        assert_eq!(rows.unwrap()[0].int("n").unwrap(), question);
                        heard += 1;
                    }
                    Err(_) => left += 1,
                }
            }
            (heard, left)
        })
    };
    let callers: Vec<_> = (0..12).map(asks).collect();
    let (mut heard, mut left) = (0, 0);
    for caller in callers {
        let counts = caller.await?;
        heard += counts.0;
        left += counts.1;
    }
    assert!(heard > 0 && left > 0, "{heard} were heard, {left} went away");
    database.close().await;
    assert!(database.query("SELECT 1 AS n", &[]).await.is_err(), "nothing is kept that was closed");
    Ok(())
}
