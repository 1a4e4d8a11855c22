//! `cutover plan`: what would be done, in an order and in words that belong into a change ticket.

use cutover_model::{Action, Note, Plan, PlanReport, Span, Step, UpgradeKind, WayBack};
use cutover_plan::Refusal;

use super::stages::{Row, rows};
use super::style::Style;
use super::text::{Line, Page, Tone, columns, wrap};
use super::{diagnostic, words};

/// Where the title of a step begins.
const TITLE: usize = 18;

/// So many rows that differ only in their numbers are folded into their first and last.
const FOLD: usize = 6;

/// A plan. `run` is the command that carries it out; without one it is derived from the plan.
pub(crate) fn plan(plan: &Plan, run: Option<&str>, style: &Style) -> String {
    let mut page = Page::new();
    page.hanging(heading(plan), Tone::Dim, &place(plan), style.edge());
    page.blank();
    report(&mut page, &plan.report, style);
    page.blank();
    steps(&mut page, plan, style);
    guards(&mut page, plan, style);
    changelog(&mut page, &plan.report, style);
    warnings(&mut page, &plan.report, style);
    page.blank();
    closing(&mut page, plan, style);
    let command = run.map_or_else(|| run_command(plan), ToOwned::to_owned);
    page.push(Line::indent(2).plain("Run it:  ").tone(Tone::Strong, &command));
    page.paint(style)
}

/// Why there is no plan, and what would have been done.
pub(crate) fn refused(refusal: &Refusal, style: &Style) -> String {
    let mut page = Page::new();
    for found in &refusal.because {
        page.blank();
        diagnostic::draw(&mut page, found, style);
    }
    page.blank();
    let known = !refusal.report.schema.is_empty() || !refusal.report.services.is_empty();
    if known {
        page.push(Line::new().plain("What it would have done:"));
        page.push(Line::new());
        report(&mut page, &refusal.report, style);
        page.blank();
    }
    page.push(Line::new().plain("There is no plan, and nothing has changed."));
    page.paint(style)
}

/// That there is nothing to do, and why.
pub(crate) fn nothing(why: &str, style: &Style) -> String {
    let mut page = Page::new();
    page.hanging(
        Line::new().plain("Nothing to do: "),
        Tone::Plain,
        why,
        style.edge(),
    );
    page.paint(style)
}

/// The application and its versions: `shop  1.0.0 → 1.1.0`.
pub(super) fn heading(plan: &Plan) -> Line {
    let line = Line::new()
        .tone(Tone::Strong, plan.application.as_str())
        .plain("  ");
    match &plan.from {
        Some(from) if *from != plan.to => line
            .tone(Tone::Stable, &from.to_string())
            .plain(" → ")
            .tone(Tone::Candidate, &plan.to.to_string())
            .plain("   "),
        Some(from) => line.tone(Tone::Stable, &from.to_string()).plain("   "),
        None => line.tone(Tone::Candidate, &plan.to.to_string()).plain("   "),
    }
}

fn place(plan: &Plan) -> String {
    format!("{} · {} · plan {}", plan.environment, what(plan), plan.id)
}

/// What kind of change it is, in words.
pub(super) fn what(plan: &Plan) -> String {
    let strategy = words::strategy(plan.strategy);
    match plan.kind {
        UpgradeKind::Rollback => "rollback".to_owned(),
        UpgradeKind::Contract => "contract".to_owned(),
        UpgradeKind::Upgrade if plan.from.is_none() => "first deployment".to_owned(),
        UpgradeKind::Upgrade if is_restart(plan) => format!("restart · {strategy}"),
        UpgradeKind::Upgrade if plan.from.as_ref() == Some(&plan.to) => {
            format!("configuration release · {strategy}")
        }
        UpgradeKind::Upgrade => strategy.to_owned(),
    }
}

/// What changes where the version does not, in a word.
pub(crate) fn same_version(plan: &Plan) -> &'static str {
    match plan.kind {
        UpgradeKind::Rollback => "former configuration",
        UpgradeKind::Contract => "contract",
        UpgradeKind::Upgrade if is_restart(plan) => "restart",
        UpgradeKind::Upgrade => "configuration",
    }
}

fn is_restart(plan: &Plan) -> bool {
    plan.from.as_ref() == Some(&plan.to)
        && plan
            .report
            .services
            .iter()
            .any(|note| note.why.ends_with("restart"))
}

/// The command that carries a plan out.
fn run_command(plan: &Plan) -> String {
    match plan.kind {
        UpgradeKind::Rollback => format!("cutover rollback --to {}", plan.to),
        UpgradeKind::Contract => "cutover migrate contract".to_owned(),
        UpgradeKind::Upgrade if is_restart(plan) => "cutover restart".to_owned(),
        UpgradeKind::Upgrade => format!("cutover upgrade {}", plan.to),
    }
}

/// Schema and services.
fn report(page: &mut Page, report: &PlanReport, style: &Style) {
    for (at, (database, lines)) in report.schema.iter().enumerate() {
        let label = if at == 0 { "schema" } else { "" };
        page.push(Line::indent(2).plain(label).to(13).plain(database));
        notes(page, lines, style);
    }
    if !report.services.is_empty() {
        page.push(Line::indent(2).plain("services"));
        notes(page, &report.services, style);
    }
}

/// Lines of a report, in columns.
pub(super) fn notes(page: &mut Page, notes: &[Note], style: &Style) {
    let widest = |of: fn(&Note) -> &str, most: usize| {
        notes
            .iter()
            .map(|note| columns(of(note)))
            .max()
            .unwrap_or(0)
            .min(most)
    };
    let subject = 6 + widest(|note| &note.subject, 26) + 2;
    let what = subject + widest(|note| &note.what, 20) + 2;
    for note in notes {
        let tone = match note.mark {
            '+' | '~' => Tone::Candidate,
            '-' => Tone::Waiting,
            '!' => Tone::Wrong,
            _ => Tone::Dim,
        };
        let head = Line::indent(4).tone(tone, &note.mark.to_string()).plain(" ");
        let head = head.plain(&note.subject).to(subject).plain(&note.what);
        if note.why.is_empty() {
            page.push(head.fit(style.edge()));
        } else {
            page.hanging(head.to(what), Tone::Dim, &note.why, style.edge());
        }
    }
}

/// One row of the table: the number, the stage, the title, the way back.
struct Cells {
    number: String,
    stage: String,
    title: String,
    back: (Tone, String),
}

fn steps(page: &mut Page, plan: &Plan, style: &Style) {
    let cells = cells(plan);
    let title = title_width(&cells, style.edge().saturating_sub(TITLE + 2));
    let back = TITLE + title + 2;
    let head = Line::indent(4)
        .plain("#")
        .to(7)
        .plain("step")
        .to(back)
        .plain("way back from here");
    page.push(Line::new().tone(Tone::Dim, &head.text()));
    for cell in cells {
        let titles = wrap(&cell.title, title);
        let (tone, words) = &cell.back;
        let backs = wrap(words, style.edge().saturating_sub(back));
        for at in 0..titles.len().max(backs.len()) {
            let line = if at == 0 {
                let gap = 5usize.saturating_sub(columns(&cell.number));
                Line::indent(gap)
                    .tone(Tone::Dim, &cell.number)
                    .to(7)
                    .tone(Tone::Strong, &cell.stage)
            } else {
                Line::new()
            };
            let line = line.to(TITLE).plain(titles.get(at).map_or("", String::as_str));
            page.push(
                line.to(back)
                    .tone(*tone, backs.get(at).map_or("", String::as_str)),
            );
        }
    }
}

/// How wide the titles' column is: so that the table has as few lines as can be, and then as narrow as can be.
fn title_width(cells: &[Cells], room: usize) -> usize {
    let lines = |title: usize| -> usize {
        let back = room.saturating_sub(title);
        cells
            .iter()
            .map(|cell| wrap(&cell.title, title).len().max(wrap(&cell.back.1, back).len()))
            .sum()
    };
    let longest = cells
        .iter()
        .map(|cell| columns(&cell.title))
        .max()
        .unwrap_or(0)
        .max(20);
    let most = longest.min(room.saturating_sub(20).max(20));
    (20..=most).min_by_key(|title| lines(*title)).unwrap_or(20)
}

fn cells(plan: &Plan) -> Vec<Cells> {
    let mut cells: Vec<Cells> = Vec::new();
    let mut last: Option<&WayBack> = None;
    let rows = rows(&plan.steps);
    let mut at = 0;
    while at < rows.len() {
        let row = rows[at];
        cells.push(cell(&row, last));
        last = Some(&row.head().way_back);
        let alike = alike(&rows[at..]);
        if alike >= FOLD {
            let first = rows[at + 1].head().id;
            let until = rows[at + alike - 2].head().id;
            cells.push(Cells {
                number: "⋮".to_owned(),
                stage: row.head().stage.word().to_owned(),
                title: format!("steps {first} to {until}, in the same way"),
                back: (Tone::Dim, "same".to_owned()),
            });
            at += alike - 1;
        } else {
            at += 1;
        }
    }
    if !plan.pending_contracts.is_empty() {
        cells.push(Cells {
            number: String::new(),
            stage: "contract".to_owned(),
            title: format!(
                "{}: pending, not part of this",
                words::migrations(&plan.pending_contracts)
            ),
            back: (Tone::Dim, "—".to_owned()),
        });
    }
    cells
}

/// How many rows from here on are the same shift with other numbers: the batches of a rolling release.
fn alike(rows: &[Row<'_>]) -> usize {
    let shape = |row: &Row<'_>| {
        let head = row.head();
        let title: String = head.title.chars().filter(|c| !c.is_ascii_digit()).collect();
        (row.steps.len(), head.stage, title)
    };
    let Some(first) = rows.first().filter(|row| row.head().action.is_hold()) else {
        return 0;
    };
    rows.iter().take_while(|row| shape(row) == shape(first)).count()
}

fn cell(row: &Row<'_>, last: Option<&WayBack>) -> Cells {
    let head = row.head();
    let back = match &head.way_back {
        same if Some(same) == last => (Tone::Dim, "same".to_owned()),
        WayBack::To { by, .. } => (Tone::Plain, by.clone()),
        WayBack::None { reason } if reason.starts_with("none") => (Tone::Wrong, reason.clone()),
        WayBack::None { reason } => (Tone::Wrong, format!("none: {reason}")),
    };
    Cells {
        number: row.numbers(),
        stage: head.stage.word().to_owned(),
        title: row.title(),
        back,
    }
}

/// Analyses that run beside the steps.
fn guards(page: &mut Page, plan: &Plan, style: &Style) {
    if plan.guards.is_empty() {
        return;
    }
    page.blank();
    for (at, guard) in plan.guards.iter().enumerate() {
        let label = if at == 0 { "watched" } else { "" };
        let then = if plan.settings.auto_rollback {
            "it goes back by itself"
        } else {
            "it pauses"
        };
        let whose = if guard.watches_stable() {
            ", the old version,"
        } else {
            ""
        };
        let text = format!(
            "{}{whose} during steps {} to {}: on {}, {then}",
            guard.candidate.service,
            guard.after.0 + 1,
            guard.until,
            words::bounds(&guard.template),
        );
        page.hanging(
            Line::indent(2).plain(label).to(13),
            Tone::Plain,
            &text,
            style.edge(),
        );
    }
}

fn changelog(page: &mut Page, report: &PlanReport, style: &Style) {
    if report.changelog.is_empty() {
        return;
    }
    page.blank();
    page.push(Line::indent(2).plain("changelog"));
    for (heading, text) in &report.changelog {
        page.push(Line::indent(4).tone(Tone::Strong, heading).fit(style.edge()));
        for line in text.trim().lines().filter(|line| !line.trim().is_empty()) {
            let text = line.trim_start();
            // What continues a list item stands under its text, as in the file.
            let indent = 6 + (columns(line) - columns(text)).min(4);
            let (bullet, rest) = match text.strip_prefix("- ").or_else(|| text.strip_prefix("* ")) {
                Some(rest) => ("- ", rest),
                None => ("", text),
            };
            page.hanging(
                Line::indent(indent).plain(bullet),
                Tone::Plain,
                rest,
                style.edge(),
            );
        }
    }
}

fn warnings(page: &mut Page, report: &PlanReport, style: &Style) {
    if report.warnings.is_empty() {
        return;
    }
    page.blank();
    for warning in &report.warnings {
        let head = Line::indent(2).tone(Tone::Waiting, "!").plain(" ");
        page.hanging(head, Tone::Waiting, warning, style.edge());
    }
}

fn closing(page: &mut Page, plan: &Plan, style: &Style) {
    let mut text = format!("Takes {}", words::about(plan.report.about_ms));
    if let Some(step) = soak(plan) {
        let kept = Span::from_millis(plan.report.about_ms.saturating_sub(step.as_millis()));
        let (about, kept) = (words::about(kept.as_millis()), words::length(step));
        text = format!("Takes {about}, then the old version is kept for {kept}");
    }
    text.push_str(". ");
    let past = plan
        .steps
        .iter()
        .find(|step| matches!(step.way_back, WayBack::None { .. }));
    text.push_str(&match past {
        None => "Everything here can be undone.".to_owned(),
        Some(Step { id, .. }) => format!("From step {id} on there is no way back."),
    });
    if plan.report.downtime {
        text.push_str(" For a moment nobody is served: requests get 503 with Retry-After.");
    }
    page.hanging(Line::indent(2), Tone::Plain, &text, style.edge());
}

/// The last and longest part of most upgrades, which nobody has to sit through.
fn soak(plan: &Plan) -> Option<Span> {
    let soaks: Vec<Span> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Soak { duration } => Some(*duration),
            _ => None,
        })
        .collect();
    match soaks[..] {
        [one] if one.as_millis() < plan.report.about_ms => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{self, Steps, bare, change};
    use cutover_model::{Desired, Diagnostic, Stage, StrategyKind};

    fn shown(of: &Plan) -> String {
        let text = plan(of, None, &Style::bare());
        for line in text.lines() {
            assert!(columns(line) <= 80, "{line}");
        }
        text
    }

    #[test]
    fn a_canary_with_a_schema_change() {
        insta::assert_snapshot!(shown(&fixtures::canary()));
    }

    #[test]
    fn a_canary_in_colour() {
        let style = Style {
            colour: true,
            ..Style::bare()
        };
        insta::assert_snapshot!(plan(&fixtures::canary(), None, &style).replace('\u{1b}', "␛"));
    }

    #[test]
    fn a_canary_on_a_wide_terminal() {
        let style = Style {
            width: 100,
            ..Style::bare()
        };
        insta::assert_snapshot!(plan(&fixtures::canary(), None, &style));
    }

    #[test]
    fn two_services_with_a_gate_in_another_environment() {
        let style = Style::within("staging");
        insta::assert_snapshot!(plan(&fixtures::blue_green(), None, &style));
    }

    #[test]
    fn a_contract() {
        insta::assert_snapshot!(shown(&fixtures::contract_plan()));
    }

    fn small(from: Option<&str>, to: &str, strategy: StrategyKind, note: Note) -> Plan {
        let back = if from.is_some() {
            fixtures::SHIFT_BACK
        } else {
            "remove the candidate"
        };
        let initial = Desired::default();
        let title = |text: &str| format!("{text} {to}");
        Plan {
            services: vec![change("api", None, None, 4)],
            steps: Steps::from(from)
                .add(
                    Stage::Preflight,
                    "checks that change nothing",
                    Action::Preflight,
                    "nothing is touched yet",
                )
                .hold(
                    Stage::Launch,
                    &title("api"),
                    initial.clone(),
                    &initial,
                    "remove the candidate",
                )
                .hold(
                    Stage::Shift,
                    &title("100 % to api"),
                    initial.clone(),
                    &initial,
                    back,
                )
                .add(
                    Stage::Promote,
                    &format!("{to} recorded as stable"),
                    Action::Promote,
                    "it is the first release",
                )
                .done(),
            report: PlanReport {
                services: vec![note],
                about_ms: 4_000,
                ..PlanReport::default()
            },
            ..bare(from, to, strategy)
        }
        .sealed()
    }

    #[test]
    fn a_first_deployment() {
        let note = Note::new('+', "api", "1.0.0", "4 replicas");
        insta::assert_snapshot!(shown(&small(None, "1.0.0", StrategyKind::Canary, note)));
    }

    #[test]
    fn a_rollback() {
        let note = Note::new('~', "api", "1.1.0 → 1.0.0", "4 replicas");
        let mut back = small(Some("1.1.0"), "1.0.0", StrategyKind::Canary, note);
        back.kind = UpgradeKind::Rollback;
        insta::assert_snapshot!(shown(&back.sealed()));
    }

    #[test]
    fn a_configuration_release_and_a_restart() {
        let note = Note::new('~', "api", "1.0.0", "4 replicas, configuration changed");
        insta::assert_snapshot!(shown(&small(
            Some("1.0.0"),
            "1.0.0",
            StrategyKind::BlueGreen,
            note
        )));
        let note = Note::new('~', "api", "1.0.0", "4 replicas, restart");
        insta::assert_snapshot!(shown(&small(Some("1.0.0"), "1.0.0", StrategyKind::Rolling, note)));
    }

    #[test]
    fn many_batches_are_folded() {
        let initial = Desired::default();
        let mut steps = Steps::from(Some("1.0.0")).add(
            Stage::Preflight,
            "checks that change nothing",
            Action::Preflight,
            "nothing is touched yet",
        );
        for n in 1..=20 {
            let title = format!("api 1.1.0: {n} new, {} old", 20 - n);
            steps = steps.hold(
                Stage::Shift,
                &title,
                initial.clone(),
                &initial,
                "start the old ones again",
            );
        }
        let note = Note::new('~', "api", "1.0.0 → 1.1.0", "20 replicas");
        let mut rolling = small(Some("1.0.0"), "1.1.0", StrategyKind::Rolling, note);
        rolling.steps = steps.done();
        rolling.report.downtime = true;
        insta::assert_snapshot!(shown(&rolling.sealed()));
    }

    #[test]
    fn one_that_is_refused() {
        let refusal = Refusal {
            because: vec![
                Diagnostic::error(
                    "plan.retired",
                    "there is no way back to 1.0.0: main has gone through a contract that retires versions below 1.1.0",
                )
                .note("what remains", "release a fixed version, or restore a backup and lose what was written since")
                .help("cutover backup list"),
            ],
            report: PlanReport {
                services: vec![Note::new('~', "api", "1.1.0 → 1.0.0", "4 replicas")],
                ..PlanReport::default()
            },
        };
        insta::assert_snapshot!(refused(&refusal, &Style::bare()));
    }

    #[test]
    fn nothing_to_do() {
        let text = nothing("shop is on 1.1.0, with this configuration", &Style::bare());
        assert_eq!(text, "Nothing to do: shop is on 1.1.0, with this configuration\n");
    }
}
