//! One picture of a running upgrade: a pure function, drawn again whenever something has changed.

use cutover_model::{
    Action, Plan, RevisionId, Span, Step, Timestamp, Track, UpgradePhase, WaitingOn, WayBack,
};
use cutover_plan::{Course, State};

use super::keys::{Asking, hints};
use super::stages::{Mark, Row, progress, rows, turned};
use super::style::Style;
use super::text::{Line, Page, Tone, columns};
use super::traffic::{Sample, Traffic};
use super::{plan as plan_view, words};

/// Where the text of a stage begins, and of what stands below it.
const TEXT: usize = 17;

/// Errors from this percentage on are drawn as wrong: below, most services have some at any time.
const NOTABLE: f64 = 1.0;

/// How it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// The present.
    pub(crate) now: Timestamp,
    /// Width and colour.
    pub(crate) style: &'a Style,
    /// How many lines there are; none: as many as it takes.
    pub(crate) height: Option<usize>,
    /// What is asked of the person; none where no key is read.
    pub(crate) asking: Option<Asking>,
}

/// A running upgrade, now.
pub(crate) fn frame(plan: &Plan, state: &State, traffic: &Traffic, view: View<'_>) -> String {
    let edge = view.style.edge();
    let end = if state.phase.is_final() {
        state.at
    } else {
        view.now
    };
    let elapsed = words::took(Span::between(state.created_at, end));
    let mut head = Page::new();
    let title = plan_view::heading(plan).tone(Tone::Dim, &plan_view::what(plan));
    head.push(
        title
            .fit(edge - columns(&elapsed) - 1)
            .right(Tone::Plain, &elapsed, edge),
    );
    head.push(Line::new());
    let mut foot = Page::new();
    footer(&mut foot, plan, state, view);
    let blocks = blocks(plan, state, traffic, view);
    let room = view
        .height
        .map(|height| height.saturating_sub(head.rows(view.style) + foot.rows(view.style) + 1));
    let mut page = head;
    for block in folded(blocks, room, view.style) {
        page.append(block.page);
    }
    page.append(foot);
    page.paint(view.style)
}

struct Block {
    mark: Mark,
    page: Page,
}

fn blocks(plan: &Plan, state: &State, traffic: &Traffic, view: View<'_>) -> Vec<Block> {
    let mut blocks = Vec::new();
    for row in rows(&plan.steps) {
        let block = block(&row, plan, state, traffic, view, false);
        // What will not happen any more is not shown.
        if !(state.is_back() && block.mark == Mark::Pending) {
            blocks.push(block);
        }
    }
    if let Course::Back(back) = &state.course {
        for row in rows(&back.steps) {
            blocks.push(block(&row, plan, state, traffic, view, true));
        }
    }
    blocks
}

fn block(row: &Row<'_>, plan: &Plan, state: &State, traffic: &Traffic, view: View<'_>, back: bool) -> Block {
    let mut page = Page::new();
    let seen = progress(row, state, back, view.now);
    stage_line(&mut page, row, &seen, view.style);
    if !back
        && let Course::Back(course) = &state.course
        && seen.mark == Mark::Failed
    {
        below(&mut page, "because", Tone::Wrong, &course.because, view.style);
    }
    let live = !state.phase.is_final() && (back == state.is_back());
    let here = row
        .steps
        .iter()
        .any(|step| state.step(plan).is_some_and(|now| now.id == step.id));
    if live && here && seen.mark != Mark::Pending {
        current(&mut page, plan, state, traffic, view);
    }
    Block {
        mark: seen.mark,
        page,
    }
}

/// `✓ backup       main, 214 MB, verified          8.1s`
pub(super) fn stage_line(page: &mut Page, row: &Row<'_>, seen: &super::stages::Progress, style: &Style) {
    let edge = style.edge();
    let tone = match seen.mark {
        Mark::Pending => Tone::Dim,
        Mark::Current | Mark::Unknown => Tone::Waiting,
        Mark::Done => Tone::Plain,
        Mark::Failed => Tone::Wrong,
    };
    let text_tone = if seen.mark == Mark::Pending {
        Tone::Dim
    } else {
        Tone::Plain
    };
    let head = Line::indent(2)
        .tone(tone, seen.mark.sign())
        .plain(" ")
        .tone(text_tone, row.head().stage.word())
        .to(TEXT);
    let time = seen.took.map(words::took).unwrap_or_default();
    let room = edge.saturating_sub(columns(&time) + 2);
    let mut parts = super::text::wrap(&seen.text, room.saturating_sub(TEXT)).into_iter();
    let first = head.tone(text_tone, &parts.next().unwrap_or_default());
    page.push(if time.is_empty() {
        first
    } else {
        first.right(Tone::Dim, &time, edge)
    });
    for part in parts {
        page.push(Line::indent(TEXT).tone(text_tone, &part));
    }
}

fn below(page: &mut Page, label: &str, tone: Tone, text: &str, style: &Style) {
    page.hanging(
        Line::indent(4).tone(Tone::Dim, label).to(TEXT),
        tone,
        text,
        style.edge(),
    );
}

/// What goes on in the current stage.
fn current(page: &mut Page, plan: &Plan, state: &State, traffic: &Traffic, view: View<'_>) {
    if let Some(stuck) = &state.stuck {
        below(page, "because", Tone::Wrong, &stuck.because, view.style);
    } else if let Some(on) = &state.waiting {
        waiting(page, plan, state, on, view);
    }
    if let Some(because) = measured(plan, state) {
        below(page, "measured", Tone::Plain, because, view.style);
    }
    traffic_lines(page, plan, state, traffic, view.style);
}

fn waiting(page: &mut Page, plan: &Plan, state: &State, on: &WaitingOn, view: View<'_>) {
    // The question stands in the line above, and the keys that answer it below.
    let asked = matches!(
        state.step(plan).map(|step| &step.action),
        Some(Action::Approve { .. })
    );
    if asked && view.asking.is_some() && on.what.starts_with("approval") {
        return below(page, "waiting for", Tone::Waiting, "your answer", view.style);
    }
    match on.until {
        Some(until) => {
            let clock = words::clock(until, view.now, view.style.zone);
            let left = Span::between(view.now, until);
            let left = if left == Span::ZERO {
                String::new()
            } else {
                format!(" ({})", words::left(left))
            };
            let text = format!("{}, until {clock}{left}, then {}", on.what, on.then);
            below(page, "waiting for", Tone::Waiting, &text, view.style);
        }
        None => {
            below(page, "waiting for", Tone::Waiting, &on.what, view.style);
            below(page, "next", Tone::Plain, &on.then, view.style);
        }
    }
}

/// The latest words of the analysis that watches now, unless they are what is waited for.
fn measured<'a>(plan: &Plan, state: &'a State) -> Option<&'a str> {
    let name = match state.step(plan).map(|step| &step.action) {
        Some(Action::Analyze { name, .. }) => Some(name),
        _ => None,
    };
    let active = plan.guards.iter().filter(|guard| {
        !guard.watches_stable()
            && !state.is_back()
            && state.cursor >= guard.after.0 as usize
            && state.cursor < guard.until.0 as usize
    });
    let note = name
        .into_iter()
        .chain(active.map(|guard| &guard.name))
        .filter_map(|name| state.analyses.get(name))
        .max_by_key(|note| note.at)?;
    let shown = state
        .waiting
        .as_ref()
        .is_some_and(|on| on.what.contains(&note.because));
    (!shown && !note.because.is_empty()).then_some(note.because.as_str())
}

/// One line for each revision that serves while two do.
fn traffic_lines(page: &mut Page, plan: &Plan, state: &State, traffic: &Traffic, style: &Style) {
    let wanted = wanted(plan, state);
    let lines: Vec<(String, Track, Sample, bool)> = if traffic.is_empty() {
        wanted
    } else {
        traffic
            .iter()
            .flat_map(|one| {
                let many = traffic.len() > 1;
                let label = move |track: &str| {
                    if many {
                        format!("{} {track}", one.service)
                    } else {
                        track.to_owned()
                    }
                };
                let stable = one
                    .stable
                    .clone()
                    .map(|s| (label("stable"), Track::Stable, s, true));
                let candidate = one
                    .candidate
                    .clone()
                    .map(|s| (label("candidate"), Track::Candidate, s, true));
                stable.into_iter().chain(candidate)
            })
            .collect()
    };
    if !lines.iter().any(|(_, track, ..)| *track == Track::Candidate) {
        return;
    }
    let label = lines.iter().map(|(label, ..)| columns(label)).max().unwrap_or(0);
    let version = lines
        .iter()
        .map(|(_, _, s, _)| columns(&s.version.to_string()))
        .max()
        .unwrap_or(0);
    let text = TEXT.max(4 + label + 2);
    for (label, track, sample, measured) in lines {
        let tone = if track == Track::Stable {
            Tone::Stable
        } else {
            Tone::Candidate
        };
        let line = Line::indent(4)
            .tone(tone, &label)
            .to(text)
            .plain(&sample.version.to_string());
        let line = line
            .to(text + version)
            .plain(&format!(" ×{:<4}", sample.instances));
        page.push(sample_line(line, &sample, measured).fit(style.edge()));
    }
}

fn sample_line(line: Line, sample: &Sample, measured: bool) -> Line {
    let weight = sample
        .weight
        .map_or_else(|| "worker".to_owned(), |weight| weight.to_string());
    let line = line.plain(&format!("{weight:>7}"));
    if !measured || sample.weight.is_none() {
        return line;
    }
    let errors = words::percent(sample.error_percent);
    let line = line.plain(&format!("{:>7} req/s  ", words::rate(sample.req_per_s)));
    let tone = if sample.error_percent >= NOTABLE {
        Tone::Wrong
    } else {
        Tone::Plain
    };
    let line = line.tone(tone, &format!("{errors:>6} errors"));
    let p99 = sample.p99_ms.map_or_else(|| "–".to_owned(), words::latency);
    line.plain(&format!("  p99 {p99:>7}"))
}

/// What is wanted of both revisions where nothing was measured.
fn wanted(plan: &Plan, state: &State) -> Vec<(String, Track, Sample, bool)> {
    let moving: Vec<_> = plan
        .services
        .iter()
        .filter(|change| change.from != change.to)
        .collect();
    let mut lines = Vec::new();
    for change in &moving {
        let mut add = |revision: Option<&RevisionId>, track: Track| {
            let Some((id, want)) = revision.and_then(|id| Some((id, state.desired.0.get(id)?))) else {
                return;
            };
            let label = if moving.len() > 1 {
                format!("{} {track}", change.service)
            } else {
                track.to_string()
            };
            let sample = Sample {
                version: id.version.clone(),
                instances: want.replicas,
                weight: want.weight,
                req_per_s: 0.0,
                error_percent: 0.0,
                p99_ms: None,
            };
            lines.push((label, track, sample, false));
        };
        add(change.from.as_ref(), Track::Stable);
        add(change.to.as_ref(), Track::Candidate);
    }
    lines
}

fn footer(page: &mut Page, plan: &Plan, state: &State, view: View<'_>) {
    page.push(Line::new());
    if let Some(summary) = state.summary.as_ref().filter(|_| state.phase.is_final()) {
        page.hanging(Line::indent(2), Tone::Strong, summary, view.style.edge());
        return;
    }
    if state.phase == UpgradePhase::Paused {
        page.push(Line::indent(2).tone(Tone::Waiting, "paused"));
    }
    if let Some(stuck) = &state.stuck {
        page.push(Line::indent(2).tone(Tone::Wrong, "stuck: a person is needed"));
        for command in &stuck.next {
            page.push(Line::indent(4).tone(Tone::Strong, command));
        }
    }
    if !state.is_back() {
        let (tone, text) = match state.way_back(plan) {
            WayBack::To { by, .. } => (Tone::Plain, by),
            WayBack::None { reason } if reason.starts_with("none") => (Tone::Wrong, reason),
            WayBack::None { reason } => (Tone::Wrong, format!("none: {reason}")),
        };
        page.hanging(
            Line::indent(2).tone(Tone::Dim, "way back").plain("  "),
            tone,
            &text,
            view.style.edge(),
        );
    }
    if let Some(asking) = view.asking {
        page.push(hints(plan, state, asking).fit(view.style.edge()));
    }
}

/// Blocks that fit: what is to come is folded first, then what is over. Nothing scrolls away while it is redrawn.
fn folded(mut blocks: Vec<Block>, room: Option<usize>, style: &Style) -> Vec<Block> {
    let Some(room) = room else { return blocks };
    let lines = |blocks: &[Block]| blocks.iter().map(|block| block.page.rows(style)).sum::<usize>();
    let mut gone = 0;
    while lines(&blocks) + usize::from(gone > 0) > room
        && blocks.iter().filter(|block| block.mark == Mark::Pending).count() > 1
    {
        let Some(at) = blocks.iter().rposition(|block| block.mark == Mark::Pending) else {
            break;
        };
        blocks.remove(at);
        gone += 1;
    }
    if gone > 0 {
        let mut page = Page::new();
        page.push(Line::indent(2).tone(
            Tone::Dim,
            &format!("⋮ {} to come", words::count(gone, "more stage")),
        ));
        blocks.push(Block {
            mark: Mark::Pending,
            page,
        });
    }
    let mut over = 0;
    while lines(&blocks) + usize::from(over > 0) > room {
        let Some(at) = blocks.iter().position(|block| block.mark == Mark::Done) else {
            break;
        };
        blocks.remove(at);
        over += 1;
    }
    if over > 0 {
        let mut page = Page::new();
        page.push(Line::indent(2).plain(&format!("✓ {} done", words::count(over, "stage"))));
        blocks.insert(
            0,
            Block {
                mark: Mark::Done,
                page,
            },
        );
    }
    blocks
}

/// Where an upgrade turned back, in a few words.
pub(super) fn turned_at(plan: &Plan, state: &State) -> Option<String> {
    turned(plan, state).map(|step: &Step| format!("{} {}", step.stage, step.title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    fn view(style: &Style, now: &str) -> View<'static> {
        View {
            now: now.parse().unwrap(),
            style: Box::leak(Box::new(style.clone())),
            height: None,
            asking: Some(Asking::Nothing),
        }
    }

    #[test]
    fn in_the_middle() {
        let (plan, state) = fixtures::shifting();
        let view = view(&Style::bare(), "2026-03-12T14:04:52Z");
        insta::assert_snapshot!(frame(&plan, &state, &fixtures::traffic(), view));
    }

    #[test]
    fn in_the_middle_in_colour() {
        let (plan, state) = fixtures::shifting();
        let style = Style {
            colour: true,
            ..Style::bare()
        };
        let view = view(&style, "2026-03-12T14:04:52Z");
        insta::assert_snapshot!(frame(&plan, &state, &fixtures::traffic(), view).replace('\u{1b}', "␛"));
    }

    #[test]
    fn without_measurements_on_a_wide_terminal() {
        let (plan, state) = fixtures::shifting();
        let style = Style {
            width: 100,
            ..Style::bare()
        };
        let view = view(&style, "2026-03-12T14:04:52Z");
        insta::assert_snapshot!(frame(&plan, &state, &Vec::new(), view));
    }

    #[test]
    fn on_a_low_terminal_it_folds() {
        let (plan, state) = fixtures::shifting();
        let mut view = view(&Style::bare(), "2026-03-12T14:04:52Z");
        view.height = Some(16);
        let shown = frame(&plan, &state, &fixtures::traffic(), view);
        assert!(shown.lines().count() < 16, "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn at_a_gate_with_two_services() {
        let (plan, state) = fixtures::at_gate();
        insta::assert_snapshot!(frame(
            &plan,
            &state,
            &Vec::new(),
            view(&Style::bare(), "2026-03-12T14:03:00Z")
        ));
    }

    #[test]
    fn asked_what_ctrl_c_means() {
        let (plan, state) = fixtures::shifting();
        let mut view = view(&Style::bare(), "2026-03-12T14:04:52Z");
        view.asking = Some(Asking::Interrupt);
        let shown = frame(&plan, &state, &Vec::new(), view);
        insta::assert_snapshot!(shown.lines().last().unwrap_or_default());
    }

    #[test]
    fn on_the_way_back() {
        let run = fixtures::going_back();
        insta::assert_snapshot!(frame(
            &run.plan,
            &run.state,
            &fixtures::traffic_of_the_bad_one(),
            view(&Style::bare(), "2026-03-12T15:00:08Z")
        ));
    }

    #[test]
    fn stuck() {
        let run = fixtures::stuck();
        insta::assert_snapshot!(frame(
            &run.plan,
            &run.state,
            &Vec::new(),
            view(&Style::bare(), "2026-03-12T14:30:00Z")
        ));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let (plan, state) = fixtures::shifting();
        for width in 40..=100 {
            let style = Style {
                width,
                ..Style::bare()
            };
            let shown = frame(
                &plan,
                &state,
                &fixtures::traffic(),
                view(&style, "2026-03-12T14:04:52Z"),
            );
            for line in shown.lines() {
                assert!(columns(line) <= width, "{width}: {line}");
            }
        }
    }
}
