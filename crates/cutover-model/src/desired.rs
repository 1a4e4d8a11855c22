//! What the world should look like: instances and shares of traffic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::routing::{Mirror, RouteRule};
use crate::{RevisionId, RoutePolicy, ServiceName, Track, Weight};

/// How much of a revision is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredRevision {
    /// Which of the two it is.
    pub track: Track,
    /// How many instances.
    pub replicas: u32,
    /// Its share of the service's requests; none when the service has no router.
    pub weight: Option<Weight>,
    /// What it gets besides its share.
    #[serde(default, skip_serializing_if = "StepRouting::is_none")]
    pub routing: StepRouting,
}

/// What a step gives to the candidate besides its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepRouting {
    /// Which of [`crate::ServiceChange::header_routes`] hold: the first by the lowest bit.
    #[serde(skip_serializing_if = "is_zero")]
    pub header_routes: u32,
    /// Of how many requests copies are made, in per cent; as the route's policy says when no step says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<u8>,
}

impl StepRouting {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The policy that a route has by it.
    #[must_use]
    pub fn applied(self, policy: &RoutePolicy, header_routes: &[RouteRule]) -> RoutePolicy {
        let mut policy = policy.clone();
        let holds = |index: usize| u32::try_from(index).is_ok_and(|bit| self.header_routes >> bit & 1 == 1);
        let routes = header_routes.iter().take(Self::MOST).enumerate();
        let mut rules: Vec<RouteRule> = routes
            .filter(|(index, _)| holds(*index))
            .map(|(_, rule)| rule.clone())
            .collect();
        rules.append(&mut policy.rules);
        policy.rules = rules;
        match self.mirror {
            None => {}
            Some(0) => policy.mirror = None,
            Some(percentage) => {
                policy.mirror = Some(Mirror {
                    percentage,
                    ..policy.mirror.unwrap_or_default()
                });
            }
        }
        policy
    }

    /// How many header routes there can be in one plan.
    pub const MOST: usize = 32;
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(bits: &u32) -> bool {
    *bits == 0
}

/// The wanted state of all services: the content of a hold. Revisions that are not named are to be gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Desired(pub BTreeMap<RevisionId, DesiredRevision>);

impl Desired {
    /// What is wanted of a revision; nothing when it is not named.
    #[must_use]
    pub fn replicas(&self, revision: &RevisionId) -> u32 {
        self.0.get(revision).map_or(0, |want| want.replicas)
    }

    /// The share of a revision; none when it is not named.
    #[must_use]
    pub fn weight(&self, revision: &RevisionId) -> Weight {
        self.0
            .get(revision)
            .and_then(|want| want.weight)
            .unwrap_or(Weight::NONE)
    }

    /// The revisions of one service.
    pub fn of<'a>(
        &'a self,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = (&'a RevisionId, &'a DesiredRevision)> {
        self.0.iter().filter(move |(id, _)| id.service == *service)
    }

    /// This state with one revision changed.
    #[must_use]
    pub fn with(mut self, revision: &RevisionId, want: DesiredRevision) -> Self {
        self.0.insert(revision.clone(), want);
        self
    }

    /// This state without one revision.
    #[must_use]
    pub fn without(mut self, revision: &RevisionId) -> Self {
        self.0.remove(revision);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::RequestMatch;

    fn rule(path: &str) -> RouteRule {
        RouteRule {
            when: RequestMatch {
                source: vec![path.to_owned()],
                ..RequestMatch::default()
            },
            to: Track::Candidate,
        }
    }

    #[test]
    fn a_step_adds_rules_before_the_policy_s_and_says_how_much_is_copied() {
        let policy = RoutePolicy {
            rules: vec![rule("own")],
            mirror: Some(Mirror {
                percentage: 100,
                queue: 7,
                ..Mirror::default()
            }),
            ..RoutePolicy::default()
        };
        let routes = [rule("a"), rule("b"), rule("c")];
        let by = |header_routes, mirror| {
            StepRouting {
                header_routes,
                mirror,
            }
            .applied(&policy, &routes)
        };
        assert_eq!(by(0, None), policy);
        assert_eq!(by(0b101, None).rules, [rule("a"), rule("c"), rule("own")]);
        assert_eq!(by(0, Some(0)).mirror, None);
        let mirror = by(0, Some(20)).mirror.unwrap();
        assert_eq!((mirror.percentage, mirror.queue), (20, 7));
        let bare = StepRouting {
            header_routes: 0,
            mirror: Some(5),
        }
        .applied(&RoutePolicy::default(), &[]);
        assert_eq!(bare.mirror.unwrap().percentage, 5);
    }

    #[test]
    fn a_state_of_before_is_read_and_written_as_it_was() {
        let text = r#"{"api@1.0.0#aa":{"track":"stable","replicas":2,"weight":10000}}"#;
        let desired: Desired = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&desired).unwrap(), text);
    }
}
