//! Analysis templates: something is measured, and it can fail.

use cutover_analysis::Condition;
use cutover_model::{AnalysisTemplate, Baseline, Metric, Span};

use crate::Application;
use crate::findings::Findings;

/// The proxy counts continuously; below this a window holds nothing to judge.
const SHORTEST_INTERVAL: Span = Span::from_millis(100);

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    let inline = super::strategy::inline_templates(&application.strategy);
    for (name, template) in &application.analysis {
        let at = format!("analysis.{name}");
        if template.interval < SHORTEST_INTERVAL {
            findings
                .error(
                    "spec.invalid-value",
                    &format!("{at}.interval"),
                    format!("{} is too short to measure anything", template.interval),
                )
                .label(format!("at least {SHORTEST_INTERVAL}"));
        }
        if template.metrics.is_empty() && template.baseline.is_stable() {
            findings.error(
                "spec.no-condition",
                &format!("{at}.metrics"),
                format!("the analysis `{name}` measures nothing, so it could never fail"),
            );
        }
        if inline.contains(name.as_str()) {
            limits(&at, template, findings);
        }
        dry_runs(&at, template, findings);
        baseline(&at, template, findings);
        let filled = super::arguments::filled(&at, template, findings);
        for (index, metric) in filled.metrics.iter().enumerate() {
            let path = format!("{at}.metrics[{index}].{}", metric.name());
            check_metric(application, &path, metric, findings);
        }
    }
}

/// What an analysis of `count` measurements cannot come to.
fn limits(at: &str, template: &AnalysisTemplate, findings: &mut Findings<'_>) {
    let (count, limit) = (template.count.max(1), template.failure_limit);
    let measurements = if count == 1 { "measurement" } else { "measurements" };
    if limit >= count {
        findings
            .error(
                "spec.no-condition",
                &format!("{at}.failureLimit"),
                format!("of {count} {measurements} {limit} may fail, so an inline analysis could never fail"),
            )
            .label(format!("at most {}, or a `count` above {limit}", count - 1));
    }
    let row = template.consecutive_success_limit;
    if row > count {
        findings
            .error(
                "spec.no-condition",
                &format!("{at}.consecutiveSuccessLimit"),
                format!("of {count} {measurements} never {row} in a row are good, so an inline analysis could never succeed"),
            )
            .label(format!("`count` must be at least {row}"));
    }
}

/// Metrics that decide nothing are metrics of the template.
fn dry_runs(at: &str, template: &AnalysisTemplate, findings: &mut Findings<'_>) {
    for (index, dry) in template.dry_run.iter().enumerate() {
        let alone = AnalysisTemplate {
            dry_run: vec![*dry],
            ..template.clone()
        }
        .effective();
        if !alone.metrics.iter().any(|metric| alone.is_dry(metric)) {
            findings.error(
                "spec.unknown-reference",
                &format!("{at}.dryRun[{index}]"),
                "the template has no such metric",
            );
        }
    }
}

/// What cannot be compared with the time before the switch.
fn baseline(at: &str, template: &AnalysisTemplate, findings: &mut Findings<'_>) {
    for (index, metric) in template.metrics.iter().enumerate() {
        let path = format!("{at}.metrics[{index}].{}", metric.name());
        if template.baseline == Baseline::PreSwitch && matches!(metric, Metric::Sequential { .. }) {
            findings
                .error(
                    "spec.conflict",
                    &path,
                    "after a switch at once nothing is drawn, so `sequential` could never fail",
                )
                .label("use `change`");
        }
    }
}

fn check_metric(application: &Application, at: &str, metric: &Metric, findings: &mut Findings<'_>) {
    if !metric.has_condition() {
        findings
            .error(
                "spec.no-condition",
                at,
                format!("`{}` has no bound, so it could never fail", metric.name()),
            )
            .label(match metric {
                Metric::Latency { .. } => "add `max: 300ms` or `maxRatio: 1.5`",
                Metric::Query { .. } => "add `successCondition: result[0] >= 0.95`",
                Metric::ErrorRate { .. }
                | Metric::BurnRate { .. }
                | Metric::Sequential { .. }
                | Metric::MannWhitney(_)
                | Metric::Change { .. } => "add `max: 5` (per cent) or `maxRatio: 2`",
            });
    }
    match metric {
        Metric::ErrorRate { max, max_ratio } => {
            if let Some(max) = max {
                within(&format!("{at}.max"), *max, 0.0, 100.0, true, findings);
                if *max >= 100.0 && max_ratio.is_none() {
                    findings.error(
                        "spec.no-condition",
                        &format!("{at}.max"),
                        "an error rate is never over 100 %, so this could never fail",
                    );
                }
            }
            ratio(at, *max_ratio, findings);
        }
        Metric::BurnRate { objective, max } => {
            within(
                &format!("{at}.objective"),
                *objective,
                0.0,
                100.0,
                false,
                findings,
            );
            within(&format!("{at}.max"), *max, 0.0, 1_000_000.0, false, findings);
            if max * (100.0 - objective) >= 100.0 {
                findings
                    .error(
                        "spec.no-condition",
                        &format!("{at}.max"),
                        format!("not even if every request failed the budget of {objective} % would burn faster than that"),
                    )
                    .label(format!("below {:.4}", 100.0 / (100.0 - objective)));
            }
        }
        Metric::Latency {
            quantile,
            max,
            max_ratio,
        } => {
            within(&format!("{at}.quantile"), *quantile, 0.0, 1.0, false, findings);
            if let Some(max) = max {
                super::health::positive(&format!("{at}.max"), *max, findings);
            }
            ratio(at, *max_ratio, findings);
        }
        Metric::Sequential {
            alpha,
            margin,
            latency,
            history: _,
        } => {
            within(&format!("{at}.alpha"), *alpha, 0.0, 0.5, false, findings);
            if let Some(margin) = margin {
                within(&format!("{at}.margin"), *margin, 0.0, 100.0, false, findings);
            }
            if let Some(slow) = latency {
                let at = format!("{at}.latency");
                within(
                    &format!("{at}.quantile"),
                    slow.quantile,
                    0.0,
                    1.0,
                    false,
                    findings,
                );
                let ratio = format!("{at}.maxRatio");
                within(&ratio, slow.max_ratio, 1.0, 1_000.0, true, findings);
            }
        }
        Metric::Change {
            max_error_ratio,
            min_error_rate,
            max_avg_increase,
            min_request_ratio,
        } => {
            let ratio = format!("{at}.maxErrorRatio");
            within(&ratio, *max_error_ratio, 1.0, 1_000_000.0, true, findings);
            within(
                &format!("{at}.minErrorRate"),
                *min_error_rate,
                0.0,
                100.0,
                true,
                findings,
            );
            super::health::positive(&format!("{at}.maxAvgIncrease"), *max_avg_increase, findings);
            within(
                &format!("{at}.minRequestRatio"),
                *min_request_ratio,
                0.0,
                1.0,
                false,
                findings,
            );
        }
        Metric::MannWhitney(test) => {
            within(
                &format!("{at}.tolerance"),
                test.tolerance,
                0.0,
                1.0,
                true,
                findings,
            );
            within(
                &format!("{at}.confidence"),
                test.confidence,
                0.0,
                1.0,
                false,
                findings,
            );
            for (key, size) in [
                ("allowedIncrease", test.allowed_increase),
                ("allowedDecrease", test.allowed_decrease),
            ] {
                if let Some(size) = size {
                    within(&format!("{at}.{key}"), size, 0.0, 1_000_000.0, true, findings);
                }
            }
            for (key, provider) in [("candidate", &test.candidate), ("stable", &test.stable)] {
                let path = format!("{at}.{key}.{}", provider.name());
                super::providers::check(application, &path, provider, findings);
            }
        }
        Metric::Query {
            provider,
            success_condition,
            failure_condition,
        } => {
            let path = format!("{at}.provider.{}", provider.name());
            super::providers::check(application, &path, provider, findings);
            for (key, text) in [
                ("successCondition", success_condition),
                ("failureCondition", failure_condition),
            ] {
                condition(&format!("{at}.{key}"), text.as_deref(), findings);
            }
        }
    }
}

fn condition(at: &str, text: Option<&str>, findings: &mut Findings<'_>) {
    if let Some(Err(error)) = text.map(str::parse::<Condition>) {
        findings
            .error("spec.condition", at, format!("this is no condition: {error}"))
            .label("such as `result[0] < 0.05 && len(result) > 0`");
    }
}

fn ratio(at: &str, ratio: Option<f64>, findings: &mut Findings<'_>) {
    let path = format!("{at}.maxRatio");
    match ratio {
        Some(ratio) if !ratio.is_finite() || ratio <= 0.0 => {
            findings.error(
                "spec.invalid-value",
                &path,
                format!("{ratio} is no ratio: it must be more than 0"),
            );
        }
        Some(ratio) if ratio < 1.0 => {
            findings.warning(
                "spec.strict-ratio",
                &path,
                format!("with {ratio} a release that is as good as the old one fails"),
            );
        }
        _ => {}
    }
}

fn within(path: &str, value: f64, low: f64, high: f64, closed: bool, findings: &mut Findings<'_>) {
    let fits = if closed {
        (low..=high).contains(&value)
    } else {
        value > low && value < high
    };
    if !fits {
        let bounds = if closed { "from" } else { "between" };
        let word = if closed { "to" } else { "and" };
        findings.error(
            "spec.invalid-value",
            path,
            format!("{value} must be {bounds} {low} {word} {high}"),
        );
    }
}
