//! Remembers what was written, and so knows what must be read.
//!
//! One write at a time per user, so that the order of a user's writes is known. A write without a 2xx answer is *in
//! doubt*: it may have happened, may happen later, or never. Its user is not written again, because a late arrival
//! could overwrite an acknowledged write and look like a loss that is none. So at the end a user's right value is the
//! last acknowledged one or the one write in doubt after it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};
use rand::Rng;
use rand::rngs::SmallRng;
use serde::Deserialize;

use super::VerifyError;
use super::connections::Connections;
use super::report::{LoadReport, LostWrite};

/// How many lost writes the report lists.
const LOST_KEPT: usize = 100;
/// A reading that fails is tried again this often: verifying is not part of the load.
const VERIFY_ATTEMPTS: u32 = 20;
const VERIFY_PAUSE: Duration = Duration::from_millis(100);

/// A user as the shop answers one.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub(super) id: i64,
    pub(super) name: String,
}

/// What is known of a user before a read, to judge the answer by.
#[derive(Debug)]
pub(super) struct Expected {
    name: String,
    writes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Oracle {
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    users: HashMap<i64, User>,
    ids: Vec<i64>,
    /// Users that nobody writes at the moment and whose value is certain.
    writable: Vec<i64>,
    sent: u64,
    acknowledged: u64,
    in_doubt: u64,
    wrong_reads: u64,
    lost: Option<(u64, Vec<LostWrite>)>,
}

#[derive(Debug)]
struct User {
    acknowledged: String,
    /// The write that is under way, or that was not acknowledged.
    pending: Option<String>,
    writes: u64,
}

impl Oracle {
    /// A user that may be read.
    pub(super) fn any(&self, random: &mut SmallRng) -> Option<i64> {
        let memory = self.memory();
        (!memory.ids.is_empty()).then(|| memory.ids[random.random_range(0..memory.ids.len())])
    }

    /// A user that may be written; it is the caller's until one of the `change_…` functions gives it back.
    pub(super) fn take(&self, random: &mut SmallRng) -> Option<i64> {
        let mut memory = self.memory();
        let index = (!memory.writable.is_empty()).then(|| random.random_range(0..memory.writable.len()))?;
        Some(memory.writable.swap_remove(index))
    }

    pub(super) fn creation_begins(&self) {
        self.memory().sent += 1;
    }

    pub(super) fn creation_acknowledged(&self, id: i64, name: &str) {
        let mut memory = self.memory();
        memory.acknowledged += 1;
        memory.users.insert(
            id,
            User {
                acknowledged: name.to_owned(),
                pending: None,
                writes: 0,
            },
        );
        memory.ids.push(id);
        memory.writable.push(id);
    }

    /// Nobody knows the id, so nothing can be verified; a second user with that name would not be wrong either.
    pub(super) fn creation_in_doubt(&self) {
        self.memory().in_doubt += 1;
    }

    pub(super) fn change_begins(&self, id: i64, name: &str) {
        let mut memory = self.memory();
        memory.sent += 1;
        let user = memory.user(id);
        user.writes += 1;
        user.pending = Some(name.to_owned());
    }

    pub(super) fn change_acknowledged(&self, id: i64) {
        let mut memory = self.memory();
        memory.acknowledged += 1;
        let user = memory.user(id);
        user.acknowledged = user.pending.take().expect("a change that ends has begun");
        memory.writable.push(id);
    }

    pub(super) fn change_in_doubt(&self) {
        self.memory().in_doubt += 1;
    }

    /// What a read that begins now must answer; nothing while a write is under way or in doubt.
    pub(super) fn expect(&self, id: i64) -> Option<Expected> {
        let memory = self.memory();
        let user = memory.users.get(&id).filter(|user| user.pending.is_none())?;
        Some(Expected {
            name: user.acknowledged.clone(),
            writes: user.writes,
        })
    }

    /// Judges what a read answered; a write that began meanwhile excuses anything.
    pub(super) fn judge(&self, id: i64, expected: &Expected, seen: &Seen) {
        let mut memory = self.memory();
        if memory.user(id).writes == expected.writes && (seen.id, &seen.name) != (id, &expected.name) {
            memory.wrong_reads += 1;
        }
    }

    pub(super) fn tell(&self, report: &mut LoadReport) {
        let memory = self.memory();
        report.writes_sent = memory.sent;
        report.writes_acknowledged = memory.acknowledged;
        report.writes_in_doubt = memory.in_doubt;
        report.wrong_reads = memory.wrong_reads;
        if let Some((count, lost)) = &memory.lost {
            report.lost_writes = Some(*count);
            report.lost.clone_from(lost);
        }
    }

    pub(super) async fn verify(
        &self,
        connections: &Connections,
        timeout: Duration,
    ) -> Result<(), VerifyError> {
        let ids = self.memory().ids.clone();
        let (mut count, mut lost) = (0, Vec::new());
        for id in ids {
            let found = read_back(connections, id, timeout).await?;
            let memory = self.memory();
            let Some(user) = memory.users.get(&id) else {
                continue;
            };
            if found.as_ref() == Some(&user.acknowledged) || (found.is_some() && found == user.pending) {
                continue;
            }
            count += 1;
            if lost.len() < LOST_KEPT {
                let (acknowledged, in_doubt) = (user.acknowledged.clone(), user.pending.clone());
                lost.push(LostWrite {
                    user: id,
                    acknowledged,
                    in_doubt,
                    found,
                });
            }
        }
        self.memory().lost = Some((count, lost));
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn user(&mut self, id: i64) -> &mut User {
        self.users
            .get_mut(&id)
            .expect("ids come from here and no user is forgotten")
    }
}

/// The user's name, or nothing when the shop says there is no such user.
async fn read_back(
    connections: &Connections,
    id: i64,
    timeout: Duration,
) -> Result<Option<String>, VerifyError> {
    let path = format!("/api/users/{id}");
    let mut attempt = 1;
    loop {
        let reason = match connections.exchange(Method::GET, &path, None, timeout).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => return Ok(None),
            Ok(answer) if answer.is_ok() => match serde_json::from_slice::<Seen>(&answer.body) {
                Ok(seen) => return Ok(Some(seen.name)),
                Err(error) => error.to_string(),
            },
            Ok(answer) => format!("status {}", answer.status.as_u16()),
            Err(failure) => failure.to_string(),
        };
        if attempt == VERIFY_ATTEMPTS {
            return Err(VerifyError {
                user: id,
                target: connections.target(),
                reason,
            });
        }
        attempt += 1;
        tokio::time::sleep(VERIFY_PAUSE).await;
    }
}
