//! CPU and memory of instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover_model::{InstanceId, RevisionId, Timestamp};
use cutover_ports::{InstanceMetrics, PortError, Question, Usage};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

type Used = BTreeMap<InstanceId, Usage>;

/// What was used at a moment, by revision.
#[derive(Debug, Clone)]
struct Look {
    at: Instant,
    of: BTreeMap<RevisionId, Used>,
}

/// One measurement.
#[derive(Debug)]
struct Looks {
    since: Timestamp,
    first: Look,
    last: Look,
}

/// What was used when, by who is judged.
pub(crate) struct Resources {
    instances: Arc<dyn InstanceMetrics>,
    looks: Mutex<BTreeMap<RevisionId, Looks>>,
}

impl Resources {
    pub(crate) fn new(instances: Arc<dyn InstanceMetrics>) -> Self {
        Self {
            instances,
            looks: Mutex::default(),
        }
    }

    /// Null where the beginning of the measurement was not seen: whoever asks for the first time begins to look.
    pub(crate) async fn measure(&self, question: &Question<'_>) -> Result<Value, PortError> {
        let mut of = BTreeMap::new();
        for revision in [question.candidate].into_iter().chain(question.stable) {
            of.insert(revision.clone(), self.instances.usage(revision).await?);
        }
        let now = Look {
            at: Instant::now(),
            of,
        };
        let mut all = self.looks.lock().await;
        let Some(looks) = all.get_mut(question.candidate) else {
            let looks = Looks {
                since: question.since,
                first: now.clone(),
                last: now,
            };
            all.insert(question.candidate.clone(), looks);
            return Ok(Value::Null);
        };
        if looks.since != question.since {
            // It begins where the one before has ended.
            looks.since = question.since;
            looks.first = looks.last.clone();
        }
        looks.last = now;
        let shown = |revision: &RevisionId| {
            let before = looks.first.of.get(revision);
            let now = looks.last.of.get(revision)?;
            let seconds = looks.last.at.duration_since(looks.first.at).as_secs_f64();
            Some(shown(before, now, seconds))
        };
        Ok(json!({
            "candidate": shown(question.candidate),
            "stable": question.stable.and_then(shown),
        }))
    }
}

/// On average of the instances. The CPU is that of those which were there all the time; null when none was.
fn shown(before: Option<&Used>, now: &Used, seconds: f64) -> Value {
    let rates = now.iter().filter_map(|(id, usage)| {
        let spent = usage.cpu_seconds - before?.get(id)?.cpu_seconds;
        (spent >= 0.0 && seconds > 0.0).then(|| spent / seconds)
    });
    let memory = now.values().map(|usage| usage.memory_bytes as f64);
    json!({
        "instances": now.len(),
        "cpu": mean(rates),
        "memoryBytes": mean(memory),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_of_those_that_were_there_all_the_time() {
        let used = |all: &[(&str, f64, u64)]| {
            let one = |(id, cpu_seconds, memory_bytes): &(&str, f64, u64)| {
                let usage = Usage {
                    cpu_seconds: *cpu_seconds,
                    memory_bytes: *memory_bytes,
                };
                (InstanceId::new(*id), usage)
            };
            all.iter().map(one).collect::<Used>()
        };
        let before = used(&[
            ("a", 10.0, 100),
            ("b", 5.0, 100),
            ("gone", 1.0, 1),
            ("again", 9.0, 1),
        ]);
        let now = used(&[
            ("a", 12.0, 100),
            ("b", 6.0, 200),
            ("new", 3.0, 600),
            ("again", 1.0, 100),
        ]);
        assert_eq!(
            shown(Some(&before), &now, 10.0),
            json!({"instances": 4, "cpu": (0.2 + 0.1) / 2.0, "memoryBytes": 250.0})
        );
        assert_eq!(
            shown(None, &Used::new(), 10.0),
            json!({"instances": 0, "cpu": null, "memoryBytes": null})
        );
    }
}
