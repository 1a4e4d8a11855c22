//! PostgreSQL's concurrent indexes: whether one that was begun is built.

use cutover_sql::{Dialect, concurrent_index, concurrently_dropped, literally};

use crate::failure::Failure;
use crate::job::Job;
use crate::session::{IndexState, SqlSession};

/// Whether a concurrent index is built already, or gone already: only when its statement was begun before, else somebody
/// else's index of that name, or one that is missing, is an error. An invalid one is dropped before it is built.
pub(crate) async fn happened<S: SqlSession>(
    session: &mut S,
    job: &Job,
    statement: &str,
    unknown: bool,
) -> Result<bool, Failure> {
    if job.dialect != Dialect::Postgres {
        return Ok(false);
    }
    let text = job.values.fill(statement)?;
    if let Some(name) = concurrently_dropped(&text) {
        return Ok(unknown && session.index(&literally(&name)).await? == IndexState::Missing);
    }
    let Some(name) = concurrent_index(&text) else {
        return Ok(false);
    };
    match session.index(&literally(&name)).await? {
        IndexState::Missing => Ok(false),
        IndexState::Valid => Ok(unknown),
        IndexState::Invalid => {
            let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {name}");
            session.execute(&literally(&drop)).await.map(|_| false)
        }
    }
}
