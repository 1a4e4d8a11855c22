//! A plan's steps as the rows that people read: a shift and the pauses and analyses that hold it are one row.

use cutover_model::{Action, Migration, Plan, Span, Stage, Step, Timestamp};
use cutover_plan::{Doing, State};

/// Steps that are read as one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// The first of them; the others hold it.
    pub(crate) steps: &'a [Step],
}

/// The rows of a list of steps.
pub(crate) fn rows(steps: &[Step]) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut from = 0;
    while from < steps.len() {
        let mut to = from + 1;
        if steps[from].stage == Stage::Shift {
            while steps
                .get(to)
                .is_some_and(|step| holds(step) && step.way_back == steps[from].way_back)
            {
                to += 1;
            }
        }
        rows.push(Row {
            steps: &steps[from..to],
        });
        from = to;
    }
    rows
}

const fn holds(step: &Step) -> bool {
    matches!(step.action, Action::Pause { .. } | Action::Analyze { .. })
}

impl<'a> Row<'a> {
    /// The step that gives the row its name.
    pub(crate) fn head(&self) -> &'a Step {
        &self.steps[0]
    }

    /// The numbers of its steps: `7`, `7-9`.
    pub(crate) fn numbers(&self) -> String {
        match self.steps {
            [first, .., last] => format!("{}-{}", first.id, last.id),
            _ => self.head().id.to_string(),
        }
    }

    /// What it does, for people.
    pub(crate) fn title(&self) -> String {
        let mut title = title(self.head());
        for step in &self.steps[1..] {
            title.push_str(", ");
            title.push_str(&hold_title(step));
        }
        title
    }
}

fn title(step: &Step) -> String {
    match &step.action {
        Action::Pause { duration: Some(_) } => format!("hold {}", step.title),
        _ => step.title.clone(),
    }
}

fn hold_title(step: &Step) -> String {
    match &step.action {
        Action::Pause {
            duration: Some(duration),
        } => format!("hold {duration}"),
        Action::Pause { duration: None } => "hold until promoted".to_owned(),
        _ => format!("analysis {}", step.title),
    }
}

/// How far a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Not begun.
    Pending,
    /// Under way.
    Current,
    /// Over.
    Done,
    /// Failed, or left in the middle.
    Failed,
    /// Nobody knows whether it happened.
    Unknown,
}

impl Mark {
    /// Its sign; each is told apart without colour.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Pending => "·",
            Self::Current => "◐",
            Self::Done => "✓",
            Self::Failed => "✗",
            Self::Unknown => "?",
        }
    }
}

/// What became of a row so far.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) mark: Mark,
    /// How long it has been under way; none when it has not begun.
    pub(crate) took: Option<Span>,
    /// What it did or is to do.
    pub(crate) text: String,
}

/// Where a row of the plan (or, with `back`, of the way back) stands.
pub(crate) fn progress(row: &Row<'_>, state: &State, back: bool, now: Timestamp) -> Progress {
    let mine = |id| {
        state
            .times
            .iter()
            .filter(move |time| time.back == back && time.step == id)
    };
    let mut total: Option<u64> = None;
    for step in row.steps {
        for time in mine(step.id) {
            let span = Span::between(time.started, time.ended.unwrap_or(now));
            total = Some(total.unwrap_or(0) + span.as_millis());
        }
    }
    let mark = mark(row, state, back, total.is_some());
    let head = row.head();
    let detail = mine(head.id)
        .next_back()
        .filter(|time| time.ended.is_some())
        .map(|time| time.detail.as_str());
    let text = match (mark, detail) {
        (Mark::Done, Some(detail)) => told(head, detail),
        _ => title(head),
    };
    Progress {
        mark,
        took: total.map(Span::from_millis),
        text,
    }
}

fn mark(row: &Row<'_>, state: &State, back: bool, begun: bool) -> Mark {
    let index = |step: &Step| (step.id.0 as usize).saturating_sub(1);
    let (first, last) = (index(row.head()), index(&row.steps[row.steps.len() - 1]));
    if state.is_back() && !back {
        // The way back leaves the forward steps as they were: the last that had begun is where it turned.
        return match state.begun.checked_sub(1) {
            Some(turned) if (first..=last).contains(&turned) => Mark::Failed,
            Some(turned) if last < turned => Mark::Done,
            _ => Mark::Pending,
        };
    }
    if last < state.cursor {
        return Mark::Done;
    }
    if first > state.cursor || (first == state.cursor && !begun) {
        return Mark::Pending;
    }
    match &state.doing {
        Doing::Failed { .. } => Mark::Failed,
        Doing::Unknown { .. } => Mark::Unknown,
        _ if state.stuck.is_some() => Mark::Failed,
        Doing::Idle { .. } | Doing::Running { .. } => Mark::Current,
    }
}

/// What a step did, in its own words; those that do not name their subject get it in front.
pub(crate) fn told(step: &Step, detail: &str) -> String {
    let subject = match &step.action {
        Action::Backup { database } => database.to_string(),
        Action::Migrate { migrations, .. } => names(migrations),
        Action::Smoke { revision, .. } => format!("{} {}", revision.service, revision.version),
        Action::Analyze { .. } | Action::Approve { .. } => step.title.clone(),
        Action::Preflight
        | Action::Reopen { .. }
        | Action::Downgrade { .. }
        | Action::Hold { .. }
        | Action::Pause { .. }
        | Action::Window { .. }
        | Action::Call { .. }
        | Action::Soak { .. }
        | Action::Promote => String::new(),
    };
    if detail.is_empty() {
        step.title.clone()
    } else if subject.is_empty() || detail.starts_with(&subject) {
        detail.to_owned()
    } else if matches!(step.action, Action::Smoke { .. }) {
        format!("{subject}: {detail}")
    } else {
        format!("{subject}, {detail}")
    }
}

fn names(migrations: &[Migration]) -> String {
    // As the engine lists them, so that a detail that begins with them is recognised.
    migrations
        .iter()
        .map(|one| one.id.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The step that was under way when the upgrade turned back.
pub(crate) fn turned<'a>(plan: &'a Plan, state: &State) -> Option<&'a Step> {
    plan.steps.get(state.begun.checked_sub(1)?)
}
