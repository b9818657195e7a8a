//! The shop's database: one `SQLite` file, some connections for readers, one for the writer.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, Row};
use tokio::task;

/// A handle to the database; a clone is another handle to the same pool.
#[derive(Clone)]
pub(crate) struct Db(Arc<Pool>);

struct Pool {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    queries: AtomicU64,
}

impl Db {
    /// Opens the database in `file`.
    pub(crate) fn open(file: &Path) -> Result<Self, DbError> {
        let pool = Pool {
            file: file.to_owned(),
            idle: Mutex::default(),
            writer: Mutex::new(connect(file)?),
            queries: AtomicU64::new(0),
        };
        Ok(Self(Arc::new(pool)))
    }

    /// Runs `work` on a reader's connection, off the async threads.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the query running; its answer is thrown away.
    pub(crate) async fn read<T, E>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        off_the_async_threads(move || {
            let connection = pool.reader()?;
            let answer = work(&pool.session(&connection));
            lock(&pool.idle).push(connection);
            answer
        })
        .await
    }

    /// Runs `work` in one transaction, which is committed when `work` returned `Ok`.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the transaction running; it may still be committed.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        off_the_async_threads(move || {
            let mut connection = lock(&pool.writer);
            let transaction = connection.transaction().map_err(DbError::from)?;
            let answer = work(&pool.session(&transaction))?;
            transaction.commit().map_err(DbError::from)?;
            Ok(answer)
        })
        .await
    }

    /// The statements executed so far.
    pub(crate) fn queries(&self) -> u64 {
        self.0.queries.load(Ordering::Relaxed)
    }
}

impl Pool {
    /// An idle connection, or a new one: there are as many as queries ran at once.
    fn reader(&self) -> Result<Connection, DbError> {
        let idle = lock(&self.idle).pop();
        idle.map_or_else(|| Ok(connect(&self.file)?), Ok)
    }

    fn session<'a>(&'a self, connection: &'a Connection) -> Session<'a> {
        Session { connection, queries: &self.queries }
    }
}

/// A connection that counts what it is asked.
pub(crate) struct Session<'a> {
    connection: &'a Connection,
    queries: &'a AtomicU64,
}

impl Session<'_> {
    /// The only row of the answer, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, DbError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(parameters, map).optional()?)
    }

    /// All rows of the answer.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DbError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, map)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// The database did not answer.
#[derive(Debug)]
pub(crate) struct DbError(String);

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database: {}", self.0)
    }
}

impl std::error::Error for DbError {}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// A connection set up as a service would: readers and the writer do not wait for each other, a
/// commit does not wait for the disk to turn, hot pages stay in memory.
fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection
        .execute_batch("PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA mmap_size = 1073741824;")?;
    Ok(connection)
}

async fn off_the_async_threads<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DbError> + Send + 'static,
{
    let answer = task::spawn_blocking(work).await;
    answer.unwrap_or_else(|lost| Err(DbError(lost.to_string()).into()))
}

/// A panic in one query leaves nothing half done in these, so its lock stays usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
