//! Lines that instances wrote since a measurement began.

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover_model::{Diagnostic, RevisionId, Timestamp};
use cutover_ports::{InstanceMetrics, LogEnds, PortError, Question};
use regex::Regex;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// What one revision has written.
#[derive(Debug, Default)]
struct Count {
    /// How far its logs were read.
    ends: LogEnds,
    lines: u64,
    matching: u64,
}

/// What both have written in one measurement.
#[derive(Debug)]
struct Counts {
    since: Timestamp,
    of: BTreeMap<RevisionId, Count>,
}

/// Counts, by the pattern and who is judged.
pub(crate) struct Logs {
    instances: Arc<dyn InstanceMetrics>,
    counts: Mutex<BTreeMap<(String, RevisionId), Counts>>,
}

impl Logs {
    pub(crate) fn new(instances: Arc<dyn InstanceMetrics>) -> Self {
        Self {
            instances,
            counts: Mutex::default(),
        }
    }

    /// Null where the beginning of the measurement was not seen: whoever asks for the first time begins to count.
    pub(crate) async fn count(&self, question: &Question<'_>, pattern: &str) -> Result<Value, PortError> {
        let regex = Regex::new(pattern).map_err(|_| {
            PortError::refused(
                Diagnostic::error("spec.invalid-value", "the pattern is no regular expression")
                    .help("cutover check"),
            )
        })?;
        let key = (pattern.to_owned(), question.candidate.clone());
        let mut all = self.counts.lock().await;
        let Some(counts) = all.get_mut(&key) else {
            let mut of = BTreeMap::new();
            for revision in revisions(question) {
                let ends = self.instances.log_ends(revision).await?;
                let count = Count {
                    ends,
                    ..Count::default()
                };
                of.insert(revision.clone(), count);
            }
            let since = question.since;
            all.insert(key, Counts { since, of });
            return Ok(Value::Null);
        };
        if counts.since != question.since {
            // It begins where the one before has ended.
            counts.since = question.since;
            for count in counts.of.values_mut() {
                (count.lines, count.matching) = (0, 0);
            }
        }
        for revision in revisions(question) {
            let count = counts.of.entry(revision.clone()).or_default();
            let (mut lines, mut matching) = (0, 0);
            let mut line = |line: &str| {
                lines += 1;
                matching += u64::from(regex.is_match(line));
            };
            count.ends = self.instances.log_lines(revision, &count.ends, &mut line).await?;
            count.lines += lines;
            count.matching += matching;
        }
        let shown = |revision: &RevisionId| counts.of.get(revision).map(shown);
        Ok(json!({
            "candidate": shown(question.candidate),
            "stable": question.stable.and_then(shown),
        }))
    }
}

fn revisions<'a>(question: &Question<'a>) -> impl Iterator<Item = &'a RevisionId> {
    [question.candidate].into_iter().chain(question.stable)
}

fn shown(count: &Count) -> Value {
    let share = (count.lines > 0).then(|| count.matching as f64 / count.lines as f64);
    json!({"lines": count.lines, "matching": count.matching, "share": share})
}
