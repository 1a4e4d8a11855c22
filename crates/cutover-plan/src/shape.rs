//! The list of steps while it is written: who changes, which states there are, and what each step means for the way back.

use std::collections::BTreeMap;

use cutover_model::{
    Action, Desired, DesiredRevision, Guard, RevisionId, ServiceChange, ServiceName, Span, Stage, Step,
    StepId, StepRouting, Track, Undo, Version, WayBack, Weight,
};
use cutover_spec::Release;

use crate::Split;

/// A service that gets another revision.
#[derive(Debug, Clone)]
pub(crate) struct Mover {
    pub(crate) service: ServiceName,
    pub(crate) from: Option<RevisionId>,
    pub(crate) to: RevisionId,
    /// Instances of `from` now.
    pub(crate) before: u32,
    /// Instances of `to` at the end.
    pub(crate) after: u32,
    pub(crate) routed: bool,
}

/// How much of each side of a mover is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) split: Split,
    /// The candidate's share; the rest is stable's.
    pub(crate) weight: Weight,
    /// What the candidate gets besides.
    pub(crate) routing: StepRouting,
    /// Whether the service is out: nobody has weight.
    pub(crate) out: bool,
}

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) target: &'a Release,
    pub(crate) from: Option<Version>,
    pub(crate) initial: Desired,
    pub(crate) movers: Vec<Mover>,
    pub(crate) steps: Vec<Step>,
    pub(crate) guards: Vec<Guard>,
    /// The last hold's state.
    pub(crate) now: Desired,
    /// Milliseconds that are known to pass.
    pub(crate) about_ms: u64,
    /// Whether there is a moment with nobody to serve.
    pub(crate) downtime: bool,
    /// Whether it is held up by windows and webhooks: an upgrade is, a rollback is not.
    pub(crate) gated: bool,
}

impl<'a> Shape<'a> {
    pub(crate) fn new(
        target: &'a Release,
        from: Option<Version>,
        initial: Desired,
        changes: &[ServiceChange],
    ) -> Self {
        let movers = changes
            .iter()
            .filter(|change| change.from != change.to)
            .filter_map(|change| {
                Some(Mover {
                    service: change.service.clone(),
                    from: change.from.clone(),
                    to: change.to.clone()?,
                    before: change.from.as_ref().map_or(0, |from| initial.replicas(from)),
                    after: change.replicas,
                    routed: change.listen.is_some(),
                })
            })
            .collect();
        let now = initial.clone();
        Self {
            target,
            from,
            initial,
            movers,
            steps: Vec::new(),
            guards: Vec::new(),
            now,
            about_ms: 0,
            downtime: false,
            gated: true,
        }
    }

    /// The next step's id.
    pub(crate) fn next_id(&self) -> StepId {
        StepId(u32::try_from(self.steps.len()).unwrap_or(u32::MAX - 1) + 1)
    }

    /// A way back by these words.
    pub(crate) fn back(&self, by: &str) -> WayBack {
        WayBack::To {
            version: self.from.clone(),
            by: by.to_owned(),
        }
    }

    /// Adds a step that changes nothing that would have to be undone.
    pub(crate) fn push(&mut self, stage: Stage, title: String, action: Action, way_back: WayBack) {
        self.push_with(
            stage,
            title,
            action,
            None,
            Undo::Nothing("nothing to undo".to_owned()),
            way_back,
        );
    }

    /// Adds a step.
    pub(crate) fn push_with(
        &mut self,
        stage: Stage,
        title: String,
        action: Action,
        deadline: Option<Span>,
        undo: Undo,
        way_back: WayBack,
    ) {
        let id = self.next_id();
        self.steps.push(Step {
            id,
            stage,
            title,
            action,
            deadline,
            undo,
            way_back,
        });
    }

    /// Adds a hold of a state, undone by the initial one; nothing when it is the state already.
    pub(crate) fn hold(&mut self, stage: Stage, title: String, desired: Desired, way_back: WayBack) {
        let undo = self.initial.clone();
        self.hold_undone_by(stage, title, desired, undo, way_back);
    }

    /// Adds a hold of a state, undone by another one.
    pub(crate) fn hold_undone_by(
        &mut self,
        stage: Stage,
        title: String,
        desired: Desired,
        undo: Desired,
        way_back: WayBack,
    ) {
        if desired == self.now {
            return;
        }
        self.now = desired.clone();
        let deadline = Some(self.progress_deadline());
        self.about_ms += 2_000;
        self.push_with(
            stage,
            title,
            Action::Hold { desired },
            deadline,
            Undo::Hold(undo),
            way_back,
        );
    }

    /// The longest progress deadline of the services that move.
    fn progress_deadline(&self) -> Span {
        self.movers
            .iter()
            .filter_map(|mover| self.target.application.services.get(&mover.service))
            .map(|service| service.health.progress_deadline.0)
            .max()
            .unwrap_or(Span::from_mins(10))
    }

    /// The state in which each mover has the given share; everything else is as it was in the beginning.
    pub(crate) fn state(&self, share: impl Fn(&Mover) -> Share) -> Desired {
        let mut desired = self.initial.clone();
        for mover in &self.movers {
            let Share {
                split,
                weight,
                routing,
                out,
            } = share(mover);
            let weigh = |weight: Weight| mover.routed.then_some(if out { Weight::NONE } else { weight });
            if let Some(from) = &mover.from {
                desired = desired.without(from);
                let stable = DesiredRevision {
                    track: Track::Stable,
                    replicas: split.stable,
                    weight: weigh(weight.rest()),
                    routing: StepRouting::default(),
                };
                // A revision that has neither instances nor requests is gone.
                if stable.replicas > 0 || stable.weight.is_some_and(|weight| !weight.is_none()) {
                    desired = desired.with(from, stable);
                }
            }
            let candidate = DesiredRevision {
                track: Track::Candidate,
                replicas: split.candidate,
                weight: weigh(weight),
                routing: if mover.routed {
                    routing
                } else {
                    StepRouting::default()
                },
            };
            if candidate.replicas > 0 || candidate.weight.is_some_and(|weight| !weight.is_none()) {
                desired = desired.with(&mover.to, candidate);
            }
        }
        desired
    }

    /// The state at the end: every mover wholly on its new revision, which is stable now, replicas as the release wants
    /// them, services that the release no longer has gone.
    pub(crate) fn last(changes: &[ServiceChange]) -> Desired {
        let mut last = BTreeMap::new();
        for change in changes {
            let Some(to) = &change.to else { continue };
            let weight = change.listen.as_ref().map(|_| Weight::ALL);
            last.insert(
                to.clone(),
                DesiredRevision {
                    track: Track::Stable,
                    replicas: change.replicas,
                    weight,
                    routing: StepRouting::default(),
                },
            );
        }
        Desired(last)
    }

    /// Smoke tests of the movers' new revisions.
    pub(crate) fn smoke(&mut self, by: &str) {
        for mover in self.movers.clone() {
            let tests = self
                .target
                .application
                .services
                .get(&mover.service)
                .map(|one| one.smoke.clone())
                .unwrap_or_default();
            if tests.is_empty() || self.now.replicas(&mover.to) == 0 {
                continue;
            }
            let paths: Vec<&str> = tests.iter().map(|test| test.get.as_str()).collect();
            let title = format!("{} {}: {}", mover.service, mover.to.version, paths.join(", "));
            let action = Action::Smoke {
                revision: mover.to.clone(),
                tests,
            };
            let back = self.back(by);
            self.push_with(
                Stage::Smoke,
                title,
                action,
                Some(Span::from_mins(2)),
                Undo::Nothing("it only asks".to_owned()),
                back,
            );
            self.about_ms += 100;
        }
    }

    /// The movers in words: `api 1.1.0`, `api and frontend 1.1.0`.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.movers.iter().map(|mover| mover.service.as_str()).collect();
        format!("{} {}", names.join(", "), self.target.version)
    }
}

/// `1 instance`, `3 instances`.
pub(crate) fn instances(n: u32) -> String {
    if n == 1 {
        "1 instance".to_owned()
    } else {
        format!("{n} instances")
    }
}
