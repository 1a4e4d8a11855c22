//! The report at the end: what changed, how long it took, what clients met of it, and the way back. Written so that one
//! can forward it to a team.

use cutover_model::{
    Action, Event, MigrationPhase, Note, Outcome, Plan, Progress, Record, RevisionId, Span, Stage, StepId,
    StepRouting, UpgradeId, UpgradePhase, Verdict, WayBack, Weight,
};
use cutover_plan::{Course, Met, State};

use super::chart::chart;
use super::frame::{stage_line, turned_at};
use super::stages::{Mark, Progress as Seen, Row, progress, rows};
use super::style::Style;
use super::text::{Line, Page, Tone, columns};
use super::verdicts::{Judgement, decided, judged};
use super::{plan as plan_view, words};

/// Where the values of a section begin.
const VALUE: usize = 17;

/// An upgrade with its journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    /// Which.
    pub(crate) id: &'a UpgradeId,
    /// What it carries out.
    pub(crate) plan: &'a Plan,
    /// Where it stands.
    pub(crate) state: &'a State,
    /// What happened.
    pub(crate) records: &'a [Record],
}

impl Run<'_> {
    /// Who asked for it.
    pub(crate) fn by(&self) -> Option<&str> {
        self.records.iter().find_map(|record| match &record.event {
            Event::Created { by, .. } => Some(by.as_str()),
            _ => None,
        })
    }

    /// From its creation to its last event.
    pub(crate) fn took(&self) -> Span {
        Span::between(self.state.created_at, self.state.at)
    }

    /// How long the router took to acknowledge the switch: to the candidate alone, or back.
    pub(crate) fn switch_ms(&self) -> Option<u64> {
        let back = self.state.is_back();
        let mut turned = false;
        self.records.iter().find_map(|record| match &record.event {
            Event::AbortStarted { .. } => {
                turned = true;
                None
            }
            Event::Progress {
                what: Progress::Routed { weights, took_ms },
                ..
            } if back == turned => {
                let full = weights.iter().any(|(revision, parts)| {
                    let new = self
                        .plan
                        .services
                        .iter()
                        .any(|change| change.to.as_ref() == Some(revision));
                    *parts == 10_000 && (back || new)
                });
                full.then_some(*took_ms)
            }
            _ => None,
        })
    }

    /// Requests that were still open when a drain's deadline passed.
    pub(crate) fn cut(&self) -> u64 {
        self.records
            .iter()
            .map(|record| match &record.event {
                Event::Progress {
                    what: Progress::Removed { cut, .. },
                    ..
                } => *cut,
                _ => 0,
            })
            .sum()
    }

    /// Requests on the candidate, by what the router counted, or at least those that an analysis saw. None when that is not known.
    pub(crate) fn exposed(&self) -> Option<Exposed> {
        if let Some(met) = &self.state.met {
            return Some(Exposed {
                requests: met.exposed,
                errors: met.candidate_errors,
                at_least: met.at_least,
            });
        }
        // One that watches the old version saw none of the candidate's.
        let all = judged(self.plan, self.state);
        let seen = all.iter().map(|one| (one.note.requests, one.note.errors)).max();
        let (requests, errors) = seen.filter(|(requests, _)| *requests > 0)?;
        Some(Exposed {
            requests,
            errors,
            at_least: true,
        })
    }

    /// Whether a step of the plan itself was done, not only begun.
    fn is_done(&self, step: StepId) -> bool {
        let forward = self
            .records
            .iter()
            .take_while(|record| !matches!(record.event, Event::AbortStarted { .. }));
        let mut outcomes = forward.filter_map(|record| match &record.event {
            Event::Outcome { step, outcome } => Some((*step, outcome)),
            _ => None,
        });
        outcomes.any(|(id, outcome)| id == step && matches!(outcome, Outcome::Done { .. }))
    }

    /// Whether the last step that began migrates, and was not done.
    fn failed_migration(&self) -> bool {
        let last = self
            .state
            .begun
            .checked_sub(1)
            .and_then(|at| self.plan.steps.get(at));
        last.is_some_and(|step| matches!(step.action, Action::Migrate { .. }) && !self.is_done(step.id))
    }

    /// Whether requests may have been sent to what is new.
    fn shifted(&self) -> bool {
        let begun = self.plan.steps.iter().take(self.state.begun);
        let mut wanted = begun.filter_map(|step| match &step.action {
            Action::Hold { desired } => Some(desired),
            _ => None,
        });
        let new = |revision: &RevisionId| {
            let mut moved = self.plan.services.iter();
            moved.any(|change| change.from != change.to && change.to.as_ref() == Some(revision))
        };
        wanted.any(|desired| {
            desired.0.iter().any(|(revision, want)| {
                let routed = want.weight.is_some_and(|weight| weight > Weight::NONE);
                new(revision) && (routed || want.routing != StepRouting::default())
            })
        })
    }

    /// How it was judged, in one word.
    pub(crate) fn verdict(&self) -> Option<Judgement> {
        let all = judged(self.plan, self.state);
        let bad = all.iter().find(|one| one.is_bad());
        let one = bad.or_else(|| all.iter().rev().find(|one| one.unjudged().is_none()));
        Some(match one.or_else(|| all.last())?.judgement() {
            // A background analysis that was there to the end and did not object.
            None if self.state.phase == UpgradePhase::Succeeded => Judgement::Verdict(Verdict::Successful),
            None => Judgement::Verdict(Verdict::Inconclusive),
            Some(judgement) => judgement,
        })
    }
}

/// Requests that reached the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exposed {
    /// How many.
    pub(crate) requests: u64,
    /// Failed ones among them.
    pub(crate) errors: u64,
    /// Whether there may have been more.
    pub(crate) at_least: bool,
}

impl Exposed {
    fn some(self) -> &'static str {
        if self.at_least { "at least " } else { "" }
    }
}

/// The report of an upgrade that has ended, or that waits for a person.
pub(crate) fn report(run: &Run<'_>, style: &Style) -> String {
    let mut page = Page::new();
    head(&mut page, run, style);
    page.hanging(Line::new(), Tone::Strong, &headline(run), style.edge());
    page.blank();
    changed(&mut page, run, style);
    stages(&mut page, run, style);
    requests(&mut page, run, style);
    verdicts(&mut page, run, style);
    way_back(&mut page, run, style);
    next(&mut page, run);
    page.paint(style)
}

fn head(page: &mut Page, run: &Run<'_>, style: &Style) {
    let took = words::took(run.took());
    let what = format!("{} · {}", run.plan.environment, plan_view::what(run.plan));
    let line = plan_view::heading(run.plan).tone(Tone::Dim, &what);
    page.push(
        line.fit(style.edge() - columns(&took) - 1)
            .right(Tone::Plain, &took, style.edge()),
    );
    let by = run.by().map(|by| format!(", by {by}")).unwrap_or_default();
    let when = words::period(run.state.created_at, run.state.at, style.zone);
    page.push(
        Line::new()
            .tone(Tone::Dim, &format!("{when}{by}"))
            .fit(style.edge()),
    );
    page.blank();
}

/// The whole upgrade in a sentence or two.
pub(super) fn headline(run: &Run<'_>) -> String {
    let plan = run.plan;
    let app = &plan.application;
    let stays = plan.from.as_ref().map_or_else(
        || format!("{app} is not deployed"),
        |from| format!("{app} stays on {from}"),
    );
    match run.state.phase {
        UpgradePhase::Succeeded => match &run.state.met {
            None => format!("{app} is on {}.", plan.to),
            Some(met) => {
                let served = words::count(met.served, "request");
                let (at_least, failed) = (at_least(met), failed(met, plan));
                format!(
                    "{app} is on {}. {at_least}{served} were served meanwhile, {failed}.",
                    plan.to
                )
            }
        },
        UpgradePhase::Aborted => {
            let taken = if plan.from.as_ref() == Some(&plan.to) {
                "The change was taken back".to_owned()
            } else {
                format!("{} was aborted", plan.to)
            };
            format!("{stays}. {taken}{}.", reached(run))
        }
        UpgradePhase::Failed => format!("{stays}: nothing was changed."),
        UpgradePhase::Stuck => {
            let because = run
                .state
                .stuck
                .as_ref()
                .map(|stuck| stuck.because.clone())
                .unwrap_or_default();
            sentence(format!("A person is needed: {because}"))
        }
        UpgradePhase::Pending
        | UpgradePhase::Running
        | UpgradePhase::Paused
        | UpgradePhase::WaitingForGate
        | UpgradePhase::Soaking
        | UpgradePhase::Aborting => {
            let what = run
                .state
                .waiting
                .as_ref()
                .map(|on| format!(": waiting for {}", on.what))
                .unwrap_or_default();
            let from = plan
                .from
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), ToString::to_string);
            sentence(format!("{app} is between {from} and {}{what}", plan.to))
        }
    }
}

fn sentence(mut text: String) -> String {
    if !text.ends_with(['.', '?', '!']) {
        text.push('.');
    }
    text
}

/// How many failed meanwhile, and whose they were.
fn failed(met: &Met, plan: &Plan) -> String {
    let number = words::number;
    match (met.failed, met.candidate_errors) {
        (0, 0) => "none failed".to_owned(),
        (others, 0) => format!("{} failed", number(others)),
        (0, new) => format!("{} failed, all on {}", number(new), plan.to),
        (others, new) => format!(
            "{} failed, {} of them on {}",
            number(others + new),
            number(new),
            plan.to
        ),
    }
}

const fn at_least(met: &Met) -> &'static str {
    if met.at_least { "at least " } else { "" }
}

fn reached(run: &Run<'_>) -> String {
    let routed = run
        .plan
        .services
        .iter()
        .any(|change| change.from != change.to && change.to.is_some() && change.listen.is_some());
    if !routed {
        return String::new();
    }
    if !run.shifted() {
        return ": no request reached it".to_owned();
    }
    let Some(exposed) = run.exposed() else {
        return ": how many requests reached it is not known".to_owned();
    };
    let mut text = match exposed.requests {
        0 if !exposed.at_least => ": no request reached it".to_owned(),
        n => format!(
            ": {}{} reached it, {} failed there",
            exposed.some(),
            words::count(n, "request"),
            words::number(exposed.errors)
        ),
    };
    if let Some(met) = &run.state.met {
        text.push_str(&match met.failed {
            0 => "; none failed elsewhere".to_owned(),
            n => format!("; {} failed elsewhere", words::number(n)),
        });
    }
    text
}

fn section(page: &mut Page, name: &str) {
    page.blank();
    page.push(Line::indent(2).plain(name));
}

fn value(page: &mut Page, label: &str, tone: Tone, text: &str, style: &Style) {
    page.hanging(Line::indent(4).plain(label).to(VALUE), tone, text, style.edge());
}

/// What is different now from before.
fn changed(page: &mut Page, run: &Run<'_>, style: &Style) {
    let mut notes: Vec<Note> = Vec::new();
    for step in &run.plan.steps {
        let Action::Migrate { migrations, .. } = &step.action else {
            continue;
        };
        if !run
            .state
            .times
            .iter()
            .any(|time| !time.back && time.step == step.id)
        {
            continue;
        }
        let done = run.is_done(step.id);
        for migration in migrations {
            if !done && run.state.is_back() {
                let why = "failed; `cutover migrate status` says whether any of it is applied";
                notes.push(Note::new(
                    '?',
                    migration.id.to_string(),
                    migration.phase.word(),
                    why,
                ));
                continue;
            }
            let why = match migration.phase {
                _ if !done => "begun, not finished".to_owned(),
                MigrationPhase::Expand if run.state.is_back() => {
                    "stays; the old version lives with it".to_owned()
                }
                MigrationPhase::Backfill if run.state.is_back() => "counts as pending again".to_owned(),
                MigrationPhase::Expand | MigrationPhase::Backfill | MigrationPhase::Contract => {
                    migration.summary.clone().unwrap_or_default()
                }
            };
            notes.push(Note::new(
                '+',
                migration.id.to_string(),
                migration.phase.word(),
                why,
            ));
        }
    }
    if !run.state.is_back() {
        notes.extend(
            run.plan
                .report
                .services
                .iter()
                .filter(|note| note.mark != '=')
                .cloned(),
        );
    }
    if notes.is_empty() {
        return;
    }
    let name = match run.state.phase {
        _ if run.state.is_back() => "what stays",
        UpgradePhase::Succeeded => "what changed",
        _ => "what is changing",
    };
    section(page, name);
    plan_view::notes(page, &notes, style);
}

fn stages(page: &mut Page, run: &Run<'_>, style: &Style) {
    section(page, "stages");
    let state = run.state;
    for row in rows(&run.plan.steps) {
        let seen = progress(&row, state, false, state.at);
        if seen.mark == Mark::Pending {
            continue;
        }
        stage(page, &row, &seen, style);
        if seen.mark == Mark::Failed {
            because(page, run, style);
        }
    }
    if let Course::Back(back) = &state.course {
        for row in rows(&back.steps) {
            let seen = progress(&row, state, true, state.at);
            stage(page, &row, &seen, style);
        }
    }
}

fn stage(page: &mut Page, row: &Row<'_>, seen: &Seen, style: &Style) {
    // Indented like the other sections.
    let mut drawn = Page::new();
    stage_line(
        &mut drawn,
        row,
        seen,
        &Style {
            width: style.width.saturating_sub(2),
            ..style.clone()
        },
    );
    for line in drawn.0 {
        page.push(Line::indent(2).then(line));
    }
}

fn because(page: &mut Page, run: &Run<'_>, style: &Style) {
    let (why, code) = match (&run.state.course, &run.state.stuck) {
        (Course::Back(back), _) if back.code == "requested" => (format!("asked for: {}", back.because), None),
        (Course::Back(back), _) => (back.because.clone(), Some(&back.code)),
        (Course::Forward, Some(stuck)) => (stuck.because.clone(), Some(&stuck.code)),
        (Course::Forward, None) => return,
    };
    page.hanging(
        Line::indent(6).plain("because").to(19),
        Tone::Wrong,
        &why,
        style.edge(),
    );
    if let Some(code) = code {
        page.push(Line::indent(6).plain("code").to(19).tone(Tone::Dim, code));
    }
}

fn requests(page: &mut Page, run: &Run<'_>, style: &Style) {
    let (met, exposed) = (&run.state.met, run.exposed());
    let switch = run.switch_ms();
    if met.is_none() && exposed.is_none() && switch.is_none() {
        return;
    }
    section(page, "requests");
    if let Some(met) = met {
        let wrong = met.failed + met.candidate_errors > 0;
        let tone = if wrong { Tone::Wrong } else { Tone::Plain };
        let failed = match failed(met, run.plan).as_str() {
            "none failed" => "0 failed".to_owned(),
            other => other.to_owned(),
        };
        let text = format!("{}{} in all, {failed}", at_least(met), words::number(met.served));
        value(page, "served", tone, &text, style);
    }
    match exposed {
        Some(exposed) => {
            let (reached, errors) = (exposed.requests, exposed.errors);
            let failed = match errors {
                0 => "none failed there".to_owned(),
                n => format!("{} failed there ({})", words::number(n), words::share(n, reached)),
            };
            let tone = if errors == 0 { Tone::Plain } else { Tone::Wrong };
            let text = format!(
                "{}{} reached it, {failed}",
                exposed.some(),
                words::number(reached)
            );
            value(page, "candidate", tone, &text, style);
        }
        None if run.shifted() => value(page, "candidate", Tone::Plain, "not known", style),
        None => {}
    }
    if let Some(ms) = switch {
        let what = if run.state.is_back() {
            "weights back, acknowledged"
        } else {
            "acknowledged by the router"
        };
        value(
            page,
            "switch",
            Tone::Plain,
            &format!("{what} after {ms} ms"),
            style,
        );
    }
    if run.cut() > 0 {
        let text = format!(
            "{} still open at a drain deadline",
            words::count(run.cut(), "request")
        );
        value(page, "cut", Tone::Wrong, &text, style);
    }
}

fn verdicts(page: &mut Page, run: &Run<'_>, style: &Style) {
    let all = judged(run.plan, run.state);
    if all.is_empty() {
        return;
    }
    section(page, "verdicts");
    for one in all {
        let sign = match (one.is_bad(), one.unjudged()) {
            (true, _) => "✗",
            (false, Some(_)) => "–",
            (false, None) => "✓",
        };
        let tone = if one.is_bad() { Tone::Wrong } else { Tone::Plain };
        let head = Line::indent(4).tone(tone, sign).plain(" ");
        // What made it go back stands with its stage already.
        let known = matches!(&run.state.course, Course::Back(back) if back.because == one.note.because);
        let because = if known {
            "that is why it went back"
        } else {
            &one.note.because
        };
        let text = match one.unjudged() {
            Some(why) => format!("{}: not judged: {why}", one.words()),
            None => format!("{}: {}; {because}", one.words(), one.verdict()),
        };
        page.hanging(head, Tone::Plain, &text, style.edge());
    }
    // A picture of what went well says nothing that the words do not.
    if let Some((drawn, _)) = decided(run.plan, run.state).filter(|(drawn, _)| drawn.decided.is_some())
        && run.state.is_back()
    {
        let picture = chart(&drawn, 6);
        if !picture.0.is_empty() {
            page.blank();
            page.append(picture);
        }
    }
}

/// Until when the way back is open.
pub(super) fn until(run: &Run<'_>) -> Option<String> {
    let plan = run.plan;
    match run.state.phase {
        UpgradePhase::Succeeded if !plan.pending_contracts.is_empty() => Some(format!(
            "{} is applied by `cutover migrate contract`",
            words::migrations(&plan.pending_contracts)
        )),
        UpgradePhase::Succeeded => Some("the next upgrade".to_owned()),
        _ => None,
    }
}

fn way_back(page: &mut Page, run: &Run<'_>, style: &Style) {
    if run.state.is_back() || run.state.phase == UpgradePhase::Failed {
        return;
    }
    section(page, "way back");
    match run.state.way_back(run.plan) {
        WayBack::To { version, by } => {
            let to = version.map_or_else(|| "nothing".to_owned(), |version| version.to_string());
            value(page, &format!("to {to}"), Tone::Plain, &by, style);
            if let Some(until) = until(run) {
                value(page, "until", Tone::Plain, &until, style);
            }
        }
        WayBack::None { reason } => value(page, "none", Tone::Wrong, &reason, style),
    }
}

/// Commands for whoever reads this.
pub(super) fn next_commands(run: &Run<'_>) -> Vec<(String, String)> {
    let mut commands = Vec::new();
    let mut add = |what: &str, command: String| commands.push((what.to_owned(), command));
    match run.state.phase {
        UpgradePhase::Aborted | UpgradePhase::Failed => {
            if let Some(service) = run.plan.services.iter().find(|change| change.from != change.to)
                && run.state.begun > 0
                && run
                    .plan
                    .steps
                    .iter()
                    .take(run.state.begun)
                    .any(|step| step.stage == Stage::Launch)
            {
                add(
                    "logs of the candidate",
                    format!("cutover logs {}", service.service),
                );
            }
            if run.failed_migration() {
                add("what is wrong with it", "cutover migrate lint".to_owned());
                add("what is applied", "cutover migrate status".to_owned());
            }
            let show = format!("cutover history show {}", words::short(run.id));
            if judged(run.plan, run.state).is_empty() {
                add("what happened", show);
            } else {
                add("what was measured", format!("{show} --analysis"));
            }
        }
        UpgradePhase::Stuck => {
            if let Some(stuck) = &run.state.stuck {
                for (at, command) in stuck.next.iter().enumerate() {
                    add(if at == 0 { "what to do" } else { "or" }, command.clone());
                }
            }
            add(
                "what happened",
                format!("cutover history show {}", words::short(run.id)),
            );
        }
        UpgradePhase::Succeeded => {
            if !run.plan.pending_contracts.is_empty() {
                add("once it has proved itself", "cutover migrate contract".to_owned());
            }
        }
        UpgradePhase::Pending
        | UpgradePhase::Running
        | UpgradePhase::Paused
        | UpgradePhase::WaitingForGate
        | UpgradePhase::Soaking
        | UpgradePhase::Aborting => {
            if let Some(on) = run.state.waiting.as_ref().filter(|on| on.until.is_none()) {
                add("what to do", on.then.clone());
            }
            add("watch it", "cutover watch".to_owned());
        }
    }
    commands
}

fn next(page: &mut Page, run: &Run<'_>) {
    let commands = next_commands(run);
    if commands.is_empty() {
        return;
    }
    page.blank();
    let wide = commands.iter().map(|(what, _)| columns(what)).max().unwrap_or(0);
    for (what, command) in commands {
        page.push(
            Line::indent(2)
                .tone(Tone::Dim, &what)
                .to(2 + wide + 3)
                .plain(&command),
        );
    }
}

/// Where it turned back, for JSON.
pub(super) fn turned_words(run: &Run<'_>) -> Option<String> {
    run.state
        .is_back()
        .then(|| turned_at(run.plan, run.state))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{self, Told};

    fn shown(told: &Told) -> String {
        report(&told.run(), &Style::bare())
    }

    fn met(mut told: Told, served: u64, failed: u64, exposed: u64, candidate_errors: u64) -> Told {
        told.state.met = Some(Met {
            served,
            failed,
            exposed,
            candidate_errors,
            ..Met::default()
        });
        told
    }

    #[test]
    fn of_a_good_upgrade() {
        let told = met(fixtures::succeeded(), 184_212, 1, 61_033, 12);
        insta::assert_snapshot!(shown(&told));
    }

    #[test]
    fn of_one_that_was_caught() {
        insta::assert_snapshot!(shown(&met(fixtures::caught(), 2_118, 0, 38, 9)));
    }

    #[test]
    fn failures_are_told_with_whose_they_are() {
        let told = |failed, errors| headline(&met(fixtures::succeeded(), 829, failed, 200, errors).run());
        assert!(told(0, 0).ends_with("829 requests were served meanwhile, none failed."));
        assert!(told(0, 61).ends_with("meanwhile, 61 failed, all on 1.1.0."));
        assert!(told(3, 61).ends_with("meanwhile, 64 failed, 61 of them on 1.1.0."));
        assert!(told(3, 0).ends_with("meanwhile, 3 failed."));
    }

    #[test]
    fn a_migration_that_failed_does_not_stay() {
        let told = fixtures::bad_migration();
        let shown = shown(&told);
        assert!(!shown.contains("+ 002_full_name"), "{shown}");
        assert!(shown.contains("? 002_full_name"), "{shown}");
        assert!(shown.contains("cutover migrate lint"), "{shown}");
    }

    #[test]
    fn what_nobody_counted_is_not_said_to_be_nothing() {
        let mut told = fixtures::caught();
        told.state.analyses.clear();
        assert!(headline(&told.run()).contains("how many requests reached it is not known"));
        assert!(shown(&told).contains("candidate    not known"));
        let mut again = met(fixtures::caught(), 10, 0, 0, 0);
        again.state.met.as_mut().unwrap().at_least = true;
        assert!(headline(&again.run()).contains("at least 0 requests reached it"));
    }

    #[test]
    fn of_one_that_was_caught_in_colour() {
        let style = Style {
            colour: true,
            ..Style::bare()
        };
        let told = fixtures::caught();
        insta::assert_snapshot!(report(&told.run(), &style).replace('\u{1b}', "␛"));
    }

    #[test]
    fn of_one_that_was_caught_with_its_course() {
        let mut told = fixtures::caught();
        let point = |second: u64| format!("[{},20,0,80]", second.saturating_sub(3) * 4);
        let points: Vec<String> = (0..8).map(point).collect();
        let trace = format!(
            r#"{{"trace":{{"from":"2026-11-03T10:00:00Z","until":"2026-11-03T10:00:07.5Z","points":[{}]}}}}"#,
            points.join(",")
        );
        for note in told.state.analyses.values_mut() {
            note.state.clone_from(&trace);
        }
        insta::assert_snapshot!(shown(&told));
    }

    #[test]
    fn of_one_that_is_stuck() {
        insta::assert_snapshot!(shown(&fixtures::stuck()));
    }

    #[test]
    fn of_one_that_failed_before_anything() {
        insta::assert_snapshot!(shown(&fixtures::failed()));
    }

    #[test]
    fn of_one_that_waits_at_a_gate() {
        let told = fixtures::gate_run();
        insta::assert_snapshot!(report(&told.run(), &Style::within("staging")));
    }
}
