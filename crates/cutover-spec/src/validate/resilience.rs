//! What a route asks about failures and time: numbers in their range, and times that can act.

use cutover_model::Span;
use cutover_model::routing::{ActiveHealth, Circuit, Drain, OutlierDetection, Retries, Timeouts};

use super::health::{positive, request_path};
use crate::Application;
use crate::findings::Findings;

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    for (name, service) in &application.services {
        let Some(router) = &service.router else {
            continue;
        };
        let at = format!("services.{name}.router.proxy.routing");
        let policy = router.policy();
        timeouts(&format!("{at}.timeouts"), &policy.timeouts, findings);
        drain(
            &format!("{at}.drain"),
            &policy.drain,
            application.drain_deadline,
            findings,
        );
        retries(
            &format!("{at}.retries"),
            &policy.retries,
            policy.timeouts.answer,
            findings,
        );
        outliers(
            &format!("{at}.outlierDetection"),
            &policy.outlier_detection,
            findings,
        );
        circuit(&format!("{at}.circuit"), &policy.circuit, findings);
        if let Some(probes) = &policy.health {
            health(&format!("{at}.health"), probes, findings);
        }
    }
}

fn timeouts(at: &str, timeouts: &Timeouts, findings: &mut Findings<'_>) {
    positive(&format!("{at}.connect"), timeouts.connect, findings);
    positive(&format!("{at}.answer"), timeouts.answer, findings);
    positive(&format!("{at}.idle"), timeouts.idle, findings);
}

fn drain(at: &str, drain: &Drain, deadline: Span, findings: &mut Findings<'_>) {
    for (name, limit) in [
        ("webSockets", drain.web_sockets),
        ("eventStreams", drain.event_streams),
    ] {
        if let Some(limit) = limit.filter(|limit| *limit > deadline) {
            findings
                .error(
                    "spec.conflict",
                    &format!("{at}.{name}"),
                    format!("they may stay for {limit}, but the instance is stopped after the drain deadline of {deadline}"),
                )
                .label("no longer than `drainDeadline`");
        }
    }
}

fn retries(at: &str, retries: &Retries, answer: Span, findings: &mut Findings<'_>) {
    within(&format!("{at}.attempts"), retries.attempts, 0, 10, findings);
    within(
        &format!("{at}.budgetPercent"),
        u32::from(retries.budget_percent),
        0,
        100,
        findings,
    );
    let Some(per_try) = retries.per_try_timeout else {
        return;
    };
    let at = format!("{at}.perTryTimeout");
    positive(&at, per_try, findings);
    if per_try >= answer && answer > Span::ZERO {
        findings
            .error(
                "spec.conflict",
                &at,
                format!("one attempt has {per_try}, but all together have {answer}: there is no time for another one"),
            )
            .label("shorter than `timeouts.answer`");
    }
}

fn outliers(at: &str, outliers: &OutlierDetection, findings: &mut Findings<'_>) {
    within(
        &format!("{at}.maxEjectionPercent"),
        u32::from(outliers.max_ejection_percent),
        0,
        100,
        findings,
    );
    positive(
        &format!("{at}.baseEjectionTime"),
        outliers.base_ejection_time,
        findings,
    );
    if outliers.max_ejection_time < outliers.base_ejection_time {
        let (base, most) = (outliers.base_ejection_time, outliers.max_ejection_time);
        findings
            .error(
                "spec.conflict",
                &format!("{at}.maxEjectionTime"),
                format!("the longest time is {most}, and the first one already {base}"),
            )
            .label(format!("{base} or more"));
    }
}

fn circuit(at: &str, circuit: &Circuit, findings: &mut Findings<'_>) {
    if let Some(most) = circuit.max_requests {
        within(&format!("{at}.maxRequests"), most, 1, 1_000_000, findings);
    }
    within(
        &format!("{at}.maxPending"),
        circuit.max_pending,
        0,
        1_000_000,
        findings,
    );
    positive(&format!("{at}.pendingTimeout"), circuit.pending_timeout, findings);
}

fn health(at: &str, probes: &ActiveHealth, findings: &mut Findings<'_>) {
    request_path(&format!("{at}.path"), &probes.path, findings);
    positive(&format!("{at}.interval"), probes.interval, findings);
    positive(&format!("{at}.fastInterval"), probes.fast_interval, findings);
    positive(&format!("{at}.timeout"), probes.timeout, findings);
    within(&format!("{at}.rise"), probes.rise, 1, 100, findings);
    within(&format!("{at}.fall"), probes.fall, 1, 100, findings);
    if probes.fast_interval > probes.interval {
        findings
            .error(
                "spec.conflict",
                &format!("{at}.fastInterval"),
                format!(
                    "while a switch runs there are {} between two probes, otherwise only {}",
                    probes.fast_interval, probes.interval
                ),
            )
            .label("no longer than `interval`");
    }
}

fn within(at: &str, number: u32, least: u32, most: u32, findings: &mut Findings<'_>) {
    if !(least..=most).contains(&number) {
        findings
            .error(
                "spec.invalid-value",
                at,
                format!("{number} is not from {least} to {most}"),
            )
            .label(format!("did you mean {}?", number.clamp(least, most)));
    }
}
