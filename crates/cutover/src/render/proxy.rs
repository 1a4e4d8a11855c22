//! What the proxy serves and counted: at one moment, or between two of them.

use cutover_analysis::Histogram;
use cutover_model::{Span, Track};
use cutover_proxy::{RevisionStats, RouteStats, Stats};

use super::style::Style;
use super::text::{Line, Page, Tone};
use super::words;

/// Where the share of a revision stands, and where its numbers begin: all of them fit into 80 columns.
const SHARE: usize = 24;
const NUMBERS: usize = 31;

/// From this share of errors on, in per cent, they are shown as wrong.
const NOTABLE: f64 = 0.05;

/// With `before`, rates, quantiles and counts of what came since; without, of everything. What is open, waits or is held
/// is always as it is now. Revisions that are not routed are shown while they have open requests, and routes without any
/// while something is to be said of them.
pub(crate) fn proxy(stats: &Stats, before: Option<&Stats>, style: &Style) -> String {
    // Another process counts from zero again.
    let before = before.filter(|before| before.epoch == stats.epoch);
    let mut page = Page::new();
    let mut connections = words::count(stats.connections, "connection");
    if stats.idle_connections > 0 {
        connections.push_str(&format!(" ({} idle)", words::number(stats.idle_connections)));
    }
    let facts = [
        format!("table {}", stats.serial),
        words::count(stats.workers as u64, "worker"),
        connections,
        format!("up {}", words::took(Span::from_millis(stats.uptime_ms))),
    ];
    page.push(
        Line::new()
            .tone(Tone::Strong, "proxy")
            .to(9)
            .plain(&facts.join("   ")),
    );
    for listener in &stats.listeners {
        page.push(Line::indent(9).tone(Tone::Dim, &format!("listens on {}", listener.address)));
    }
    for route in &stats.routes {
        let known = before.and_then(|before| before.routes.iter().find(|old| old.service == route.service));
        let shown = |one: &&RevisionStats| {
            one.revision.service == route.service
                && (one.in_flight > 0 || one.instances.iter().any(|i| i.routed))
        };
        let revisions: Vec<_> = stats.revisions.iter().filter(shown).collect();
        let bounds = bounds(route, known);
        let problem = route.tls.as_ref().and_then(|tls| tls.problem.as_ref());
        let missing = since_then(route, known, |route| {
            route.access_log.map_or(0, |log| log.dropped)
        });
        if revisions.is_empty() && bounds.is_empty() && problem.is_none() && missing == 0 {
            continue;
        }
        page.blank();
        let refused = since_then(route, known, |route| route.rejected + route.unavailable);
        let mut head = Line::indent(2).tone(Tone::Strong, route.service.as_str());
        if refused > 0 {
            let text = format!("{} answered by the proxy itself", words::number(refused));
            head = head.to(NUMBERS).tone(Tone::Dim, &text);
        }
        page.push(head);
        for one in revisions {
            let known =
                before.and_then(|before| before.revisions.iter().find(|old| old.revision == one.revision));
            let span = before.map(|before| stats.uptime_ms.saturating_sub(before.uptime_ms));
            page.push(revision(one, known, span).fit(style.edge()));
            if let Some(trouble) = trouble(one, known) {
                page.hanging(Line::indent(4), Tone::Waiting, &trouble, style.edge());
            }
        }
        for text in bounds {
            page.push(Line::indent(4).tone(Tone::Waiting, &text).fit(style.edge()));
        }
        if let Some(problem) = problem {
            page.hanging(
                Line::indent(4).tone(Tone::Wrong, "tls  "),
                Tone::Wrong,
                problem,
                style.edge(),
            );
        }
        if missing > 0 {
            let text = format!("access log: {} lines are missing", words::number(missing));
            page.push(Line::indent(4).tone(Tone::Waiting, &text));
        }
    }
    page.paint(style)
}

fn revision(one: &RevisionStats, before: Option<&RevisionStats>, span_ms: Option<u64>) -> Line {
    let (track, tone) = match one.track {
        Track::Stable => ("stable", Tone::Stable),
        Track::Candidate => ("candidate", Tone::Candidate),
    };
    let line = Line::indent(4)
        .tone(tone, track)
        .to(14)
        .plain(&one.revision.version.to_string());
    let line = line.to(SHARE).plain(&format!("{:>7}", one.weight.to_string()));
    let answers = since_then(one, before, |one| {
        one.answers.iter().map(|(_, count)| count).sum()
    });
    let errors = since_then(one, before, |one| one.errors);
    let line = match span_ms.filter(|span| *span > 0) {
        Some(span) => {
            let rate = answers as f64 * 1_000.0 / span as f64;
            line.plain(&format!("{:>7} req/s", words::rate(rate)))
        }
        None => line.plain(&format!("{:>7} req  ", words::number(answers))),
    };
    let failed = if answers == 0 {
        0.0
    } else {
        errors as f64 * 100.0 / answers as f64
    };
    let tone = if failed >= NOTABLE {
        Tone::Wrong
    } else {
        Tone::Plain
    };
    let line = line.tone(tone, &format!("{:>8} err", words::percent(failed)));
    let p99 = since(&one.latency, before.map(|before| &before.latency)).quantile(0.99);
    let p99 = p99.map_or_else(
        || "–".to_owned(),
        |micros| words::latency(micros as f64 / 1_000.0),
    );
    let line = line.plain(&format!("  p99 {p99:>7}"));
    line.plain(&format!("  {} open", words::number(one.in_flight)))
}

/// What went wrong with a revision, if anything did.
fn trouble(one: &RevisionStats, before: Option<&RevisionStats>) -> Option<String> {
    let counted = |figure| since_then(one, before, figure);
    let figures = [
        (counted(|one| one.retries), "retries"),
        (counted(|one| one.ejections), "ejections"),
        (one.pending, "waiting"),
        (counted(|one| one.overflowed), "turned away"),
        (counted(|one| one.cut_writes), "cut writes"),
        (counted(|one| one.answered_by_stable), "answered by stable"),
    ];
    let figures = figures.iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = figures
        .map(|(count, what)| format!("{} {what}", words::number(*count)))
        .collect();
    let left_out = one
        .instances
        .iter()
        .filter(|instance| instance.routed && instance.ejected);
    parts.extend(left_out.map(|instance| {
        let why = match (instance.healthy, instance.refusals) {
            (Some(false), _) => "probes fail",
            (_, 0) => "left out",
            _ => "refuses connections",
        };
        format!("{}: {why}", instance.address)
    }));
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What is held, and what the budget did not allow.
fn bounds(route: &RouteStats, before: Option<&RouteStats>) -> Vec<String> {
    let mut lines = Vec::new();
    if route.holding || route.held > 0 {
        lines.push(format!("requests are held, {} wait", words::number(route.held)));
    }
    let over_budget = since_then(route, before, |route| route.over_budget);
    if over_budget > 0 {
        lines.push(format!("{} retries over the budget", words::number(over_budget)));
    }
    lines
}

/// A counter, or what it has grown by.
fn since_then<T>(now: &T, before: Option<&T>, counter: fn(&T) -> u64) -> u64 {
    counter(now).saturating_sub(before.map_or(0, counter))
}

fn since(now: &Histogram, before: Option<&Histogram>) -> Histogram {
    let old = |index: usize| {
        before
            .and_then(|before| before.0.get(index))
            .copied()
            .unwrap_or(0)
    };
    let counts = now.0.iter().enumerate();
    Histogram(
        counts
            .map(|(index, count)| count.saturating_sub(old(index)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_without_a_table_says_where_it_listens() {
        let stats: Stats = serde_json::from_value(serde_json::json!({
            "epoch": 1, "pid": 1, "serial": 12, "uptimeMs": 7_380_000, "workers": 2, "connections": 14,
            "listeners": [{"address": "127.0.0.1:8080", "selfBound": false}], "routes": [], "revisions": []
        }))
        .unwrap();
        let text = proxy(&stats, None, &Style::bare());
        assert!(
            text.contains("table 12") && text.contains("listens on 127.0.0.1:8080"),
            "{text}"
        );
    }

    fn troubled() -> Stats {
        serde_json::from_value(serde_json::json!({
            "epoch": 1, "pid": 1, "serial": 12, "uptimeMs": 1_000, "workers": 2, "connections": 14, "listeners": [],
            "routes": [{
                "service": "web", "requests": 9, "rejected": 2, "unavailable": 1, "overBudget": 4, "holding": true,
                "held": 7, "heldTotal": 8,
                "accessLog": {"written": 1, "dropped": 6}
            }],
            "revisions": [{
                "revision": "web@1.0.0#aaaaaa", "track": "stable", "weight": 10_000, "inFlight": 3, "assigned": 6,
                "firstAttempts": 6, "firstAttemptFailures": 0, "answers": [[200, 3], [502, 1]], "errors": 1,
                "answeredByStable": 0, "connectFailures": 0, "timeouts": 0, "retries": 5, "ejections": 1,
                "cutWrites": 2, "cutAnswers": 0, "totalUs": 1, "latency": [4],
                "instances": [{
                    "instance": "web/1", "address": "127.0.0.1:9", "routed": true, "ejected": true, "healthy": false,
                    "inFlight": 0, "attempts": 1, "failures": 1
                }]
            }]
        }))
        .unwrap()
    }

    #[test]
    fn trouble_and_holds_are_named() {
        let stats = troubled();
        let text = proxy(&stats, None, &Style::bare());
        for shown in [
            "3 answered by the proxy itself",
            "      4 req    25.0 % err  ",
            "  3 open\n",
            "5 retries, 1 ejections, 2 cut writes, 127.0.0.1:9: probes fail",
            "requests are held, 7 wait",
            "4 retries over the budget",
            "access log: 6 lines are missing",
        ] {
            assert!(text.contains(shown), "{shown:?} is not in\n{text}");
        }
    }

    #[test]
    fn of_counters_what_came_since_is_shown_and_what_is_now_stays() {
        let mut before = troubled();
        before.uptime_ms = 500;
        before.routes[0].rejected = 1;
        before.revisions[0].retries = 3;
        let text = proxy(&troubled(), Some(&before), &Style::bare());
        for shown in [
            "1 answered by the proxy itself",
            "    2 retries, 127.0.0.1:9: probes fail",
            "requests are held, 7 wait",
        ] {
            assert!(text.contains(shown), "{shown:?} is not in\n{text}");
        }
        for old in ["over the budget", "missing"] {
            assert!(!text.contains(old), "{old:?} is in\n{text}");
        }
    }

    #[test]
    fn a_route_of_which_nothing_is_to_be_said_is_left_out() {
        let mut stats = troubled();
        stats.revisions.clear();
        let route = &mut stats.routes[0];
        (route.holding, route.over_budget, route.access_log) = (false, 0, None);
        assert!(proxy(&stats, None, &Style::bare()).contains("7 wait"));
        stats.routes[0].held = 0;
        assert!(!proxy(&stats, None, &Style::bare()).contains("web"));
    }

    #[test]
    fn only_what_came_since_counts() {
        let (before, now) = (Histogram(vec![1, 2]), Histogram(vec![1, 5, 3]));
        assert_eq!(since(&now, Some(&before)).0, [0, 3, 3]);
        assert_eq!(since(&now, None).0, now.0);
    }
}
