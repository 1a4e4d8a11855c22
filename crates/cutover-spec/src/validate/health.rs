//! Probes: something to ask, and often enough to matter.

use cutover_model::{ServiceName, Span};

use crate::findings::Findings;
use crate::{Probe, Service, Target};

pub(super) fn check(name: &ServiceName, service: &Service, findings: &mut Findings<'_>) {
    let at = format!("services.{name}.health");
    let health = &service.health;
    short_form(&at, service, findings);
    if let Some(path) = &health.path {
        request_path(&format!("{at}.path"), path, findings);
    }
    if let Some(interval) = health.interval {
        positive(&format!("{at}.interval"), interval, findings);
    }
    let probes = [
        ("readiness", &health.readiness),
        ("liveness", &health.liveness),
        ("startup", &health.startup),
    ];
    for (kind, probe) in probes {
        if let Some(probe) = probe {
            check_probe(&format!("{at}.{kind}"), probe, findings);
        }
    }
    let Target::Process(process) = &service.target;
    let asked = health.path.is_some() || probes.iter().any(|(_, probe)| probe.is_some());
    // For a service with a router the missing ports are an error already.
    if asked && process.ports.is_none() && service.router.is_none() {
        findings
            .error(
                "spec.missing-key",
                &at,
                "probes need a port to ask, and this service has none",
            )
            .label(format!("add `ports` under `services.{name}.target.process`"));
    }
    positive(
        &format!("{at}.progressDeadline"),
        health.progress_deadline.0,
        findings,
    );
    if health.min_ready >= health.progress_deadline.0 && health.min_ready > Span::ZERO {
        findings.error(
            "spec.no-progress",
            &format!("{at}.minReady"),
            format!(
                "no launch can succeed: it must be ready for {} within {}",
                health.min_ready, health.progress_deadline.0
            ),
        );
    }
}

/// The short form and the long one say the same thing; both together would hide one.
fn short_form(at: &str, service: &Service, findings: &mut Findings<'_>) {
    let health = &service.health;
    let short = [
        ("path", health.path.is_some()),
        ("interval", health.interval.is_some()),
        ("rise", health.rise.is_some()),
        ("fall", health.fall.is_some()),
    ];
    // The first of them says it for all.
    if let Some((key, _)) = short.iter().find(|(_, given)| *given) {
        if health.readiness.is_some() {
            findings
                .key_error(
                    "spec.conflict",
                    &format!("{at}.{key}"),
                    format!("`{key}` is the short form of a readiness probe, which is written out too"),
                )
                .label("move it into `readiness`, or leave `readiness` out");
        } else if health.path.is_none() {
            findings
                .key_error(
                    "spec.missing-key",
                    &format!("{at}.{key}"),
                    format!("`{key}` belongs to a readiness probe, which has no `path`"),
                )
                .label("add `path: /ready`");
        }
    }
}

fn check_probe(at: &str, probe: &Probe, findings: &mut Findings<'_>) {
    request_path(&format!("{at}.path"), &probe.path, findings);
    positive(&format!("{at}.period"), probe.period, findings);
    positive(&format!("{at}.timeout"), probe.timeout, findings);
}

/// A path to get, as it stands in a request.
pub(super) fn request_path(path: &str, text: &str, findings: &mut Findings<'_>) {
    if !text.starts_with('/') {
        let label = if text.contains("://") {
            "the path alone: host and port are the instance's".to_owned()
        } else {
            format!("did you mean `/{text}`?")
        };
        findings
            .error(
                "spec.invalid-value",
                path,
                format!("`{text}` is no path: it begins with `/`"),
            )
            .label(label);
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        findings.error(
            "spec.invalid-value",
            path,
            format!("`{}` is no path: it holds a blank", text.escape_debug()),
        );
    }
}

/// A length of time that must be one.
pub(super) fn positive(path: &str, span: Span, findings: &mut Findings<'_>) {
    if span == Span::ZERO {
        findings.error("spec.invalid-value", path, "this must be longer than no time");
    }
}
