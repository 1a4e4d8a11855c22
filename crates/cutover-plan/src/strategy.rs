//! The strategies as lists of states. Each ends with the candidate serving everything; what follows is the same for all.

use std::collections::BTreeMap;

use cutover_model::routing::TextMatch;
use cutover_model::{
    Action, AnalysisTemplate, Baseline, Guard, Span, Stage, StepId, StepRouting, Undo, Weight,
};
use cutover_spec::{
    BackgroundAnalysis, BlueGreen, Canary, CanaryStep, HeaderRoute, InlineAnalysis, Rolling, Strategy,
};

use crate::shape::{Shape, Share, instances};
use crate::{Split, canary_replicas, rolling_batches, split};

/// Words for the way back while the old revision still has its instances.
const SHIFT_BACK: &str = "weight 0, drain, remove the candidate; nothing is lost";

/// Words for the way back once old instances are gone.
pub(crate) const RESTART_OLD: &str =
    "start the old ones again, weights back, remove the candidate; nothing is lost";

/// A guard whose last step is not known yet. No step has this number.
pub(crate) const OPEN: StepId = StepId(0);

/// What comes after the last shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// How long the old revision is kept, in observed healthy time.
    pub(crate) soak: Span,
    /// Whether the old revision still has its instances.
    pub(crate) kept: bool,
}

/// Writes the launch and the shifts.
pub(crate) fn write(shape: &mut Shape<'_>, strategy: &Strategy, first: bool) -> Tail {
    if first {
        // Nothing serves yet: there is nobody to compare with and nothing to lose.
        blue_green(
            shape,
            &BlueGreen {
                scale_down_delay: Span::ZERO,
                ..BlueGreen::default()
            },
        );
        return Tail {
            soak: Span::ZERO,
            kept: false,
        };
    }
    // Where the old version is stopped first there is nothing to watch.
    if !matches!(strategy, Strategy::Recreate(_)) {
        guard_stable(shape);
    }
    match strategy {
        Strategy::BlueGreen(how) => {
            blue_green(shape, how);
            Tail {
                soak: how.scale_down_delay,
                kept: true,
            }
        }
        Strategy::Canary(how) => {
            canary(shape, how);
            Tail {
                soak: how.scale_down_delay,
                kept: true,
            }
        }
        Strategy::Rolling(how) => {
            rolling(shape, how);
            Tail {
                soak: how.scale_down_delay,
                kept: false,
            }
        }
        Strategy::Recreate(_) => {
            recreate(shape);
            Tail {
                soak: Span::ZERO,
                kept: false,
            }
        }
    }
}

/// Back to an older release: full capacity, tests, one switch. Nobody waits for a canary on the way back.
pub(crate) fn write_rollback(shape: &mut Shape<'_>, strategy: &Strategy) -> Tail {
    if matches!(strategy, Strategy::Recreate(_)) {
        recreate(shape);
    } else {
        blue_green(
            shape,
            &BlueGreen {
                scale_down_delay: Span::ZERO,
                ..BlueGreen::default()
            },
        );
    }
    Tail {
        soak: Span::ZERO,
        kept: false,
    }
}

fn launched(shape: &mut Shape<'_>, routing: StepRouting, replicas: impl Fn(&crate::shape::Mover) -> u32) {
    let state = shape.state(|mover| Share {
        // A worker takes work as soon as it runs: it is launched when the others' traffic moves.
        split: Split {
            stable: mover.before,
            candidate: if mover.routed { replicas(mover) } else { 0 },
        },
        weight: Weight::NONE,
        routing,
        out: false,
    });
    let count: u32 = shape
        .movers
        .iter()
        .filter(|mover| mover.routed)
        .map(&replicas)
        .sum();
    let title = format!("{}, {}", shape.names(), instances(count));
    let back = shape.back("remove the candidate");
    shape.hold(Stage::Launch, title, state, back);
    shape.smoke("remove the candidate");
}

fn blue_green(shape: &mut Shape<'_>, how: &BlueGreen) {
    let preview = how.preview_replica_count;
    let begins = shape.next_id();
    launched(shape, StepRouting::default(), |mover| {
        preview.unwrap_or(mover.after).min(mover.after)
    });
    inline(shape, how.pre_promotion_analysis.as_ref(), "pre-promotion");
    if preview.is_some() {
        let full = shape.state(|mover| Share {
            split: Split {
                stable: mover.before,
                candidate: if mover.routed { mover.after } else { 0 },
            },
            weight: Weight::NONE,
            routing: StepRouting::default(),
            out: false,
        });
        let title = format!("{} to full size", shape.names());
        let back = shape.back("remove the candidate");
        shape.hold(Stage::Launch, title, full, back);
    }
    let back = shape.back("remove the candidate");
    shape.hooks_before_shift(true, true, &back);
    if !how.auto_promotion_enabled {
        let question = format!("switch to {}?", shape.names());
        shape.push(
            Stage::Approve,
            question.clone(),
            Action::Approve { question },
            back.clone(),
        );
    }
    shape.window_before_shift(&back);
    before_switch(shape, how.post_promotion_analysis.as_ref(), StepId(begins.0 - 1));
    all(shape);
    inline(shape, how.post_promotion_analysis.as_ref(), "post-promotion");
}

/// What is compared with the time before the switch is taken down from the launch on, and up to the switch.
fn before_switch(shape: &mut Shape<'_>, which: Option<&InlineAnalysis>, after: StepId) {
    let name = which.map(inline_named);
    let compares = name.and_then(|name| template(shape, name));
    if compares.is_some_and(|template| template.baseline == Baseline::PreSwitch) {
        let until = StepId(shape.next_id().0 - 1);
        guard(shape, name, None, after);
        let open = |guard: &&mut Guard| guard.until == OPEN && !guard.watches_stable();
        for guard in shape.guards.iter_mut().filter(open) {
            guard.until = until;
        }
    }
}

/// Everything to the candidate, in one snapshot; workers change over here.
fn all(shape: &mut Shape<'_>) {
    let state = shape.state(|mover| Share {
        split: Split {
            stable: if mover.routed { mover.before } else { 0 },
            candidate: mover.after,
        },
        weight: Weight::ALL,
        routing: StepRouting::default(),
        out: false,
    });
    let title = format!("100 % to {}", shape.names());
    let back = shape.back(SHIFT_BACK);
    shape.hold(Stage::Shift, title, state, back);
}

fn canary(shape: &mut Shape<'_>, how: &Canary) {
    let steps = how.effective_steps();
    let first = steps
        .iter()
        .find_map(|step| match step {
            CanaryStep::SetCanaryScale(scale) => Some(Size::Replicas(scale.replicas)),
            CanaryStep::SetWeight(percent) if *percent > 0 => Some(Size::Percent(*percent)),
            _ => None,
        })
        .unwrap_or(Size::Percent(100));
    let mut extras = Extras::new(how.sets_mirror());
    let mut at = At {
        weight: 0,
        scale: None,
        first,
        routing: extras.routing,
        met: false,
    };
    launched(shape, extras.routing, |mover| first.of(mover.after));
    let name = how.analysis.as_ref().map(background_named);
    let start = how.analysis.as_ref().and_then(|analysis| analysis.starting_step);
    let start = start.unwrap_or(0) as usize;
    for (index, step) in steps.iter().enumerate() {
        if index == start {
            let begins = shape.next_id();
            let fallback = Some(cutover_spec::default_analysis());
            guard(shape, name, fallback, StepId(begins.0 - 1));
        }
        match step {
            CanaryStep::SetCanaryScale(wanted) => {
                at.scale = Some(wanted.replicas);
                let title = format!("{}, {}", shape.names(), instances(wanted.replicas));
                share(shape, Stage::Launch, title, at, false);
            }
            CanaryStep::SetWeight(percent) => {
                let title = format!("{percent} % to {}", shape.names());
                let grows = *percent > at.weight;
                at.weight = *percent;
                share(shape, Stage::Shift, title, at, grows);
                at.met |= grows;
            }
            CanaryStep::SetHeaderRoute(route) => {
                at.routing = extras.header_route(route);
                let title = header_title(shape, route);
                let grows = !route.when.is_empty();
                share(shape, Stage::Shift, title, at, grows);
                at.met |= grows;
            }
            CanaryStep::SetMirrorRoute(route) => {
                at.routing = extras.mirror(route.percentage);
                let title = format!("copies of {} % to {}", route.percentage, shape.names());
                share(shape, Stage::Shift, title, at, false);
            }
            CanaryStep::Pause(pause) => {
                let title = pause
                    .duration
                    .map_or_else(|| "until promoted".to_owned(), |span| span.to_string());
                shape.about_ms += pause.duration.map_or(0, Span::as_millis);
                let back = before_shift(shape, !at.met);
                shape.push(
                    Stage::Pause,
                    title,
                    Action::Pause {
                        duration: pause.duration,
                    },
                    back,
                );
            }
            CanaryStep::Analysis(which) => inline(shape, Some(which), "canary"),
        }
    }
    if at.weight < 100 {
        let back = before_shift(shape, !at.met);
        shape.gates_before_shift(!at.met, true, &back);
    }
    all(shape);
}

/// Where a canary is.
#[derive(Debug, Clone, Copy)]
struct At {
    weight: u8,
    /// Instances of the candidate, apart from its share.
    scale: Option<u32>,
    /// With how many it was launched.
    first: Size,
    routing: StepRouting,
    /// Whether any client has been answered by the candidate.
    met: bool,
}

/// Header routes and copies as they are set from step to step.
#[derive(Debug)]
struct Extras {
    routing: StepRouting,
    /// The bits of each header route by its name.
    names: BTreeMap<String, u32>,
    next: u32,
}

impl Extras {
    /// Where steps say how much is copied, nothing is until one has said so.
    fn new(sets_mirror: bool) -> Self {
        let routing = StepRouting {
            header_routes: 0,
            mirror: sets_mirror.then_some(0),
        };
        Self {
            routing,
            names: BTreeMap::new(),
            next: 0,
        }
    }

    /// Bits are given in the order of [`Canary::header_rules`].
    fn header_route(&mut self, route: &HeaderRoute) -> StepRouting {
        let mut bits = 0;
        for _ in &route.when {
            bits |= 1_u32.checked_shl(self.next).unwrap_or(0);
            self.next += 1;
        }
        self.names.insert(route.name.clone(), bits);
        self.routing.header_routes = self.names.values().fold(0, |all, bits| all | bits);
        self.routing
    }

    fn mirror(&mut self, percentage: u8) -> StepRouting {
        self.routing.mirror = Some(percentage);
        self.routing
    }
}

fn header_title(shape: &Shape<'_>, route: &HeaderRoute) -> String {
    let fields: Vec<String> = route
        .when
        .iter()
        .map(|one| match &one.header_value {
            TextMatch::Exact(text) => format!("{}: {text}", one.header_name),
            TextMatch::Prefix(text) => format!("{}: {text}…", one.header_name),
            TextMatch::Regex(text) => format!("{}: /{text}/", one.header_name),
        })
        .collect();
    if fields.is_empty() {
        return format!("end of the header route {}", route.name);
    }
    format!("requests with {} to {}", fields.join(" or "), shape.names())
}

/// How many instances a candidate starts with.
#[derive(Debug, Clone, Copy)]
enum Size {
    Replicas(u32),
    Percent(u8),
}

impl Size {
    fn of(self, n: u32) -> u32 {
        match self {
            Self::Replicas(replicas) => replicas.min(n),
            Self::Percent(percent) => canary_replicas(n, percent),
        }
    }
}

/// What going back means while the next shift waits.
fn before_shift(shape: &Shape<'_>, first: bool) -> cutover_model::WayBack {
    shape.back(if first { "remove the candidate" } else { SHIFT_BACK })
}

/// To a share of the requests, and what the candidate gets besides. `grows`: clients meet it that did not before.
fn share(shape: &mut Shape<'_>, stage: Stage, title: String, at: At, grows: bool) {
    let state = shape.state(|mover| {
        let split = if mover.routed {
            // With a scale of its own the candidate keeps it until there is more traffic than that; without any share it
            // keeps what it was launched with, for those who ask for it.
            let by_weight = if at.weight == 0 && !at.routing.is_none() {
                at.first.of(mover.after)
            } else {
                canary_replicas(mover.after, at.weight)
            };
            let candidate = at.scale.map_or(by_weight, |fixed| {
                fixed.min(mover.after).max(u32::from(at.weight > 0))
            });
            Split {
                stable: mover.before,
                candidate,
            }
        } else {
            split(mover.after, at.weight)
        };
        Share {
            split,
            weight: Weight::percent(at.weight),
            routing: at.routing,
            out: false,
        }
    });
    if grows && state != shape.now {
        let back = before_shift(shape, !at.met);
        shape.gates_before_shift(!at.met, at.weight >= 100, &back);
    }
    let back = shape.back(SHIFT_BACK);
    shape.hold(stage, title, state, back);
}

fn rolling(shape: &mut Shape<'_>, how: &Rolling) {
    let plans: Vec<Vec<Split>> = shape
        .movers
        .iter()
        .map(|mover| {
            let n = mover.before.max(mover.after);
            let surge = how.max_surge.of_rounded_up(n);
            let unavailable = how.max_unavailable.of_rounded_down(n);
            rolling_batches(n, surge, unavailable)
        })
        .collect();
    // Launched beside the old ones first, without requests, so that smoke tests see them before anybody does.
    let first = |plans: &[Vec<Split>], index: usize| {
        plans[index]
            .iter()
            .find(|batch| batch.candidate > 0)
            .copied()
            .unwrap_or(Split {
                stable: 0,
                candidate: 0,
            })
    };
    let places: Vec<_> = shape.movers.iter().map(|mover| mover.service.clone()).collect();
    let index =
        |service: &cutover_model::ServiceName| places.iter().position(|one| one == service).unwrap_or(0);
    let surges: Vec<u32> = shape
        .movers
        .iter()
        .map(|mover| how.max_surge.of_rounded_up(mover.before.max(mover.after)))
        .collect();
    let state = shape.state(|mover| {
        let place = index(&mover.service);
        let batch = first(&plans, place);
        let stable = if surges[place] == 0 {
            mover.before.saturating_sub(batch.candidate)
        } else {
            mover.before
        };
        Share {
            split: Split {
                stable,
                candidate: if mover.routed {
                    batch.candidate.min(mover.after)
                } else {
                    0
                },
            },
            weight: Weight::NONE,
            routing: StepRouting::default(),
            out: false,
        }
    });
    let count: u32 = shape
        .movers
        .iter()
        .filter(|mover| mover.routed)
        .map(|m| first(&plans, index(&m.service)).candidate)
        .sum();
    let title = format!("{}, {}", shape.names(), instances(count));
    let back = shape.back("remove the candidate");
    shape.hold(Stage::Launch, title, state, back);
    shape.smoke("remove the candidate");
    let begins = shape.next_id();
    let name = how.analysis.as_ref().map(inline_named);
    guard(shape, name, None, StepId(begins.0 - 1));
    // Service by service in dependency order; within one, batch by batch.
    let movers = shape.movers.clone();
    let mut done: Vec<Option<Split>> = vec![None; movers.len()];
    let mut left: usize = plans.iter().flatten().filter(|batch| batch.candidate > 0).count();
    let mut first = true;
    for (place, mover) in movers.iter().enumerate() {
        for batch in &plans[place] {
            if batch.candidate == 0 {
                continue;
            }
            done[place] = Some(*batch);
            let launched = shape.now.clone();
            let state = shape.state(|other| {
                let at = index(&other.service);
                match done[at] {
                    Some(split) => Share {
                        split: Split {
                            stable: split.stable,
                            candidate: split.candidate.min(other.after),
                        },
                        weight: Weight::share(split.candidate, split.candidate + split.stable),
                        routing: StepRouting::default(),
                        out: false,
                    },
                    // Not begun: as it was launched.
                    None => Share {
                        split: Split {
                            stable: other.from.as_ref().map_or(0, |from| launched.replicas(from)),
                            candidate: launched.replicas(&other.to),
                        },
                        weight: Weight::NONE,
                        routing: StepRouting::default(),
                        out: false,
                    },
                }
            });
            let title = format!(
                "{} {}: {} new, {} old",
                mover.service,
                mover.to.version,
                batch.candidate.min(mover.after),
                batch.stable
            );
            left -= 1;
            if state != shape.now {
                let back = if first {
                    shape.back("remove the candidate")
                } else {
                    shape.back(RESTART_OLD)
                };
                shape.gates_before_shift(first, left == 0, &back);
                first = false;
            }
            let back = shape.back(RESTART_OLD);
            shape.hold(Stage::Shift, title, state, back);
        }
    }
}

fn recreate(shape: &mut Shape<'_>) {
    shape.downtime = true;
    let down = shape.state(|_| Share {
        split: Split {
            stable: 0,
            candidate: 0,
        },
        weight: Weight::NONE,
        routing: StepRouting::default(),
        out: true,
    });
    // Once the old version is stopped nobody serves: everybody is asked before.
    let untouched = shape.back("the old version still serves");
    shape.gates_before_shift(true, true, &untouched);
    let back = shape.back("start the old version again");
    let from = shape
        .from
        .as_ref()
        .map_or_else(String::new, |from| format!(" {from}"));
    shape.hold(
        Stage::Shift,
        format!("stop{from}; requests get 503 with Retry-After"),
        down.clone(),
        back.clone(),
    );
    let up = shape.state(|mover| Share {
        split: Split {
            stable: 0,
            candidate: mover.after,
        },
        weight: Weight::NONE,
        routing: StepRouting::default(),
        out: true,
    });
    let count: u32 = shape.movers.iter().map(|mover| mover.after).sum();
    let title = format!("{}, {}", shape.names(), instances(count));
    shape.hold_undone_by(Stage::Launch, title, up, down.clone(), back.clone());
    shape.smoke("start the old version again");
    let all = shape.state(|mover| Share {
        split: Split {
            stable: 0,
            candidate: mover.after,
        },
        weight: Weight::ALL,
        routing: StepRouting::default(),
        out: false,
    });
    let title = format!("100 % to {}", shape.names());
    shape.hold_undone_by(Stage::Shift, title, all, down, back);
}

/// A template by its name, and what is filled in where it is used.
type Named<'a> = (&'a str, &'a BTreeMap<String, String>);

fn inline_named(analysis: &InlineAnalysis) -> Named<'_> {
    (&analysis.template, &analysis.args)
}

fn background_named(analysis: &BackgroundAnalysis) -> Named<'_> {
    (&analysis.template, &analysis.args)
}

fn template(shape: &Shape<'_>, (name, args): Named<'_>) -> Option<AnalysisTemplate> {
    let template = shape.target.application.analysis.get(name).cloned();
    template.map(|template| template.effective().with_arguments(args))
}

/// An analysis that the next step waits for, for each routed service.
fn inline(shape: &mut Shape<'_>, which: Option<&InlineAnalysis>, when: &str) {
    let Some((which, template)) =
        which.and_then(|which| Some((which, template(shape, inline_named(which))?)))
    else {
        return;
    };
    for mover in shape.movers.clone().into_iter().filter(|mover| mover.routed) {
        let id = shape.next_id();
        let name = format!("{when}:{}:{}:{id}", which.template, mover.service);
        shape.about_ms +=
            template.initial_delay.as_millis() + template.interval.as_millis() * u64::from(template.count);
        let back = shape.back(SHIFT_BACK);
        let action = Action::Analyze {
            name,
            template: template.clone(),
            candidate: mover.to.clone(),
            stable: mover.from.clone(),
        };
        let title = format!("{} of {}", which.template, mover.service);
        shape.push_with(
            Stage::Analysis,
            title,
            action,
            None,
            Undo::Nothing("it only measures".to_owned()),
            back,
        );
    }
}

/// The old version is watched from the beginning on, and judged from the first step that changes the schema: what that
/// does to both versions alike no comparison between them shows.
fn guard_stable(shape: &mut Shape<'_>) {
    let mut steps = shape.steps.iter();
    if !steps.any(|step| matches!(step.action, Action::Migrate { .. })) {
        return;
    }
    for mover in shape.movers.iter().filter(|mover| mover.routed) {
        let Some(stable) = &mover.from else { continue };
        shape.guards.push(Guard {
            name: format!("stable:{}", mover.service),
            template: cutover_spec::stable_guard(),
            after: StepId(0),
            until: OPEN,
            candidate: stable.clone(),
            stable: Some(stable.clone()),
        });
    }
}

/// An analysis in the background, for each routed service, until the old revision is given up.
fn guard(shape: &mut Shape<'_>, which: Option<Named<'_>>, fallback: Option<AnalysisTemplate>, after: StepId) {
    let found = match which {
        Some(named) => template(shape, named).map(|template| (named.0.to_owned(), template)),
        None => fallback.map(|template| ("default".to_owned(), template)),
    };
    let Some((name, template)) = found else { return };
    for mover in shape.movers.iter().filter(|mover| mover.routed) {
        shape.guards.push(Guard {
            name: format!("background:{name}:{}", mover.service),
            template: template.clone(),
            after,
            until: OPEN,
            candidate: mover.to.clone(),
            stable: mover.from.clone(),
        });
    }
}
