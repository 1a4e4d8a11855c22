//! MongoDB: commands, each of which commits by itself.
//!
//! No transaction is asked for: they need a replica set, commands that change collections cannot be in one, and a large update
//! outgrows one. What belongs to one file is one document instead, since a document is what every server writes whole, and
//! every write of it says which turn of the lease it belongs to: whoever lost the lease writes nothing more. A command that
//! was begun and whose end is not on record is run again, looked for, or asked about ([`cutover_sql::command::again`]).
//!
//! It must not know the driver: commands and answers are texts, and who sends them is given.

mod answer;
mod lease;
mod records;
mod shape;

use std::sync::Arc;
use std::time::Duration;

use cutover_db::MongoUrl;
use cutover_model::{DatabaseState, Diagnostic, Fence, Timestamp};
use cutover_ports::{CommandDriver, CommandError, CommandPlace, CommandSession, MigrationReport, PortError};
use cutover_sql::Dialect;
use cutover_sql::command::{Again, again, sent};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::history::{HistoryRow, LogEntry, Recorded};
use crate::job::Job;
use crate::placeholders::Values;
use crate::records::Records as _;
use crate::session::{Doubt, Next, Session, not_one_number};
use crate::stepwise;
use crate::stop::Stop;

/// Who speaks with MongoDB; none in a build without its driver.
pub(crate) type Driver = Option<Arc<dyn CommandDriver>>;

/// MaxTimeMSExpired.
const OUT_OF_TIME: i32 = 50;

pub(crate) const META: &str = "cutover_meta";
pub(crate) const HISTORY: &str = "cutover_history";

pub(crate) struct MongoSession {
    session: Arc<dyn CommandSession>,
    what: String,
    database: String,
    /// Which turn of the lease is this session's; 0 while it only reads.
    turn: u64,
    /// How many entries of the log it wrote in its turn.
    logged: u32,
    values: Values,
    limit: Option<Duration>,
    stop: Stop,
    ensured: bool,
}

impl MongoSession {
    pub(crate) async fn open(what: &str, url: &MongoUrl, driver: &Driver) -> Result<Self, PortError> {
        let Some(driver) = driver else {
            return Err(PortError::refused(
                Diagnostic::error(
                    "db.no-driver",
                    format!("{what} is MongoDB's, and this cutover was built without its driver"),
                )
                .note("address", url.to_string())
                .help("cargo install --path crates/cutover --features full"),
            ));
        };
        let session = driver
            .open(url.secret())
            .await
            .map_err(|error| unopened(what, url, error))?;
        let out = Self {
            session,
            what: what.to_owned(),
            database: url.database().to_owned(),
            turn: 0,
            logged: 0,
            values: Values::default(),
            limit: None,
            stop: Stop::never(),
            ensured: false,
        };
        // Drivers connect when they are first asked for something.
        let hello = out.session.run(CommandPlace::Own, "{\"hello\":1}").await;
        hello.map_err(|error| unopened(what, url, error))?;
        Ok(out)
    }

    /// What may end its commands early: the one that runs is waited for, and the next one is not begun.
    pub(crate) fn stop_by(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    /// Reads what there is, and makes nothing.
    pub(crate) async fn observe(&mut self) -> Result<Recorded, Failure> {
        let build = self.ask(&json!({"buildInfo": 1})).await?;
        let version = build.get("version").and_then(Value::as_str).unwrap_or("?");
        // Not everybody may ask how large it is.
        let stats = self.ask(&json!({"dbStats": 1})).await.ok();
        let size = stats.as_ref().and_then(|stats| stats.get("dataSize"));
        let state = DatabaseState {
            server: format!("MongoDB {version}"),
            size: size
                .and_then(answer::number)
                .and_then(|size| u64::try_from(size).ok()),
            ..DatabaseState::default()
        };
        let meta = self.meta_now().await?;
        let mut history = self.all().await?;
        for row in history.iter_mut().filter(|row| !row.complete) {
            row.steps = self.steps(&row.id, Dialect::MongoDb).await?;
        }
        Ok(Recorded {
            state,
            has_log: meta.is_some(),
            meta,
            history,
        })
    }

    /// All that was done, oldest first.
    pub(crate) async fn entries(&mut self) -> Result<Vec<LogEntry>, Failure> {
        self.log_entries().await
    }

    /// A command of Cutover's own, in the database of the address.
    async fn ask(&self, command: &Value) -> Result<Value, Failure> {
        self.send(CommandPlace::Own, &command.to_string()).await
    }

    async fn send(&self, place: CommandPlace, command: &str) -> Result<Value, Failure> {
        let text = self.session.run(place, command).await.map_err(failure)?;
        serde_json::from_str(&text).map_err(|error| Failure::Lost(format!("its answer is none: {error}")))
    }

    /// All documents that a command answers, however many messages they take.
    async fn documents(&self, command: &str) -> Result<Vec<Value>, Failure> {
        let mut answered = self.send(CommandPlace::Own, command).await?;
        let mut out = Vec::new();
        loop {
            let cursor = answered.get_mut("cursor").map(Value::take).unwrap_or_default();
            out.extend(answer::batch(&cursor));
            let id = cursor.get("id").and_then(answer::number).unwrap_or(0);
            if id == 0 {
                return Ok(out);
            }
            let collection = cursor.get("ns").and_then(Value::as_str).unwrap_or_default();
            let collection = collection.split_once('.').map_or("", |(_, name)| name);
            let more = json!({"getMore": {"$numberLong": id.to_string()}, "collection": collection});
            // The command is its first key, and these maps are sorted: `collection` would be it.
            let more = format!(
                "{{\"getMore\":{},\"collection\":{}}}",
                more["getMore"], more["collection"]
            );
            answered = self.send(CommandPlace::Own, &more).await?;
        }
    }

    async fn server_time(&self) -> Result<Timestamp, Failure> {
        let hello = self.ask(&json!({"hello": 1})).await?;
        let time = hello.get("localTime").and_then(answer::moment);
        time.ok_or_else(|| statement("the server does not say what time it is".to_owned()))
    }

    /// Why a command of a file failed. One that the server ended because of its time may have done a part of its work.
    fn told(&self, failure: Failure) -> Failure {
        let failure = self.values.hidden(failure);
        match self.limit {
            Some(limit) => failure.out_of_time(limit, Vec::new()),
            None => failure,
        }
    }

    /// Runs a command while the lease is kept.
    async fn run_kept(&self, place: CommandPlace, command: &str) -> Result<Value, Failure> {
        let run = self.send(place, command);
        tokio::pin!(run);
        loop {
            tokio::select! {
                answered = &mut run => return answered,
                () = tokio::time::sleep(lease::BEAT) => {
                    // Lost, it is found lost before anything is recorded.
                    if let Err(failure) = self.renew().await {
                        tracing::warn!(?failure, what = self.what, "the lease could not be renewed");
                    }
                }
            }
        }
    }
}

fn statement(said: String) -> Failure {
    Failure::Statement { said, offset: None }
}

fn unopened(what: &str, url: &MongoUrl, error: CommandError) -> PortError {
    let hidden = |said: String| match url.password() {
        Some(password) if !password.is_empty() => said.replace(password, "…"),
        _ => said,
    };
    let found = |code: &str, said: String| {
        Diagnostic::error(code, format!("{url}: {}", hidden(said)))
            .note("database", what)
            .help("cutover check")
    };
    match error {
        CommandError::Address(said) => PortError::refused(found("db.invalid-url", said)),
        CommandError::Unreachable(said) | CommandError::Lost(said) => {
            PortError::transient(found("db.unreachable", said))
        }
        CommandError::Login(said) => PortError::refused(found("db.auth-failed", said)),
        CommandError::NotOne(_) | CommandError::Server { .. } => {
            PortError::refused(found("db.failed", error.to_string()))
        }
    }
}

/// What the server's numbers mean: mongo/base/error_codes.yml.
fn failure(error: CommandError) -> Failure {
    let said = error.to_string();
    let code = match error {
        CommandError::Unreachable(said) | CommandError::Lost(said) => return Failure::Lost(said),
        CommandError::Login(said) => return Failure::Denied(said, None),
        CommandError::Address(said) | CommandError::NotOne(said) => return statement(said),
        CommandError::Server { code, .. } => code,
    };
    match code {
        // Unauthorized.
        13 => Failure::Denied(said, None),
        // LockTimeout, LockBusy, WriteConflict, a build of the same index, one in the same database or collection.
        24 | 46 | 112 | 117 | 12_586 | 12_587 => Failure::Locked {
            said,
            blockers: Vec::new(),
        },
        14_031 => Failure::DiskFull(said),
        OUT_OF_TIME => Failure::Stopped(said),
        // The primary went away or is another one, or the command was ended: it may have come through, here or there.
        6 | 7 | 64 | 89 | 91 | 189 | 262 | 9_001 | 10_107 | 11_600 | 11_601 | 11_602 | 13_435 | 13_436 => {
            Failure::Lost(said)
        }
        _ => statement(said),
    }
}

impl Session for MongoSession {
    async fn file(&mut self, job: &Job) -> Result<MigrationReport, PortError> {
        self.values = job.values.clone();
        self.limit = job.limit();
        stepwise::run(self, job, job.script()?).await
    }

    fn ensured(&mut self) -> &mut bool {
        &mut self.ensured
    }

    async fn begin(&mut self, _lock_timeout: Duration) -> Result<(), Failure> {
        self.renew().await
    }

    async fn commit(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn put_log_and_commit(
        &mut self,
        row: &HistoryRow,
        entry: &LogEntry,
        _is_new: bool,
    ) -> Result<(), Failure> {
        self.put_and_log(row, entry).await
    }

    async fn rollback(&mut self) {}

    async fn execute(&mut self, statement: &str) -> Result<u64, Failure> {
        self.stop.check()?;
        let command = sent(&self.values.fill(statement)?, &self.database, self.limit);
        let place = if command.admin {
            CommandPlace::Admin
        } else {
            CommandPlace::Own
        };
        let answered = self.run_kept(place, &command.text).await;
        let rows = answered.and_then(|answered| answer::rows(statement, &answered));
        rows.map_err(|failure| self.told(failure))
    }

    async fn count(&mut self, query: &str) -> Result<i64, Failure> {
        let query = sent(&self.values.fill(query)?, &self.database, self.limit);
        let answered = self.run_kept(CommandPlace::Own, &query.text).await;
        let answered = answered.map_err(|failure| self.told(failure))?;
        answer::count(&answered).ok_or_else(not_one_number)
    }

    async fn shape(&mut self, statement: &str) -> Result<Option<String>, Failure> {
        match again(statement) {
            Again::IfUnchanged => self.shape_now().await.map(Some),
            Again::AsItIs | Again::Instead(_) | Again::Ask(_) => Ok(None),
        }
    }

    async fn ready(&mut self, _job: &Job, _statement: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn next(&mut self, _job: &Job, statement: &str, doubt: Option<Doubt>) -> Result<Next, Failure> {
        let Some(doubt) = doubt else {
            return Ok(Next::Run);
        };
        match again(statement) {
            Again::AsItIs => Ok(Next::Run),
            Again::Instead(text) => Ok(Next::Instead(text)),
            Again::IfUnchanged if doubt.changed => Ok(Next::Done),
            Again::IfUnchanged => Ok(Next::Run),
            Again::Ask(why) => Err(Failure::Doubt {
                said: format!("it was begun before, and cannot be run twice: {why}"),
            }),
        }
    }
}

/// A turn at the database: the lease, as this fence.
pub(crate) async fn locked(
    url: &MongoUrl,
    driver: &Driver,
    what: &str,
    fence: &Fence,
    wait: cutover_model::Span,
    stop: &Stop,
) -> Result<MongoSession, PortError> {
    let mut session = MongoSession::open(what, url, driver).await?;
    session.stop_by(stop);
    let turn = tokio::select! {
        turn = session.lock(fence, wait) => turn,
        () = stop.wanted() => return Err(crate::stop::not_begun(what)),
    };
    turn?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Keeps what it is asked, and answers each in its turn.
    struct Scripted {
        asked: Mutex<Vec<String>>,
        answers: Mutex<Vec<Result<String, CommandError>>>,
    }

    #[async_trait::async_trait]
    impl CommandSession for Scripted {
        async fn run(&self, _place: CommandPlace, command: &str) -> Result<String, CommandError> {
            self.asked.lock().unwrap().push(command.to_owned());
            self.answers.lock().unwrap().remove(0)
        }
    }

    #[tokio::test]
    async fn a_command_that_the_server_ends_ran_out_of_time() {
        let ended = Err(CommandError::Server {
            code: OUT_OF_TIME,
            said: "operation exceeded time limit".to_owned(),
        });
        let in_part = r#"{"ok": 1, "n": 3, "writeErrors": [{"index": 0, "code": 50, "errmsg": "time"}]}"#;
        let scripted = Arc::new(Scripted {
            asked: Mutex::default(),
            answers: Mutex::new(vec![ended.clone(), Ok(in_part.to_owned()), ended]),
        });
        let mut session = MongoSession {
            session: Arc::clone(&scripted) as _,
            what: "database main".to_owned(),
            database: "shop".to_owned(),
            turn: 0,
            logged: 0,
            values: Values::default(),
            limit: Some(Duration::from_secs(2)),
            stop: Stop::never(),
            ensured: true,
        };
        let out_of_time = Failure::TimedOut {
            limit: Duration::from_secs(2),
            blockers: Vec::new(),
        };
        let update = r#"{"update": "a", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}"#;
        for _ in 0..2 {
            assert_eq!(session.execute(update).await, Err(out_of_time.clone()));
        }
        let count = session.count(r#"{"count": "a"}"#).await;
        assert_eq!(count, Err(out_of_time));
        let asked = scripted.asked.lock().unwrap();
        assert!(
            asked.iter().all(|text| text.ends_with(r#","maxTimeMS":2000}"#)),
            "{asked:?}"
        );
    }
}
