//! Strategies: each can advance, and what it names exists.

use std::collections::{BTreeMap, BTreeSet};

use cutover_model::routing::UpstreamProtocol;
use cutover_model::{Metric, Span, StepRouting};

use super::matches;
use crate::findings::Findings;
use crate::{
    Application, BlueGreen, Canary, CanaryStep, HeaderRoute, InlineAnalysis, MirrorRoute, Rolling, Strategy,
};

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    match &application.strategy {
        Strategy::BlueGreen(blue_green) => check_blue_green(application, blue_green, findings),
        Strategy::Canary(canary) => check_canary(application, canary, findings),
        Strategy::Rolling(rolling) => check_rolling(application, rolling, findings),
        Strategy::Recreate(_) => {}
    }
}

/// The templates of analyses that others wait for: each takes so many measurements and ends. One in the background goes
/// on instead.
pub(super) fn inline_templates(strategy: &Strategy) -> BTreeSet<&str> {
    let uses: Vec<&InlineAnalysis> = match strategy {
        Strategy::BlueGreen(how) => {
            let (before, after) = (&how.pre_promotion_analysis, &how.post_promotion_analysis);
            before.iter().chain(after).collect()
        }
        Strategy::Canary(canary) => {
            let steps = canary.steps.iter();
            let inline = steps.filter_map(|step| match step {
                CanaryStep::Analysis(analysis) => Some(analysis),
                _ => None,
            });
            inline.collect()
        }
        Strategy::Rolling(_) | Strategy::Recreate(_) => Vec::new(),
    };
    uses.into_iter()
        .map(|analysis| analysis.template.as_str())
        .collect()
}

/// Whether there is a time before, without the new version, that an analysis can compare with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    AfterTheSwitch,
    Elsewhere,
}

/// A template is named, with what is filled in there.
fn template(
    application: &Application,
    path: &str,
    (name, args): (&str, &BTreeMap<String, String>),
    place: Place,
    findings: &mut Findings<'_>,
) {
    super::arguments::given(application, path, name, args, findings);
    if place == Place::Elsewhere {
        no_switch(application, path, name, findings);
    }
    let names = application.analysis.keys().map(String::as_str);
    super::known(
        findings,
        &format!("{path}.template"),
        "analysis template",
        name,
        names,
    );
}

/// The time before the switch can be compared with where there is one switch, and after it.
fn no_switch(application: &Application, path: &str, name: &str, findings: &mut Findings<'_>) {
    let template = application.analysis.get(name);
    if template.is_some_and(|template| !template.baseline.is_stable()) {
        findings
            .error(
                "spec.conflict",
                &format!("{path}.template"),
                format!("`{name}` compares with the time before a switch, and there is none here"),
            )
            .label("`baseline: preSwitch` is for `postPromotionAnalysis` of `blueGreen`");
    }
}

/// What is about the time in which the candidate has all requests says nothing before it.
fn before_all(application: &Application, path: &str, name: &str, findings: &mut Findings<'_>) {
    let Some(template) = application.analysis.get(name) else {
        return;
    };
    let mut metrics = template.metrics.iter();
    let only_after = metrics.all(|metric| matches!(metric, Metric::Change { .. }));
    if template.baseline.is_stable() && only_after && !template.metrics.is_empty() {
        findings
            .error(
                "spec.conflict",
                &format!("{path}.template"),
                format!(
                    "`{name}` looks at the time in which the candidate has all requests, and here it has none"
                ),
            )
            .label("`change` is for `postPromotionAnalysis`, and for the analysis of a canary");
    }
}

fn check_blue_green(application: &Application, strategy: &BlueGreen, findings: &mut Findings<'_>) {
    let at = "strategy.blueGreen";
    let analyses = [
        (
            "prePromotionAnalysis",
            &strategy.pre_promotion_analysis,
            Place::Elsewhere,
        ),
        (
            "postPromotionAnalysis",
            &strategy.post_promotion_analysis,
            Place::AfterTheSwitch,
        ),
    ];
    for (key, analysis, place) in analyses {
        if let Some(analysis) = analysis {
            let path = format!("{at}.{key}");
            template(
                application,
                &path,
                (&analysis.template, &analysis.args),
                place,
                findings,
            );
            if matches!(place, Place::Elsewhere) {
                before_all(application, &path, &analysis.template, findings);
            }
        }
    }
    if strategy.preview_replica_count == Some(0) {
        findings
            .error(
                "spec.no-progress",
                &format!("{at}.previewReplicaCount"),
                "without an instance of the new version nothing can be tested before the switch",
            )
            .label("at least 1, or leave the key out for all");
    }
}

fn check_canary(application: &Application, canary: &Canary, findings: &mut Findings<'_>) {
    if let Some(analysis) = &canary.analysis {
        template(
            application,
            "strategy.canary.analysis",
            (&analysis.template, &analysis.args),
            Place::Elsewhere,
            findings,
        );
        let steps = canary.effective_steps().len();
        if let Some(start) = analysis.starting_step.filter(|start| *start as usize >= steps) {
            findings
                .error(
                    "spec.invalid-value",
                    "strategy.canary.analysis.startingStep",
                    format!("there is no step {start}, so nothing would ever be measured"),
                )
                .label(format!("from 0 to {}", steps - 1));
        }
    }
    if canary.steps.is_empty() {
        return;
    }
    let at = "strategy.canary.steps";
    if !canary
        .steps
        .iter()
        .any(|step| matches!(step, CanaryStep::SetWeight(weight) if *weight > 0))
    {
        findings
            .error(
                "spec.no-progress",
                at,
                "no step ever sends a request to the new version, so nothing would be learnt before all of them go there",
            )
            .label("add `- setWeight: 10`");
    }
    let most = application
        .services
        .values()
        .map(|service| service.replicas)
        .max()
        .unwrap_or(1);
    let mut weight = 0;
    let mut scale = None;
    for (index, step) in canary.steps.iter().enumerate() {
        let path = format!("{at}[{index}]");
        match step {
            CanaryStep::SetWeight(next) => {
                let path = format!("{path}.setWeight");
                if *next < weight {
                    findings
                        .error(
                            "spec.no-progress",
                            &path,
                            format!("the weight goes down from {weight} to {next} %"),
                        )
                        .label("to go back is an abort; steps only go up");
                }
                if *next > 0 && scale == Some(0) {
                    no_instance(&path, *next, findings);
                }
                weight = *next;
            }
            CanaryStep::Pause(pause) => {
                if pause.duration == Some(Span::ZERO) {
                    findings
                        .warning(
                            "spec.no-effect",
                            &format!("{path}.pause.duration"),
                            "a pause of no time does nothing",
                        )
                        .label("leave `duration` out to wait for a person");
                }
            }
            CanaryStep::Analysis(analysis) => {
                template(
                    application,
                    &format!("{path}.analysis"),
                    (&analysis.template, &analysis.args),
                    Place::Elsewhere,
                    findings,
                );
            }
            CanaryStep::SetCanaryScale(wanted) => {
                let path = format!("{path}.setCanaryScale.replicas");
                if wanted.replicas > most {
                    findings
                        .error(
                            "spec.invalid-value",
                            &path,
                            format!(
                                "{} instances of the new version are more than any service has",
                                wanted.replicas
                            ),
                        )
                        .label(format!("at most {most}"));
                }
                if wanted.replicas == 0 && weight > 0 {
                    no_instance(&path, weight, findings);
                }
                scale = Some(wanted.replicas);
            }
            CanaryStep::SetHeaderRoute(route) => {
                let path = format!("{path}.setHeaderRoute");
                check_header_route(&canary.steps[..index], route, &path, findings);
                if !route.when.is_empty() && scale == Some(0) {
                    findings.error(
                        "spec.no-progress",
                        &path,
                        "there is no instance that these requests could go to",
                    );
                }
            }
            CanaryStep::SetMirrorRoute(route) => {
                let path = format!("{path}.setMirrorRoute");
                check_mirror_route(application, *route, &path, findings);
            }
        }
    }
    let rules = canary.header_rules().len();
    if rules > StepRouting::MOST {
        findings
            .error(
                "spec.invalid-value",
                at,
                format!("{rules} fields are matched by header routes"),
            )
            .label(format!("at most {}", StepRouting::MOST));
    }
}

fn check_header_route(before: &[CanaryStep], route: &HeaderRoute, path: &str, findings: &mut Findings<'_>) {
    for (index, one) in route.when.iter().enumerate() {
        let at = format!("{path}.match[{index}]");
        matches::field_name(&one.header_name, &format!("{at}.headerName"), findings);
        matches::text(&one.header_value, &format!("{at}.headerValue"), findings);
    }
    let known =
        |step: &CanaryStep| matches!(step, CanaryStep::SetHeaderRoute(other) if other.name == route.name);
    if route.when.is_empty() && !before.iter().any(known) {
        findings
            .error(
                "spec.missing-key",
                path,
                format!(
                    "the header route `{}` ends before it begins: it has no `match`",
                    route.name
                ),
            )
            .label("such as `match: [{headerName: X-Canary, headerValue: {exact: always}}]`");
    }
}

fn check_mirror_route(
    application: &Application,
    route: MirrorRoute,
    path: &str,
    findings: &mut Findings<'_>,
) {
    if route.percentage > 100 {
        findings
            .error(
                "spec.invalid-value",
                &format!("{path}.percentage"),
                format!("{} % of the requests cannot be mirrored", route.percentage),
            )
            .label("from 0 to 100");
    }
    let mut routed = application
        .services
        .iter()
        .filter_map(|(name, service)| Some((name, service.router.as_ref()?)));
    if let Some((name, _)) = routed.find(|(_, router)| router.policy().upstream == UpstreamProtocol::H2c) {
        findings
            .error(
                "spec.unsupported",
                path,
                format!("requests of `{name}`, whose instances speak HTTP/2, are not mirrored"),
            )
            .label("gRPC has trailers and a stream in each direction");
    }
}

fn no_instance(path: &str, weight: u8, findings: &mut Findings<'_>) {
    findings.error(
        "spec.no-progress",
        path,
        format!("{weight} % of the requests would go to no instance at all"),
    );
}

fn check_rolling(application: &Application, rolling: &Rolling, findings: &mut Findings<'_>) {
    let at = "strategy.rolling";
    if let Some(analysis) = &rolling.analysis {
        template(
            application,
            &format!("{at}.analysis"),
            (&analysis.template, &analysis.args),
            Place::Elsewhere,
            findings,
        );
    }
    let path = format!("{at}.maxSurge");
    for (name, service) in &application.services {
        let replicas = service.replicas;
        if rolling.max_surge.of_rounded_up(replicas) > 0 {
            continue;
        }
        if replicas == 1 {
            findings
                .error(
                    "spec.no-surge",
                    &path,
                    format!(
                        "`{name}` has one instance: without a second one for a moment, nobody would answer"
                    ),
                )
                .label("at least 1, or use `recreate`");
        } else if rolling.max_unavailable.of_rounded_down(replicas) == 0 {
            findings
                .error(
                    "spec.no-surge",
                    &path,
                    format!(
                        "`{name}` could never advance: of {replicas} instances none may be extra and none may be missing"
                    ),
                )
                .label("at least 1 here or in `maxUnavailable`");
        } else if rolling.max_unavailable.of_rounded_down(replicas) >= replicas {
            findings
                .error(
                    "spec.no-surge",
                    &format!("{at}.maxUnavailable"),
                    format!(
                        "all {replicas} instances of `{name}` may be missing at once: nobody would answer"
                    ),
                )
                .label(format!("at most {}, or use `recreate`", replicas - 1));
        }
    }
}
