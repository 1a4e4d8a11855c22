//! A webhook: another system that is asked, or told, at a point of an upgrade.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// The longest pause between two tries of what is told.
const LONGEST_PAUSE: Span = Span::from_mins(1);

/// Another system that is asked, or told, at a point of an upgrade: a `POST` with JSON that says which upgrade, version
/// and stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Its name, for people.
    pub name: String,
    /// When it is called.
    pub at: HookPoint,
    /// `http://…` or `https://…`; may hold `${env:NAME}` and `${file:path}`.
    pub url: String,
    /// Further headers. What is secret is `${env:NAME}` or `${file:path}` and is looked up at the moment of the call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// How long an answer may take; default 10s, and no more: the controller does nothing else meanwhile.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long a gate waits between two askings; default 10s.
    #[serde(default = "interval")]
    pub interval: Span,
    /// For how long it is tried; then a person is asked (a gate, `preRollout`), or it is given up and the report says so
    /// (`postRollout`, `rollback`). Default: a gate is asked as long as it takes, the others for 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// Whether it must not be sent again when its answer got lost; default false: it is sent again with the same
    /// `Idempotency-Key`. With true a person says what became of it.
    #[serde(default)]
    pub once: bool,
}

const fn timeout() -> Span {
    Span::from_secs(10)
}

const fn interval() -> Span {
    Span::from_secs(10)
}

/// When a webhook is called. The names and their meaning are Flagger's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HookPoint {
    /// A gate before anything is touched.
    ConfirmRollout,
    /// Told once the candidate is ready, before it gets its first request; a refusal goes back.
    PreRollout,
    /// A gate before each shift of traffic to the candidate.
    ConfirmTrafficIncrease,
    /// A gate before the candidate gets all traffic.
    ConfirmPromotion,
    /// Told once all is on the new version.
    PostRollout,
    /// Told once all is on the old version again.
    Rollback,
}

impl HookPoint {
    /// The word in the file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirmRollout",
            Self::PreRollout => "preRollout",
            Self::ConfirmTrafficIncrease => "confirmTrafficIncrease",
            Self::ConfirmPromotion => "confirmPromotion",
            Self::PostRollout => "postRollout",
            Self::Rollback => "rollback",
        }
    }

    /// Whether it is a gate: asked again and again until it opens.
    #[must_use]
    pub const fn asks(self) -> bool {
        matches!(
            self,
            Self::ConfirmRollout | Self::ConfirmTrafficIncrease | Self::ConfirmPromotion
        )
    }

    /// Whether it only hears what has happened already: nothing can be held up by it any more.
    #[must_use]
    pub const fn only_hears(self) -> bool {
        matches!(self, Self::PostRollout | Self::Rollback)
    }

    /// What an HTTP status means here. A gate that is closed may answer anything (Flagger's own answers 403); 409 says
    /// that this upgrade must not be. Of what is told, what was understood and refused is not sent again.
    #[must_use]
    pub const fn judge(self, status: u16) -> HookOutcome {
        match status {
            200..=299 => HookOutcome::Yes,
            409 => HookOutcome::No,
            _ if self.asks() => HookOutcome::NotYet,
            408 | 425 | 429 | 500.. => HookOutcome::NotYet,
            _ => HookOutcome::No,
        }
    }
}

impl std::fmt::Display for HookPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HookOutcome {
    /// Open, or taken.
    Yes,
    /// Refused.
    No,
    /// Closed, busy or not reached: it is tried again.
    NotYet,
    /// It was sent, and nobody knows what became of it.
    Lost,
}

/// An answer, or what came instead of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookAnswer {
    /// What it means.
    pub outcome: HookOutcome,
    /// What came, in a few words, without any secret: `status 403: closed until Monday`.
    pub said: String,
}

impl HookAnswer {
    /// An answer.
    #[must_use]
    pub fn new(outcome: HookOutcome, said: impl Into<String>) -> Self {
        Self {
            outcome,
            said: said.into(),
        }
    }
}

impl Webhook {
    /// For how long it is tried; none: as long as it takes.
    #[must_use]
    pub fn patience(&self) -> Option<Span> {
        self.deadline
            .or_else(|| (!self.at.asks()).then_some(Span::from_mins(5)))
    }

    /// How long to wait after so many tries: a gate's interval, or a second that doubles to a minute.
    #[must_use]
    pub fn pause(&self, tries: u32) -> Span {
        if self.at.asks() {
            return self.interval;
        }
        let doubled = 1_000u64 << tries.saturating_sub(1).min(10);
        Span::from_millis(doubled).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_something_else_to_a_gate_than_to_what_is_told() {
        for (status, asked, told) in [
            (200, HookOutcome::Yes, HookOutcome::Yes),
            (204, HookOutcome::Yes, HookOutcome::Yes),
            (302, HookOutcome::NotYet, HookOutcome::No),
            (403, HookOutcome::NotYet, HookOutcome::No),
            (404, HookOutcome::NotYet, HookOutcome::No),
            (409, HookOutcome::No, HookOutcome::No),
            (429, HookOutcome::NotYet, HookOutcome::NotYet),
            (503, HookOutcome::NotYet, HookOutcome::NotYet),
        ] {
            assert_eq!(HookPoint::ConfirmRollout.judge(status), asked, "{status}");
            assert_eq!(HookPoint::PreRollout.judge(status), told, "{status}");
        }
    }

    #[test]
    fn what_is_told_is_tried_less_and_less_often() {
        let text = r#"{"name": "x", "at": "rollback", "url": "http://x"}"#;
        let hook: Webhook = serde_json::from_str(text).unwrap();
        let pauses: Vec<u64> = [1, 2, 3, 7, 60]
            .map(|n| hook.pause(n).as_millis() / 1_000)
            .to_vec();
        assert_eq!(pauses, [1, 2, 4, 60, 60]);
        assert_eq!(hook.patience(), Some(Span::from_mins(5)));
    }
}
