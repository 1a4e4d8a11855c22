//! One event, one sentence: the words that plain lines and the story of an upgrade share.

use cutover_model::{
    Action, Event, Outcome, Plan, Progress, Record, Span, Stage, Step, StepId, Timestamp, Verdict, Weight,
};
use cutover_plan::{Course, Doing, State};

use super::stages::told;
use super::text::Tone;
use super::verdicts::analysis_words;
use super::words;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Only for who looks into an analysis.
    Detail,
    /// Belongs into the whole story.
    Minor,
    /// Worth a line while it happens.
    Major,
}

/// An event in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) rank: Rank,
    pub(crate) sign: &'static str,
    pub(crate) tone: Tone,
    /// The stage, or what kind of event it is.
    pub(crate) label: String,
    pub(crate) text: String,
    /// How long the step took that has ended.
    pub(crate) took: Option<Span>,
    /// After how many milliseconds the router acknowledged the step's weights.
    pub(crate) acknowledged: Option<u64>,
}

impl Told {
    fn new(rank: Rank, label: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            rank,
            sign: " ",
            tone: Tone::Plain,
            label: label.into(),
            text: text.into(),
            took: None,
            acknowledged: None,
        }
    }

    const fn sign(mut self, sign: &'static str, tone: Tone) -> Self {
        self.sign = sign;
        self.tone = tone;
        self
    }
}

/// Tells a journal's records in their order; remembers only what it needs to tell the next one.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    back: Option<Vec<Step>>,
    since: Option<Timestamp>,
    controlled: bool,
    acknowledged: Option<u64>,
    /// What was waited for last, without its numbers.
    waited: String,
    /// The last reason that was told: nobody reads the same long sentence three times in a row.
    because: String,
}

impl Teller {
    /// From where an upgrade stands, as if everything before had been told.
    pub(crate) fn after(state: &State) -> Self {
        let (back, because) = match &state.course {
            Course::Back(back) => (Some(back.steps.clone()), back.because.clone()),
            Course::Forward => (None, String::new()),
        };
        let since = match &state.doing {
            Doing::Running { since, .. } | Doing::Unknown { since, .. } => Some(*since),
            Doing::Idle { .. } | Doing::Failed { .. } => None,
        };
        Self {
            back,
            since,
            controlled: state.generation.0 > 0,
            because,
            ..Self::default()
        }
    }

    /// A record in words; none when it says nothing new to a person.
    pub(crate) fn tell(&mut self, record: &Record, plan: &Plan) -> Option<Told> {
        let told = match &record.event {
            Event::Created { by, engine, .. } => {
                let text = format!("{}, by {by}, plan {}, cutover {engine}", heading(plan), plan.id);
                Told::new(Rank::Major, "created", text)
            }
            Event::Controlled { generation, holder } => {
                let first = !std::mem::replace(&mut self.controlled, true);
                let rank = if first { Rank::Minor } else { Rank::Major };
                let text = if first {
                    holder.clone()
                } else {
                    format!("{holder} takes over (generation {generation})")
                };
                Told::new(rank, "controller", text)
            }
            Event::Intent { step, attempt, .. } => self.intent(record, plan, *step, *attempt)?,
            Event::Progress { step, what } => self.progress(plan, *step, what)?,
            Event::Outcome { step, outcome } => self.outcome(record, plan, *step, outcome)?,
            Event::Waiting { on } => self.waiting(on)?,
            Event::Measured {
                analysis,
                verdict,
                because,
                requests,
                errors,
                ..
            } => {
                if verdict.is_some() {
                    self.because.clone_from(because);
                }
                measured(analysis, *verdict, because, *requests, *errors)
            }
            Event::SoakTick { .. } | Event::Counted { .. } => return None,
            // A good answer is the step's outcome, and a bad one is what is waited for.
            Event::Called { answer, tries, .. } => {
                Told::new(Rank::Detail, "called", format!("try {tries}: {}", answer.said))
            }
            Event::Requested { command, by, why } => {
                let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                Told::new(
                    Rank::Major,
                    "asked",
                    format!("{by} asked to {}{why}", command.word()),
                )
            }
            Event::AbortStarted {
                because, code, steps, ..
            } => {
                self.back = Some(steps.clone());
                self.since = None;
                let text = if *because == self.because {
                    steps.first().map_or_else(
                        || "nothing has to be undone".to_owned(),
                        |step| step.title.clone(),
                    )
                } else if code == "requested" {
                    format!("as asked: {because}")
                } else {
                    because.clone()
                };
                self.because.clone_from(because);
                Told::new(Rank::Major, "going back", text).sign("✗", Tone::Wrong)
            }
            Event::GotStuck { because, next, .. } => {
                let known = !self.because.is_empty() && because.ends_with(&self.because);
                let because = if known { "a person is needed" } else { because };
                let text = format!("{because}; next: {}", next.join(", or "));
                Told::new(Rank::Major, "stuck", text).sign("✗", Tone::Wrong)
            }
            Event::Finished { phase, summary } => {
                let label = phase.word().to_lowercase();
                let short = summary
                    .strip_suffix(&self.because)
                    .and_then(|text| text.strip_suffix(": "));
                Told::new(Rank::Major, label, short.unwrap_or(summary))
            }
        };
        Some(told)
    }

    /// The step of an event, on the course that it is on.
    pub(crate) fn step<'a>(&'a self, plan: &'a Plan, id: StepId) -> Option<&'a Step> {
        let steps = self.back.as_ref().unwrap_or(&plan.steps);
        steps.get((id.0 as usize).checked_sub(1)?)
    }

    fn intent(&mut self, record: &Record, plan: &Plan, id: StepId, attempt: u32) -> Option<Told> {
        if attempt == 1 || self.since.is_none() {
            self.since = Some(record.at);
        }
        self.acknowledged = None;
        self.waited.clear();
        let step = self.step(plan, id)?;
        // What may take long, or wait for a lock, is announced; everything else is told when it is done.
        let long = matches!(step.action, Action::Backup { .. })
            || matches!(
                (step.stage, &step.action),
                (
                    Stage::Expand | Stage::Backfill | Stage::Contract,
                    Action::Migrate { .. }
                )
            );
        let rank = if long || attempt > 1 {
            Rank::Major
        } else {
            Rank::Minor
        };
        let again = if attempt > 1 {
            format!(", attempt {attempt}")
        } else {
            String::new()
        };
        Some(Told::new(rank, step.stage.word(), format!("{}{again}", step.title)).sign("◐", Tone::Plain))
    }

    fn progress(&mut self, plan: &Plan, id: StepId, what: &Progress) -> Option<Told> {
        let label = self.step(plan, id)?.stage.word();
        let told = match what {
            Progress::Ready {
                revision,
                ready,
                wanted,
            } => {
                let text = format!(
                    "{} {}: {ready} of {wanted} ready",
                    revision.service, revision.version
                );
                Told::new(Rank::Minor, label, text)
            }
            Progress::Routed { weights, took_ms } => {
                self.acknowledged = Some(*took_ms);
                let shares: Vec<String> = weights
                    .iter()
                    .map(|(revision, parts)| {
                        let weight = Weight::new(*parts).unwrap_or(Weight::ALL);
                        format!("{} {} {weight}", revision.service, revision.version)
                    })
                    .collect();
                let text = format!("routed: {}; acknowledged after {took_ms} ms", shares.join(", "));
                Told::new(Rank::Minor, label, text)
            }
            Progress::Draining {
                instance, revision, ..
            } => {
                let text = format!("draining {instance} ({} {})", revision.service, revision.version);
                Told::new(Rank::Minor, label, text)
            }
            Progress::Removed {
                instance,
                revision,
                cut,
            } => {
                let what = format!("removed {instance} ({} {})", revision.service, revision.version);
                if *cut == 0 {
                    Told::new(Rank::Minor, label, what)
                } else {
                    let cut = words::count(*cut, "request");
                    let text = format!("{what}; {cut} still open at the drain deadline");
                    Told::new(Rank::Major, label, text).sign("!", Tone::Waiting)
                }
            }
            Progress::Part { unit, done, total } => {
                let of = total
                    .map(|total| format!(" of {}", words::number(total)))
                    .unwrap_or_default();
                Told::new(
                    Rank::Detail,
                    label,
                    format!("{}{of} {unit}", words::number(*done)),
                )
            }
        };
        Some(told)
    }

    fn outcome(&mut self, record: &Record, plan: &Plan, id: StepId, outcome: &Outcome) -> Option<Told> {
        let step = self.step(plan, id)?;
        let (label, stage) = (step.stage.word(), step.stage);
        let mut told = match outcome {
            Outcome::Done { detail } => {
                Told::new(Rank::Major, label, told(step, detail)).sign("✓", Tone::Plain)
            }
            Outcome::DefinitelyNot { error, code } => {
                self.because.clone_from(error);
                Told::new(Rank::Major, label, format!("{error} [{code}]")).sign("✗", Tone::Wrong)
            }
            Outcome::Unknown { error } => {
                let text = format!("nobody knows whether it was done: {error}");
                Told::new(Rank::Major, label, text).sign("?", Tone::Waiting)
            }
        };
        told.acknowledged = self
            .acknowledged
            .filter(|_| matches!(stage, Stage::Shift | Stage::Back));
        told.took = self.since.map(|since| Span::between(since, record.at));
        Some(told)
    }

    fn waiting(&mut self, on: &cutover_model::WaitingOn) -> Option<Told> {
        let bare: String = on.what.chars().filter(|c| !c.is_ascii_digit()).collect();
        if bare == self.waited {
            return None;
        }
        self.waited = bare;
        let text = match on.until {
            Some(until) => {
                let left = words::left(Span::between(on.since, until));
                format!("{}, for at most {left}; then {}", on.what, on.then)
            }
            None => format!("{}; next: {}", on.what, on.then),
        };
        Some(Told::new(Rank::Major, "waiting for", text).sign("◐", Tone::Waiting))
    }
}

fn measured(analysis: &str, verdict: Option<Verdict>, because: &str, requests: u64, errors: u64) -> Told {
    let name = analysis_words(analysis);
    match verdict {
        None => {
            let seen = words::count(requests, "request");
            Told::new(
                Rank::Detail,
                "measured",
                format!("{name}: {because} ({seen}, {errors} failed)"),
            )
        }
        Some(verdict) => {
            let text = format!("{name}: {verdict}: {because}");
            let told = Told::new(Rank::Major, "verdict", text);
            match verdict {
                Verdict::Successful => told.sign("✓", Tone::Plain),
                Verdict::Failed => told.sign("✗", Tone::Wrong),
                Verdict::Inconclusive | Verdict::Error => told.sign("?", Tone::Waiting),
            }
        }
    }
}

fn heading(plan: &Plan) -> String {
    format!(
        "{}, {}",
        super::plan::heading(plan).text(),
        super::plan::what(plan)
    )
}
