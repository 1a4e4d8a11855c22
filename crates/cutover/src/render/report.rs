//! The report at the end: what changed, how long it took, what clients met of it, and the way back. Written so that one
//! can forward it to a team.

use cutover_model::{
    Action, Event, MigrationPhase, Note, Plan, Progress, Record, Span, Stage, UpgradeId, UpgradePhase,
    Verdict, WayBack,
};
use cutover_plan::{Course, State};

use super::chart::chart;
use super::frame::{stage_line, turned_at};
use super::stages::{Mark, Progress as Seen, Row, progress, rows};
use super::style::Style;
use super::text::{Line, Page, Tone, columns};
use super::traffic::Exposure;
use super::verdicts::{decided, judged};
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

    /// Requests on the candidate and failed ones among them, by the routers' counters or by the analyses.
    pub(crate) fn exposed(&self, exposure: Option<&Exposure>) -> Option<(u64, u64)> {
        exposure
            .map(|met| (met.exposed, met.candidate_errors))
            .or_else(|| {
                // One that watches the old version saw none of the candidate's.
                let all = judged(self.plan, self.state);
                all.iter().map(|one| (one.note.requests, one.note.errors)).max()
            })
    }

    /// How it was judged, in one word.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let all = judged(self.plan, self.state);
        all.iter()
            .find(|one| one.is_bad())
            .or_else(|| all.last())
            .map(|one| match one.note.verdict {
                // A background analysis that was there to the end and did not object.
                None if self.state.phase == UpgradePhase::Succeeded => Verdict::Successful,
                None => Verdict::Inconclusive,
                Some(verdict) => verdict,
            })
    }
}

/// The report of an upgrade that has ended, or that waits for a person.
pub(crate) fn report(run: &Run<'_>, exposure: Option<&Exposure>, style: &Style) -> String {
    let mut page = Page::new();
    head(&mut page, run, style);
    page.hanging(Line::new(), Tone::Strong, &headline(run, exposure), style.edge());
    page.blank();
    changed(&mut page, run, style);
    stages(&mut page, run, style);
    requests(&mut page, run, exposure, style);
    verdicts(&mut page, run, style);
    way_back(&mut page, run, style);
    next(&mut page, run);
    page.paint(style.colour)
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
    let when = words::period(run.state.created_at, run.state.at, &style.zone);
    page.push(
        Line::new()
            .tone(Tone::Dim, &format!("{when}{by}"))
            .fit(style.edge()),
    );
    page.blank();
}

/// The whole upgrade in a sentence or two.
pub(super) fn headline(run: &Run<'_>, exposure: Option<&Exposure>) -> String {
    let plan = run.plan;
    let app = &plan.application;
    let stays = plan.from.as_ref().map_or_else(
        || format!("{app} is not deployed"),
        |from| format!("{app} stays on {from}"),
    );
    match run.state.phase {
        UpgradePhase::Succeeded => match exposure {
            None => format!("{app} is on {}.", plan.to),
            Some(met) => {
                let served = words::count(met.served, "request");
                let failed = if met.failed == 0 {
                    "none failed".to_owned()
                } else {
                    format!("{} failed", words::number(met.failed))
                };
                format!(
                    "{app} is on {}. {served} were served meanwhile, {failed}.",
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
            format!("{stays}. {taken}{}.", reached(run, exposure))
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

fn reached(run: &Run<'_>, exposure: Option<&Exposure>) -> String {
    let Some((exposed, errors)) = run.exposed(exposure) else {
        return String::new();
    };
    let mut text = match exposed {
        0 => ": no request reached it".to_owned(),
        n => format!(
            ": {} reached it, {} failed there",
            words::count(n, "request"),
            words::number(errors)
        ),
    };
    if let Some(met) = exposure {
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
    let text = words::addressed(text, &style.environment);
    page.hanging(Line::indent(4).plain(label).to(VALUE), tone, &text, style.edge());
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
        let done = (step.id.0 as usize) <= run.state.cursor || run.state.is_back();
        for migration in migrations {
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
    let why = match (&run.state.course, &run.state.stuck) {
        (Course::Back(back), _) if back.code == "requested" => format!("asked for: {}", back.because),
        (Course::Back(back), _) => back.because.clone(),
        (Course::Forward, Some(stuck)) => stuck.because.clone(),
        (Course::Forward, None) => return,
    };
    page.hanging(
        Line::indent(6).plain("because").to(19),
        Tone::Wrong,
        &why,
        style.edge(),
    );
}

fn requests(page: &mut Page, run: &Run<'_>, exposure: Option<&Exposure>, style: &Style) {
    let exposed = run.exposed(exposure);
    let switch = run.switch_ms();
    if exposure.is_none() && exposed.is_none() && switch.is_none() {
        return;
    }
    section(page, "requests");
    if let Some(met) = exposure {
        let tone = if met.failed == 0 { Tone::Plain } else { Tone::Wrong };
        let text = format!(
            "{} in all, {} failed",
            words::number(met.served),
            words::number(met.failed)
        );
        value(page, "served", tone, &text, style);
    }
    if let Some((reached, errors)) = exposed {
        let failed = match errors {
            0 => "none failed there".to_owned(),
            n => format!("{} failed there ({})", words::number(n), words::share(n, reached)),
        };
        let tone = if errors == 0 { Tone::Plain } else { Tone::Wrong };
        value(
            page,
            "candidate",
            tone,
            &format!("{} reached it, {failed}", words::number(reached)),
            style,
        );
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
        let sign = if one.is_bad() { "✗" } else { "✓" };
        let tone = if one.is_bad() { Tone::Wrong } else { Tone::Plain };
        let head = Line::indent(4).tone(tone, sign).plain(" ");
        // What made it go back stands with its stage already.
        let known = matches!(&run.state.course, Course::Back(back) if back.because == one.note.because);
        let because = if known {
            "that is why it went back"
        } else {
            &one.note.because
        };
        let text = format!("{}: {}; {because}", one.words(), one.verdict());
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
    let environment = &run.plan.environment;
    let mut add = |what: &str, command: String| {
        let command = words::addressed(&command, environment).into_owned();
        commands.push((what.to_owned(), command));
    };
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

    fn shown(told: &Told, exposure: Option<&Exposure>) -> String {
        report(&told.run(), exposure, &Style::bare())
    }

    #[test]
    fn of_a_good_upgrade() {
        let met = Exposure {
            served: 184_212,
            failed: 1,
            exposed: 61_033,
            candidate_errors: 12,
        };
        insta::assert_snapshot!(shown(&fixtures::succeeded(), Some(&met)));
    }

    #[test]
    fn of_one_that_was_caught() {
        let met = Exposure {
            served: 2_118,
            failed: 0,
            exposed: 38,
            candidate_errors: 9,
        };
        insta::assert_snapshot!(shown(&fixtures::caught(), Some(&met)));
    }

    #[test]
    fn of_one_that_was_caught_in_colour() {
        let style = Style {
            colour: true,
            ..Style::bare()
        };
        let told = fixtures::caught();
        insta::assert_snapshot!(report(&told.run(), None, &style).replace('\u{1b}', "␛"));
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
        insta::assert_snapshot!(shown(&told, None));
    }

    #[test]
    fn of_one_that_is_stuck() {
        insta::assert_snapshot!(shown(&fixtures::stuck(), None));
    }

    #[test]
    fn of_one_that_failed_before_anything() {
        insta::assert_snapshot!(shown(&fixtures::failed(), None));
    }

    #[test]
    fn of_one_that_waits_at_a_gate() {
        insta::assert_snapshot!(shown(&fixtures::gate_run(), None));
    }
}
