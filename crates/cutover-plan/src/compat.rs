//! Whether every pair of revisions that a request can take is declared compatible (invariant I6).

use cutover_model::{Diagnostic, ServiceChange, ServiceName, Version};
use cutover_spec::{Release, Service};

/// The pairs that come to exist while traffic moves and are not declared compatible by either side.
///
/// Caller and callee come from `dependsOn` and `compatibleWith`. Two revisions of one release belong together; a pair
/// across releases needs a declaration of either side, because a request that the old caller has begun may reach the
/// callee just after it was switched, whatever the strategy.
pub(crate) fn incompatible(
    changes: &[ServiceChange],
    current: Option<&Release>,
    target: &Release,
) -> Vec<Diagnostic> {
    let Some(current) = current else { return Vec::new() };
    let mut problems = Vec::new();
    for (a, b) in pairs(current, target) {
        let change = |name: &ServiceName| changes.iter().find(|change| change.service == *name);
        let (Some(left), Some(right)) = (change(&a), change(&b)) else {
            continue;
        };
        let (Some(a_old), Some(a_new)) = (&left.from, &left.to) else {
            continue;
        };
        let (Some(b_old), Some(b_new)) = (&right.from, &right.to) else {
            continue;
        };
        let a_spec = (
            current.application.services.get(&a),
            target.application.services.get(&a),
        );
        let b_spec = (
            current.application.services.get(&b),
            target.application.services.get(&b),
        );
        if a_old != a_new && !declared((&a, a_spec.1, &a_new.version), (&b, b_spec.0, &b_old.version)) {
            problems.push(problem(&a, &a_new.version, &b, &b_old.version));
        }
        if b_old != b_new && !declared((&a, a_spec.0, &a_old.version), (&b, b_spec.1, &b_new.version)) {
            problems.push(problem(&a, &a_old.version, &b, &b_new.version));
        }
    }
    problems
}

/// Caller and callee, without repetition, in order.
fn pairs(current: &Release, target: &Release) -> Vec<(ServiceName, ServiceName)> {
    let mut pairs = Vec::new();
    for release in [current, target] {
        for (name, service) in &release.application.services {
            for other in service.depends_on.iter().chain(service.compatible_with.keys()) {
                let known = pairs
                    .iter()
                    .any(|(a, b)| (a == name && b == other) || (a == other && b == name));
                if !known {
                    pairs.push((name.clone(), other.clone()));
                }
            }
        }
    }
    pairs.sort();
    pairs
}

type Side<'a> = (&'a ServiceName, Option<&'a Service>, &'a Version);

fn declared(a: Side<'_>, b: Side<'_>) -> bool {
    a.2 == b.2 || accepts(a.1, b.0, b.2) || accepts(b.1, a.0, a.2)
}

fn accepts(service: Option<&Service>, other: &ServiceName, version: &Version) -> bool {
    service
        .and_then(|service| service.compatible_with.get(other))
        .and_then(|text| semver::VersionReq::parse(text).ok())
        .is_some_and(|wanted| version.is_one_of(&wanted))
}

fn problem(a: &ServiceName, a_version: &Version, b: &ServiceName, b_version: &Version) -> Diagnostic {
    Diagnostic::error(
        "plan.incompatible",
        format!("{a} {a_version} and {b} {b_version} would serve together, and neither declares that it can"),
    )
    .note(
        "declare it",
        format!("services.{a}.compatibleWith.{b}: \">={b_version}\""),
    )
    .note("or", "release a version in between that both can live with")
    .help("cutover schema services.compatibleWith")
}
