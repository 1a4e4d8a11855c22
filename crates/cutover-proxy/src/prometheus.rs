//! The counters as Prometheus text, in the names that dashboards already query.

use std::fmt::Write;

use crate::histogram::upper_bound;
use crate::wire::{InstanceStats, MirrorStats, RevisionStats, RouteStats, Stats};

/// Upper bounds in microseconds of the classic buckets: Prometheus' defaults, and what an answer from the next process
/// takes.
const BOUNDS_US: [u64; 17] = [
    100, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// A counter's name, its help, and where it is found.
type Counter = (&'static str, &'static str, fn(&RevisionStats) -> u64);

const COUNTERS: [Counter; 10] = [
    (
        "cutover_assigned_total",
        "Requests that were given to the revision.",
        |r| r.assigned,
    ),
    (
        "cutover_first_attempt_failures_total",
        "Requests whose first attempt failed.",
        |r| r.first_attempt_failures,
    ),
    (
        "cutover_answered_by_stable_total",
        "Requests that stable served in place of the revision.",
        |r| r.answered_by_stable,
    ),
    (
        "cutover_connect_failures_total",
        "Attempts that could not connect.",
        |r| r.connect_failures,
    ),
    (
        "cutover_timeouts_total",
        "Attempts without an answer in time.",
        |r| r.timeouts,
    ),
    ("cutover_retries_total", "Attempts after the first.", |r| {
        r.retries
    }),
    (
        "cutover_ejections_total",
        "How often an instance was left out for its answers.",
        |r| r.ejections,
    ),
    (
        "cutover_circuit_overflow_total",
        "Requests that were turned back because too many were open.",
        |r| r.overflowed,
    ),
    (
        "cutover_cut_writes_total",
        "Requests that may not be repeated and were cut.",
        |r| r.cut_writes,
    ),
    ("cutover_cut_answers_total", "Answers that broke off.", |r| {
        r.cut_answers
    }),
];

/// A figure of a route: its name, its kind, its help, and where it is found.
type RouteFigure = (&'static str, &'static str, &'static str, fn(&RouteStats) -> u64);

const ROUTE_FIGURES: [RouteFigure; 4] = [
    (
        "cutover_retries_over_budget_total",
        "counter",
        "Retries that the budget did not allow.",
        |r| r.over_budget,
    ),
    ("cutover_held", "gauge", "Requests that are held.", |r| r.held),
    ("cutover_held_total", "counter", "Requests that were held.", |r| {
        r.held_total
    }),
    (
        "cutover_hold_overflow_total",
        "counter",
        "Requests that could not be held, or not any longer.",
        |r| r.hold_overflowed,
    ),
];

pub(crate) fn render(application: &str, stats: &Stats) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(application, stats, &mut text);
    text
}

fn write(application: &str, stats: &Stats, out: &mut String) -> std::fmt::Result {
    let app = escape(application);
    let labelled: Vec<(String, &RevisionStats)> = stats
        .revisions
        .iter()
        .map(|stats| (labels(&app, stats), stats))
        .collect();
    head(out, "http_requests_total", "counter", "Answers by status.")?;
    for (labels, stats) in &labelled {
        for (status, count) in &stats.answers {
            writeln!(out, "http_requests_total{{{labels},status=\"{status}\"}} {count}")?;
        }
    }
    head(
        out,
        "http_request_duration_seconds",
        "histogram",
        "From the request's head to the answer's last byte.",
    )?;
    for (labels, stats) in &labelled {
        write_histogram(out, labels, stats)?;
    }
    head(out, "cutover_in_flight", "gauge", "Open requests.")?;
    for (labels, stats) in &labelled {
        writeln!(out, "cutover_in_flight{{{labels}}} {}", stats.in_flight)?;
    }
    head(
        out,
        "cutover_weight_ratio",
        "gauge",
        "Share of the requests, from 0 to 1.",
    )?;
    for (labels, stats) in &labelled {
        let share = f64::from(stats.weight.parts()) / 10_000.0;
        writeln!(out, "cutover_weight_ratio{{{labels}}} {share}")?;
    }
    for (name, help, value) in COUNTERS {
        head(out, name, "counter", help)?;
        for (labels, stats) in &labelled {
            writeln!(out, "{name}{{{labels}}} {}", value(stats))?;
        }
    }
    head(
        out,
        "cutover_rejected_total",
        "counter",
        "Requests that were the client's own fault.",
    )?;
    for route in &stats.routes {
        let service = &route.service;
        writeln!(
            out,
            "cutover_rejected_total{{app=\"{app}\",service=\"{service}\"}} {}",
            route.rejected
        )?;
    }
    head(
        out,
        "cutover_unavailable_total",
        "counter",
        "Requests while no revision had a share.",
    )?;
    for route in &stats.routes {
        let service = &route.service;
        writeln!(
            out,
            "cutover_unavailable_total{{app=\"{app}\",service=\"{service}\"}} {}",
            route.unavailable
        )?;
    }
    for (name, kind, help, value) in ROUTE_FIGURES {
        head(out, name, kind, help)?;
        for route in &stats.routes {
            let service = &route.service;
            writeln!(
                out,
                "{name}{{app=\"{app}\",service=\"{service}\"}} {}",
                value(route)
            )?;
        }
    }
    head(
        out,
        "cutover_pending",
        "gauge",
        "Requests that wait for others of the revision to end.",
    )?;
    for (labels, stats) in &labelled {
        writeln!(out, "cutover_pending{{{labels}}} {}", stats.pending)?;
    }
    write_routes(out, &app, stats)?;
    write_mirrors(out, &app, stats)?;
    write_instances(out, &labelled)?;
    write_probes(out, &labelled)?;
    head(out, "cutover_connections", "gauge", "Open client connections.")?;
    writeln!(out, "cutover_connections{{app=\"{app}\"}} {}", stats.connections)?;
    head(
        out,
        "cutover_idle_connections",
        "gauge",
        "Client connections that have said nothing yet, or nothing for a quarter of a second.",
    )?;
    writeln!(
        out,
        "cutover_idle_connections{{app=\"{app}\"}} {}",
        stats.idle_connections
    )?;
    head(
        out,
        "cutover_table_serial",
        "gauge",
        "Serial of the table that is served.",
    )?;
    writeln!(out, "cutover_table_serial{{app=\"{app}\"}} {}", stats.serial)?;
    head(
        out,
        "cutover_listener_info",
        "gauge",
        "Addresses that are accepted from; always 1.",
    )?;
    for listener in &stats.listeners {
        writeln!(
            out,
            "cutover_listener_info{{app=\"{app}\",address=\"{}\"}} 1",
            listener.address
        )?;
    }
    head(out, "cutover_workers", "gauge", "Threads that serve.")?;
    writeln!(out, "cutover_workers{{app=\"{app}\"}} {}", stats.workers)?;
    head(out, "cutover_uptime_seconds", "gauge", "Since the process began.")?;
    let uptime = micros_to_seconds(stats.uptime_ms.saturating_mul(1_000));
    writeln!(out, "cutover_uptime_seconds{{app=\"{app}\"}} {uptime}")
}

/// What happened before a revision was chosen, and beside it.
fn write_routes(out: &mut String, app: &str, stats: &Stats) -> std::fmt::Result {
    type Value = fn(&RouteStats) -> u64;
    let counters: [(&str, &str, Value); 2] = [
        (
            "cutover_route_requests_total",
            "Requests that arrived, well-formed or not.",
            |route| route.requests,
        ),
        (
            "cutover_sessions_moved_total",
            "Requests of clients whose session had named another revision.",
            |route| route.sessions_moved,
        ),
    ];
    for (name, help, value) in counters {
        head(out, name, "counter", help)?;
        for route in &stats.routes {
            writeln!(
                out,
                "{name}{{app=\"{app}\",service=\"{}\"}} {}",
                route.service,
                value(route)
            )?;
        }
    }
    head(
        out,
        "cutover_access_log_lines_total",
        "counter",
        "Lines of the access log that were written, or left out.",
    )?;
    for route in &stats.routes {
        let Some(log) = &route.access_log else { continue };
        for (outcome, count) in [("written", log.written), ("dropped", log.dropped)] {
            writeln!(
                out,
                "cutover_access_log_lines_total{{app=\"{app}\",service=\"{}\",outcome=\"{outcome}\"}} {count}",
                route.service
            )?;
        }
    }
    Ok(())
}

fn write_instances(out: &mut String, labelled: &[(String, &RevisionStats)]) -> std::fmt::Result {
    type Value = fn(&InstanceStats) -> u64;
    let series: [(&str, &str, &str, Value); 5] = [
        (
            "cutover_instance_in_flight",
            "gauge",
            "Open requests of an instance.",
            |one| one.in_flight,
        ),
        (
            "cutover_instance_attempts_total",
            "counter",
            "Attempts on an instance.",
            |one| one.attempts,
        ),
        (
            "cutover_instance_failures_total",
            "counter",
            "Attempts on an instance that failed, 5xx answers included.",
            |one| one.failures,
        ),
        (
            "cutover_instance_routed",
            "gauge",
            "1 if the table names the instance.",
            |one| u64::from(one.routed),
        ),
        (
            "cutover_instance_ejected",
            "gauge",
            "1 if the instance is left out for a while.",
            |one| u64::from(one.ejected),
        ),
    ];
    for (name, kind, help, value) in series {
        head(out, name, kind, help)?;
        for (labels, stats) in labelled {
            for one in distinct(&stats.instances) {
                let instance = escape(&one.instance.to_string());
                writeln!(out, "{name}{{{labels},instance=\"{instance}\"}} {}", value(one))?;
            }
        }
    }
    Ok(())
}

/// An instance whose address has changed is there once for each: under one name, only the one that is routed counts, or
/// the newest.
fn distinct(instances: &[InstanceStats]) -> impl Iterator<Item = &InstanceStats> {
    let of_others = |index: usize, one: &InstanceStats| {
        let mut others = instances.iter().enumerate();
        others.any(|(other, same)| same.instance == one.instance && (same.routed || other > index))
    };
    let kept = move |(index, one): &(usize, &InstanceStats)| one.routed || !of_others(*index, one);
    instances.iter().enumerate().filter(kept).map(|(_, one)| one)
}

fn write_mirrors(out: &mut String, app: &str, stats: &Stats) -> std::fmt::Result {
    let copies: Vec<_> = stats
        .routes
        .iter()
        .filter_map(|route| Some((&route.service, route.mirror?)))
        .collect();
    let mut family = |name: &str, help: &str, of: fn(&MirrorStats) -> Vec<(&'static str, u64)>| {
        head(out, name, "counter", help)?;
        for (service, one) in &copies {
            for (outcome, count) in of(one) {
                let labels = format!("app=\"{app}\",service=\"{service}\",outcome=\"{outcome}\"");
                writeln!(out, "{name}{{{labels}}} {count}")?;
            }
        }
        Ok(())
    };
    family(
        "cutover_mirrored_total",
        "Copies of requests: sent ones, failed ones among them, and dropped ones.",
        |one| {
            vec![
                ("sent", one.sent),
                ("failed", one.failed),
                ("full", one.full),
                ("too-long", one.too_long),
            ]
        },
    )?;
    family(
        "cutover_mirror_compared_total",
        "Answers to copies beside those to their originals.",
        |one| {
            vec![
                ("equal", one.equal),
                ("other-status", one.other_status),
                ("other-body", one.other_body),
                ("not-compared", one.not_compared),
            ]
        },
    )
}

/// What the proxy's probes say of the instances that are probed.
fn write_probes(out: &mut String, labelled: &[(String, &RevisionStats)]) -> std::fmt::Result {
    head(
        out,
        "cutover_instance_healthy",
        "gauge",
        "1 if the proxy's probes pass.",
    )?;
    for (labels, stats) in labelled {
        for one in stats.instances.iter().filter(|one| one.routed) {
            if let Some(healthy) = one.healthy.map(u8::from) {
                let instance = escape(&one.instance.to_string());
                writeln!(
                    out,
                    "cutover_instance_healthy{{{labels},instance=\"{instance}\"}} {healthy}"
                )?;
            }
        }
    }
    Ok(())
}

fn write_histogram(out: &mut String, labels: &str, stats: &RevisionStats) -> std::fmt::Result {
    let name = "http_request_duration_seconds";
    for bound in BOUNDS_US {
        let below = stats
            .latency
            .0
            .iter()
            .enumerate()
            .filter(|(bucket, _)| upper_bound(*bucket) <= bound + 1);
        let count: u64 = below.map(|(_, count)| count).sum();
        let seconds = micros_to_seconds(bound);
        writeln!(out, "{name}_bucket{{{labels},le=\"{seconds}\"}} {count}")?;
    }
    let count: u64 = stats.latency.0.iter().sum();
    writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
    writeln!(
        out,
        "{name}_sum{{{labels}}} {}",
        micros_to_seconds(stats.total_us)
    )?;
    writeln!(out, "{name}_count{{{labels}}} {count}")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sums of microseconds stay far below 2^53"
)]
fn micros_to_seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn labels(app: &str, stats: &RevisionStats) -> String {
    let id = &stats.revision;
    let track = serde_json::to_value(stats.track).unwrap_or_default();
    let track = track.as_str().unwrap_or("unknown");
    format!(
        "app=\"{app}\",service=\"{}\",version=\"{}\",revision=\"{id}\",track=\"{track}\"",
        id.service, id.version
    )
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Stats {
        Stats {
            epoch: 1,
            pid: 1,
            version: String::new(),
            serial: 1,
            uptime_ms: 1,
            workers: 1,
            connections: 0,
            idle_connections: 0,
            listeners: Vec::new(),
            routes: Vec::new(),
            revisions: Vec::new(),
            odds: None,
        }
    }

    #[test]
    fn every_metric_is_in_the_documentation_and_no_other() {
        let page = include_str!("../../../docs/reference/metrics.md");
        let text = render("shop", &empty());
        let mut exported: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        let mut documented: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        exported.sort_unstable();
        documented.sort_unstable();
        assert_eq!(exported, documented);
    }

    #[test]
    fn an_instance_that_has_moved_is_one_series() {
        let instance = |address: &str, routed| {
            serde_json::json!({
                "instance": "web/1", "address": address, "routed": routed, "ejected": false, "inFlight": 0,
                "attempts": 1, "failures": 0
            })
        };
        let revision = serde_json::json!({
            "revision": "web@1.0.0#aaaaaa", "track": "stable", "weight": 10_000, "inFlight": 0, "assigned": 0,
            "firstAttempts": 0, "firstAttemptFailures": 0, "answers": [], "errors": 0, "answeredByStable": 0,
            "connectFailures": 0, "timeouts": 0, "retries": 0, "cutWrites": 0, "cutAnswers": 0, "totalUs": 0,
            "latency": [],
            "instances": [
                instance("127.0.0.1:7", false), instance("127.0.0.1:8", true), instance("127.0.0.1:9", false)
            ]
        });
        let mut stats = empty();
        stats.revisions.push(serde_json::from_value(revision).unwrap());
        let text = render("shop", &stats);
        let mut seen = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series), "twice: {series}");
        }
        assert!(text.contains("instance=\"web/1\"} 1"), "{text}");
    }
}
