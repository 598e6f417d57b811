//! The only writer. Statements of jobs that wait at the same time go into one transaction, so that
//! thousands of sessions a second share a few hundred syncs of the disk.

use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Jobs of one commit; bounds how long the first of them waits for the last.
const GROUP_MAX: usize = 512;

/// A bound value.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One statement with its values.
#[derive(Debug, Clone)]
pub struct Statement {
    sql: &'static str,
    values: Vec<Value>,
}

impl Statement {
    pub fn new<const N: usize>(sql: &'static str, values: [Value; N]) -> Self {
        Self { sql, values: values.into() }
    }
}

/// Statements that belong together, and who waits for them.
pub struct Job {
    statements: Vec<Statement>,
    done: oneshot::Sender<Result<(), sqlx::Error>>,
}

/// Queues the statements and waits for their commit.
pub async fn commit(
    jobs: &mpsc::Sender<Job>,
    statements: Vec<Statement>,
) -> Result<(), StoreError> {
    let (done, committed) = oneshot::channel();
    jobs.send(Job { statements, done }).await.map_err(|_| StoreError::Stopping)?;
    committed.await.map_err(|_| StoreError::Stopping)?.map_err(StoreError::Write)
}

/// Runs until every sender is gone.
pub async fn run(pool: SqlitePool, mut queue: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
        match write(&pool, &group).await {
            Ok(()) => {
                for job in group.drain(..) {
                    // Whoever asked may be gone; the write stands.
                    let _ = job.done.send(Ok(()));
                }
            }
            // One bad job must not fail its neighbours: each gets its own transaction.
            Err(_) if group.len() > 1 => {
                for job in group.drain(..) {
                    let result = write(&pool, std::slice::from_ref(&job)).await;
                    let _ = job.done.send(result);
                }
            }
            Err(error) => {
                if let Some(job) = group.pop() {
                    let _ = job.done.send(Err(error));
                }
            }
        }
    }
}

async fn write(pool: &SqlitePool, group: &[Job]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for statement in group.iter().flat_map(|job| &job.statements) {
        execute(&mut transaction, statement).await?;
    }
    transaction.commit().await
}

async fn execute(
    transaction: &mut Transaction<'_, Sqlite>,
    statement: &Statement,
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(statement.sql);
    for value in &statement.values {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Int(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.clone()),
            Value::Bytes(bytes) => query.bind(bytes.clone()),
        };
    }
    query.execute(&mut **transaction).await.map(|_| ())
}
