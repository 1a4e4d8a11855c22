//! Sends requests when they are due and hands each to a task of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{Connections, Failure};
use super::options::LoadOptions;
use super::oracle::{Oracle, Seen};
use super::report::FailureReason;
use super::tally::Tally;

/// Of the writes, how many create a user; the others change one.
const CREATE_SHARE: f64 = 0.3;
/// Of the reads, how many ask for the list; the others for one user.
const LIST_SHARE: f64 = 0.2;

#[derive(Clone, Debug)]
pub(super) struct Generator {
    pub(super) options: LoadOptions,
    pub(super) connections: Arc<Connections>,
    pub(super) tally: Arc<Tally>,
    pub(super) oracle: Arc<Oracle>,
    /// Holds the schedule and every request, so `tasks.len() - 1` is the number outstanding.
    pub(super) tasks: TaskTracker,
}

#[derive(Debug)]
enum Operation {
    List,
    Read { id: i64 },
    Create { name: String },
    Change { id: i64, name: String },
}

impl Generator {
    pub(super) async fn run(self, started: Instant, stop: CancellationToken) {
        let mut random = SmallRng::seed_from_u64(self.options.seed);
        let gap = Duration::from_secs(1) / self.options.rate.max(1);
        for turn in 0_u32.. {
            // Anywhere within its gap: evenly spaced arrivals would fall into step with whatever else is periodic.
            let due = started + gap * turn + gap.mul_f64(random.random());
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            if self.tasks.len() > self.options.most_outstanding {
                self.tally.overloaded();
                continue;
            }
            let operation = self.choose(&mut random, turn);
            self.tally.sent(due);
            self.tasks.spawn(self.clone().perform(operation, due));
        }
    }

    fn choose(&self, random: &mut SmallRng, turn: u32) -> Operation {
        if random.random_bool(self.options.write_share.clamp(0.0, 1.0)) {
            let name = name(self.options.seed, turn);
            let change = !random.random_bool(CREATE_SHARE);
            return match if change { self.oracle.take(random) } else { None } {
                Some(id) => Operation::Change { id, name },
                None => Operation::Create { name },
            };
        }
        let one = !random.random_bool(LIST_SHARE);
        match if one { self.oracle.any(random) } else { None } {
            Some(id) => Operation::Read { id },
            None => Operation::List,
        }
    }

    async fn perform(self, operation: Operation, due: Instant) {
        match operation {
            Operation::List => drop(
                self.exchange::<Vec<Seen>>(due, Method::GET, "/api/users", None)
                    .await,
            ),
            Operation::Read { id } => self.read(due, id).await,
            Operation::Create { name } => self.create(due, &name).await,
            Operation::Change { id, name } => self.change(due, id, &name).await,
        }
    }

    async fn read(&self, due: Instant, id: i64) {
        let expected = self.oracle.expect(id);
        let seen = self
            .exchange::<Seen>(due, Method::GET, &format!("/api/users/{id}"), None)
            .await;
        if let (Some(expected), Some(seen)) = (expected, seen) {
            self.oracle.judge(id, &expected, &seen);
        }
    }

    async fn create(&self, due: Instant, name: &str) {
        self.oracle.creation_begins();
        let draft = json!({"name": name, "email": format!("{}@shop.example", name.replace(' ', "."))});
        match self
            .exchange::<Seen>(due, Method::POST, "/api/users", Some(&draft))
            .await
        {
            Some(seen) => self.oracle.creation_acknowledged(seen.id, name),
            None => self.oracle.creation_in_doubt(),
        }
    }

    async fn change(&self, due: Instant, id: i64, name: &str) {
        self.oracle.change_begins(id, name);
        let draft = json!({"name": name});
        match self
            .exchange::<Seen>(due, Method::PUT, &format!("/api/users/{id}"), Some(&draft))
            .await
        {
            Some(_) => self.oracle.change_acknowledged(id),
            None => self.oracle.change_in_doubt(),
        }
    }

    /// Sends one request, counts what became of it, and returns what was asked for if that is what came.
    async fn exchange<T: DeserializeOwned>(
        &self,
        due: Instant,
        method: Method,
        path: &str,
        draft: Option<&Value>,
    ) -> Option<T> {
        let request = format!("{method} {path}");
        let json = draft.map(|draft| Bytes::from(draft.to_string()));
        let outcome = self
            .connections
            .exchange(method, path, json, self.options.timeout)
            .await
            .and_then(|answer| {
                let read = answer
                    .is_ok()
                    .then(|| serde_json::from_slice(&answer.body))
                    .transpose();
                read.map(|read| (answer, read))
                    .map_err(|error| Failure::new(FailureReason::Unreadable, error))
            });
        match outcome {
            Ok((answer, read)) => {
                self.tally.answered(due, &request, &answer);
                read
            }
            Err(failure) => {
                self.tally.failed(due, &request, &failure);
                None
            }
        }
    }
}

/// A name that no other write of this load has: mostly two words, now and then one or three.
fn name(seed: u64, turn: u32) -> String {
    match turn % 10 {
        3 => format!("Mono-{seed}-{turn}"),
        7 => format!("Anna Maria Load-{seed}-{turn}"),
        _ => format!("Ada Load-{seed}-{turn}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_survive_being_split() {
        let names: std::collections::BTreeSet<String> = (0..1000).map(|turn| name(7, turn)).collect();
        assert_eq!(names.len(), 1000);
        assert!(
            names
                .iter()
                .all(|name| name.split_whitespace().collect::<Vec<_>>().join(" ") == *name)
        );
    }
}
