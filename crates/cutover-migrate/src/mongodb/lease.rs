//! One migrator at a time: a lease in `cutover_meta`, with a deadline by the server's clock that its holder keeps moving.
//!
//! Each taking is a turn, and turns only grow: what was written in an earlier one is refused. A holder on this machine whose
//! process is gone is replaced at once, one of an older generation too: its controller was replaced. Anybody else is waited
//! for until the deadline has passed.

use std::time::Duration;

use cutover_model::{Diagnostic, Fence, Span, Timestamp};
use cutover_os::{ProcessIdentity, host_name};
use cutover_ports::{Holder, PortError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::number;
use super::records::{ONE, command, update};
use super::{META, MongoSession};
use crate::failure::{Blocker, Failure, plain};
use crate::lock::held;

/// How long a holder may be silent.
const LEASE: Duration = Duration::from_secs(20);

/// How often it is heard of while a command runs.
pub(super) const BEAT: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(100);

/// Who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    store: String,
    generation: u64,
    since: String,
    process: Option<Holder>,
}

/// As it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    turn: u64,
    until: Option<Timestamp>,
    owner: Option<Owner>,
}

/// Why it may be taken, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nobody has it.
    Free,
    /// Its holder was not heard of.
    Expired,
    /// Its holder's process is gone.
    Dead,
    /// Its holder's controller was replaced.
    Replaced,
    /// Its holder is at work.
    Held,
}

/// Whether it may be taken. Pure.
fn turn(found: &Found, fence: &Fence, now: Timestamp, is_dead: bool) -> Turn {
    let (Some(owner), Some(until)) = (&found.owner, found.until) else {
        return Turn::Free;
    };
    if until <= now {
        Turn::Expired
    } else if is_dead {
        Turn::Dead
    } else if owner.store == fence.store.as_str() && owner.generation < fence.generation.0 {
        Turn::Replaced
    } else {
        Turn::Held
    }
}

fn read(document: Option<&Value>) -> Found {
    let lease = document.and_then(|document| document.get("heldBy"));
    let turn = document.and_then(|document| document.get("turns"));
    Found {
        turn: turn
            .and_then(number)
            .and_then(|turn| u64::try_from(turn).ok())
            .unwrap_or(0),
        until: lease
            .and_then(|lease| lease.get("until")?.as_str())
            .and_then(|until| until.parse().ok()),
        owner: lease
            .and_then(|lease| lease.get("owner"))
            .and_then(|owner| serde_json::from_value(owner.clone()).ok()),
    }
}

fn myself() -> Option<Holder> {
    let identity = ProcessIdentity::current().ok()?;
    Some(Holder {
        host: host_name(),
        boot: identity.boot_id,
        pid: identity.pid,
        started: identity.start_ticks,
    })
}

/// Whether it was on this machine and is not there any more.
fn is_dead(holder: &Holder) -> bool {
    let identity = ProcessIdentity {
        boot_id: holder.boot.clone(),
        pid: holder.pid,
        start_ticks: holder.started,
    };
    identity.has_ended_on(&holder.host)
}

impl MongoSession {
    /// Takes the lease, or says who has it.
    pub(crate) async fn lock(&mut self, fence: &Fence, wait: Span) -> Result<(), PortError> {
        let what = self.what.clone();
        let told = |failure| plain(&what, failure);
        let end = Instant::now() + wait.as_duration();
        loop {
            let document = self.meta_document().await.map_err(told)?;
            let now = self.server_time().await.map_err(told)?;
            let found = read(document.as_ref());
            let process = found.owner.as_ref().and_then(|owner| owner.process.as_ref());
            let may = turn(&found, fence, now, process.is_some_and(is_dead));
            if may != Turn::Held {
                if may != Turn::Free {
                    tracing::info!(?may, what, "taking over the lease of another migrator");
                }
                let there = document.is_some();
                if self.take(fence, &found, there, now).await.map_err(told)? {
                    return Ok(());
                }
                // Somebody else was faster.
            }
            if Instant::now() >= end {
                return Err(held(&what, wait, found.owner.map(blocker)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Only if nothing has changed since it was looked at.
    async fn take(
        &mut self,
        fence: &Fence,
        found: &Found,
        there: bool,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let next = found.turn + 1;
        let lease = json!({
            "turn": next,
            "until": (now + LEASE).to_string(),
            "owner": Owner {
                store: fence.store.to_string(),
                generation: fence.generation.0,
                since: now.to_string(),
                process: myself(),
            },
        });
        let taken = if there {
            // One that is renewed meanwhile has another deadline.
            let (key, value) = match found.until {
                Some(until) => ("heldBy.until", json!(until.to_string())),
                None => ("heldBy", Value::Null),
            };
            let one = json!({
                "q": {"_id": ONE, "turns": found.turn, key: value},
                "u": {"$set": {"turns": next, "heldBy": lease}},
            });
            self.written(&update(META, &one)).await?
        } else {
            let document = json!({"_id": ONE, "turns": next, "heldBy": lease});
            let insert = json!({"documents": [document], "writeConcern": {"w": "majority"}});
            self.written(&command("insert", META, &insert)).await?
        };
        if taken {
            self.turn = next;
            self.logged = 0;
        }
        Ok(taken)
    }

    /// Moves the deadline, and so proves that nobody has taken over.
    pub(super) async fn renew(&self) -> Result<(), Failure> {
        let until = (self.server_time().await? + LEASE).to_string();
        let one = json!({
            "q": {"_id": ONE, "heldBy.turn": self.turn},
            "u": {"$set": {"heldBy.until": until}},
        });
        self.write(&update(META, &one)).await
    }

    /// Gives it back; who cannot is replaced when the deadline has passed.
    pub(crate) async fn unlock(&self) {
        let one = json!({
            "q": {"_id": ONE, "heldBy.turn": self.turn},
            "u": {"$set": {"heldBy": null}},
        });
        if let Err(failure) = self.written(&update(META, &one)).await {
            tracing::warn!(?failure, what = self.what, "the lease runs until its deadline");
        }
    }

    pub(super) fn lost_turn(&self) -> Failure {
        PortError::refused(
            Diagnostic::error(
                "migrate.lease-lost",
                format!(
                    "another migrator took over {}: this one was not heard of in time, or was replaced",
                    self.what
                ),
            )
            .help("cutover migrate status"),
        )
        .into()
    }
}

fn blocker(owner: Owner) -> Blocker {
    let process = owner.process;
    Blocker {
        pid: process
            .as_ref()
            .map_or_else(|| "?".to_owned(), |process| process.pid.to_string()),
        application: format!("cutover of {}", owner.store),
        since: Some(owner.since),
        doing: process.map(|process| format!("on {}", process.host)),
        query: None,
    }
}

#[cfg(test)]
mod tests {
    use cutover_model::{Generation, StoreId};

    use super::*;

    #[test]
    fn who_may_take_it() {
        let fence = Fence {
            store: StoreId::new("a"),
            generation: Generation(5),
        };
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let held = |store: &str, generation, until: Duration| Found {
            turn: 3,
            until: Some(now + until),
            owner: Some(Owner {
                store: store.to_owned(),
                generation,
                since: now.to_string(),
                process: None,
            }),
        };
        let second = Duration::from_secs(1);
        assert_eq!(turn(&read(None), &fence, now, false), Turn::Free);
        assert_eq!(turn(&held("a", 5, second), &fence, now, false), Turn::Held);
        assert_eq!(turn(&held("a", 6, second), &fence, now, false), Turn::Held);
        assert_eq!(turn(&held("a", 4, second), &fence, now, false), Turn::Replaced);
        assert_eq!(turn(&held("b", 4, second), &fence, now, false), Turn::Held);
        assert_eq!(turn(&held("b", 4, second), &fence, now, true), Turn::Dead);
        assert_eq!(
            turn(&held("a", 5, Duration::ZERO), &fence, now, false),
            Turn::Expired
        );
    }
}
