//! The history in documents: `cutover_meta` has one, `cutover_history` one for each file, which holds its record, its commands
//! and all that was ever done to it.
//!
//! A document is written whole or not at all, by whoever has the turn: it keeps the turn of its last writer, and one of an
//! earlier turn finds nothing to write.

use cutover_model::{Digest, Generation, MigrationId, Span, StoreId, Timestamp};
use cutover_sql::Dialect;
use serde_json::{Map, Value, json};

use super::answer::number;
use super::{HISTORY, META, MongoSession, statement};
use crate::Direction;
use crate::failure::Failure;
use crate::fence::Meta;
use crate::history::{HistoryRow, LogEntry, Step, StepKey};
use crate::records::Records;

/// The one document of `cutover_meta`.
pub(super) const ONE: &str = "cutover";

const DUPLICATE: i64 = 11_000;

/// A command with its name first: these maps are sorted.
pub(super) fn command(name: &str, collection: &str, rest: &Value) -> String {
    let rest = rest.to_string();
    let rest = rest.strip_prefix('{').unwrap_or(&rest);
    format!("{{{}:{},{rest}", json!(name), json!(collection))
}

/// An update of one document, waited for until a majority has it.
pub(super) fn update(collection: &str, one: &Value) -> String {
    command(
        "update",
        collection,
        &json!({"updates": [one], "writeConcern": {"w": "majority"}}),
    )
}

fn damaged(what: &str) -> Failure {
    statement(format!("{what} holds what cutover never wrote"))
}

impl MongoSession {
    pub(super) async fn meta_document(&self) -> Result<Option<Value>, Failure> {
        let find = command("find", META, &json!({"filter": {"_id": ONE}}));
        let answered = self.send(cutover_ports::CommandPlace::Own, &find).await?;
        let cursor = answered.get("cursor").cloned().unwrap_or_default();
        Ok(super::answer::batch(&cursor).into_iter().next())
    }

    pub(super) async fn meta_now(&self) -> Result<Option<Meta>, Failure> {
        let Some(found) = self.meta_document().await? else {
            return Ok(None);
        };
        // A lease alone belongs to nobody yet.
        let Some(store) = found.get("store").and_then(Value::as_str) else {
            return Ok(None);
        };
        let whole = |key: &str| {
            let number = found.get(key).and_then(number);
            let number = number.and_then(|number| u64::try_from(number).ok());
            number.ok_or_else(|| damaged(META))
        };
        let bound = found.get("retiredBelow").and_then(Value::as_str);
        Ok(Some(Meta {
            format: whole("format")?,
            store: StoreId::new(store),
            generation: Generation(whole("generation")?),
            retired_below: match bound {
                Some(text) => Some(text.parse().map_err(|_| damaged(META))?),
                None => None,
            },
        }))
    }

    /// A write of one document. It found nothing where a later turn was there before, and so did one that ran into what the
    /// later turn had made.
    pub(super) async fn write(&self, update: &str) -> Result<(), Failure> {
        if self.written(update).await? {
            return Ok(());
        }
        Err(self.lost_turn())
    }

    pub(super) async fn written(&self, update: &str) -> Result<bool, Failure> {
        let answered = self.send(cutover_ports::CommandPlace::Own, update).await?;
        let errors = answered.get("writeErrors").and_then(Value::as_array);
        if let Some(error) = errors.and_then(|errors| errors.first()) {
            if error.get("code").and_then(number) == Some(DUPLICATE) {
                return Ok(false);
            }
            let said = error.get("errmsg").and_then(Value::as_str);
            return Err(statement(said.unwrap_or("it was not written").to_owned()));
        }
        if let Some(error) = answered.get("writeConcernError") {
            return Err(Failure::Lost(format!(
                "the history is not written for certain: {error}"
            )));
        }
        Ok(answered.get("n").and_then(number).unwrap_or(0) > 0)
    }

    /// Sets fields of a file's document, which is made where it is missing.
    async fn set(&self, id: &MigrationId, fields: Value, upsert: bool) -> Result<(), Failure> {
        let mut fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        fields.insert("turn".to_owned(), json!(self.turn));
        let one = json!({
            "q": {"_id": id.to_string(), "turn": {"$lte": self.turn}},
            "u": {"$set": fields},
            "upsert": upsert,
        });
        self.write(&update(HISTORY, &one)).await
    }

    /// Where the next entry of the log goes: by turn, and within it in order.
    fn log_key(&mut self) -> String {
        self.logged += 1;
        format!("log.{:010}-{:06}", self.turn, self.logged)
    }

    pub(super) async fn log_entries(&self) -> Result<Vec<LogEntry>, Failure> {
        let find = json!({"projection": {"log": 1}, "batchSize": 1000});
        let mut all: Vec<(String, LogEntry)> = Vec::new();
        for document in self.find_history(&find).await? {
            let Some(log) = document.get("log").and_then(Value::as_object) else {
                continue;
            };
            for (key, entry) in log {
                let entry = serde_json::from_value(entry.clone()).map_err(|_| damaged(HISTORY))?;
                all.push((key.clone(), entry));
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all.into_iter().map(|(_, entry)| entry).collect())
    }

    async fn find_history(&self, rest: &Value) -> Result<Vec<Value>, Failure> {
        self.documents(&command("find", HISTORY, rest)).await
    }

    async fn of_one(&self, id: &MigrationId, field: &str) -> Result<Option<Value>, Failure> {
        let find = json!({"filter": {"_id": id.to_string()}, "projection": {field: 1}});
        let found = self.find_history(&find).await?.into_iter().next();
        Ok(found
            .and_then(|mut found| found.get_mut(field).map(Value::take))
            .filter(|value| !value.is_null()))
    }

    async fn rows_of(&self, filter: &Value) -> Result<Vec<HistoryRow>, Failure> {
        let find = json!({"filter": filter, "projection": {"record": 1}, "batchSize": 1000});
        let mut out = Vec::new();
        for mut document in self.find_history(&find).await? {
            let record = document.get_mut("record").map(Value::take).unwrap_or_default();
            if !record.is_null() {
                out.push(serde_json::from_value(record).map_err(|_| damaged(HISTORY))?);
            }
        }
        out.sort_by(|a: &HistoryRow, b| a.id.cmp(&b.id));
        Ok(out)
    }
}

impl Records for MongoSession {
    async fn ensure(&mut self) -> Result<(), Failure> {
        // Collections come with their first document.
        Ok(())
    }

    async fn meta(&mut self, _dialect: Dialect) -> Result<Option<Meta>, Failure> {
        self.meta_now().await
    }

    async fn meta_and_one(
        &mut self,
        _dialect: Dialect,
        id: &MigrationId,
    ) -> Result<(Option<Meta>, Option<HistoryRow>), Failure> {
        Ok((self.meta_now().await?, self.one(id).await?))
    }

    async fn write_meta(&mut self, meta: &Meta) -> Result<(), Failure> {
        let one = json!({
            "q": {"_id": ONE, "heldBy.turn": self.turn},
            "u": {"$set": {
                "format": meta.format,
                "store": meta.store.as_str(),
                "generation": meta.generation.0,
                "retiredBelow": meta.retired_below.as_ref().map(ToString::to_string),
            }},
        });
        self.write(&update(META, &one)).await
    }

    async fn all(&mut self) -> Result<Vec<HistoryRow>, Failure> {
        self.rows_of(&json!({})).await
    }

    async fn one(&mut self, id: &MigrationId) -> Result<Option<HistoryRow>, Failure> {
        let rows = self.rows_of(&json!({"_id": id.to_string()})).await?;
        Ok(rows.into_iter().next())
    }

    async fn is_empty(&mut self) -> Result<bool, Failure> {
        Ok(self.all().await?.is_empty())
    }

    async fn put(&mut self, row: &HistoryRow) -> Result<(), Failure> {
        self.set(&row.id, json!({"record": row}), true).await
    }

    async fn put_and_log(&mut self, row: &HistoryRow, entry: &LogEntry) -> Result<(), Failure> {
        let key = self.log_key();
        self.set(&row.id, json!({"record": row, key: entry}), true).await
    }

    async fn replace_and_log(&mut self, row: &HistoryRow, entry: &LogEntry) -> Result<(), Failure> {
        let key = self.log_key();
        let fields = json!({"record": row, "commands": {}, key: entry});
        self.set(&row.id, fields, true).await
    }

    async fn remove(&mut self, id: &MigrationId) -> Result<(), Failure> {
        // The document stays, so that a writer of an earlier turn does not make it again.
        self.set(id, json!({"record": null, "commands": {}}), true).await
    }

    async fn remove_and_log(&mut self, id: &MigrationId, entry: &LogEntry) -> Result<(), Failure> {
        let key = self.log_key();
        let fields = json!({"record": null, "commands": {}, key: entry});
        self.set(id, fields, true).await
    }

    async fn rename_and_log(
        &mut self,
        former: &MigrationId,
        row: &HistoryRow,
        entry: &LogEntry,
    ) -> Result<(), Failure> {
        // Cut short in between both are on record, and nothing is run twice.
        self.put_and_log(row, entry).await?;
        self.remove(former).await
    }

    async fn remove_former(&mut self, id: &MigrationId) -> Result<(), Failure> {
        for row in self.all().await? {
            if row.id.number == id.number && row.id != *id && row.id.base() == id.base() {
                self.remove(&row.id).await?;
            }
        }
        Ok(())
    }

    async fn log(&mut self, entry: &LogEntry) -> Result<(), Failure> {
        let key = self.log_key();
        self.set(&entry.id, json!({key: entry}), true).await
    }

    async fn steps(&mut self, id: &MigrationId, _dialect: Dialect) -> Result<Vec<Step>, Failure> {
        let commands = self.of_one(id, "commands").await?.unwrap_or_default();
        let ways = [Direction::Up, Direction::Down]
            .into_iter()
            .filter_map(|direction| {
                let found = commands.get(direction.word())?.as_object()?;
                Some(
                    found
                        .iter()
                        .map(move |(ordinal, step)| (direction, ordinal, step)),
                )
            });
        let mut out = Vec::new();
        for (direction, ordinal, step) in ways.flatten() {
            let checksum = step.get("checksum").cloned().unwrap_or_default();
            let before = step.get("before").and_then(Value::as_str);
            out.push(Step {
                direction,
                ordinal: ordinal.parse().map_err(|_| damaged(HISTORY))?,
                checksum: serde_json::from_value(checksum).map_err(|_| damaged(HISTORY))?,
                finished: step.get("finishedAt").is_some_and(|at| !at.is_null()),
                before: before.map(str::to_owned),
            });
        }
        out.sort_by_key(|step| (step.direction.word(), step.ordinal));
        Ok(out)
    }

    async fn put_step(
        &mut self,
        key: StepKey<'_>,
        checksum: &Digest,
        now: Timestamp,
        took: Option<Span>,
        before: Option<&str>,
    ) -> Result<(), Failure> {
        let at = |field: &str| format!("commands.{}.{}.{field}", key.direction.word(), key.ordinal);
        let mut fields = Map::new();
        fields.insert(at("checksum"), json!(checksum));
        match took {
            Some(took) => {
                fields.insert(at("finishedAt"), json!(now.to_string()));
                fields.insert(at("tookMs"), json!(took.as_millis()));
            }
            None => {
                fields.insert(at("startedAt"), json!(now.to_string()));
                fields.insert(at("finishedAt"), Value::Null);
            }
        }
        if let Some(before) = before {
            fields.insert(at("before"), json!(before));
        }
        self.set(key.id, Value::Object(fields), false).await
    }

    async fn forget_step(&mut self, key: StepKey<'_>) -> Result<(), Failure> {
        let at = format!("commands.{}.{}", key.direction.word(), key.ordinal);
        let one = json!({
            "q": {"_id": key.id.to_string(), "turn": {"$lte": self.turn}},
            "u": {"$unset": {at: ""}, "$set": {"turn": self.turn}},
        });
        self.write(&update(HISTORY, &one)).await
    }
}
