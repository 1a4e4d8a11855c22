//! `dependsOn`: what is named exists, and there is an order.

use std::collections::BTreeSet;

use cutover_model::ServiceName;

use crate::Application;
use crate::findings::Findings;

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    for (name, service) in &application.services {
        for (index, other) in service.depends_on.iter().enumerate() {
            let path = format!("services.{name}.dependsOn[{index}]");
            let names = application.services.keys().map(ServiceName::as_str);
            super::known(findings, &path, "service", other.as_str(), names);
        }
    }
    let mut seen = BTreeSet::new();
    for name in application.services.keys() {
        let mut way = Vec::new();
        if let Some(cycle) = cycle_from(application, name, &mut way, &mut seen) {
            report(application, &cycle, findings);
        }
    }
}

/// The first cycle reached from a service that was not looked at before; it begins and ends with the same service.
fn cycle_from<'a>(
    application: &'a Application,
    name: &'a ServiceName,
    way: &mut Vec<&'a ServiceName>,
    seen: &mut BTreeSet<&'a ServiceName>,
) -> Option<Vec<&'a ServiceName>> {
    if let Some(start) = way.iter().position(|passed| *passed == name) {
        let mut cycle = way[start..].to_vec();
        cycle.push(name);
        return Some(cycle);
    }
    if !seen.insert(name) {
        return None;
    }
    way.push(name);
    let found = application.services.get(name).and_then(|service| {
        service
            .depends_on
            .iter()
            .find_map(|next| cycle_from(application, next, way, seen))
    });
    way.pop();
    found
}

fn report(application: &Application, cycle: &[&ServiceName], findings: &mut Findings<'_>) {
    let (Some(first), Some(second)) = (cycle.first(), cycle.get(1)) else {
        return;
    };
    let index = application.services[*first]
        .depends_on
        .iter()
        .position(|name| name == *second)
        .unwrap_or(0);
    let order: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
    findings
        .error(
            "spec.dependency-cycle",
            &format!("services.{first}.dependsOn[{index}]"),
            format!("these services wait for each other: {}", order.join(" needs ")),
        )
        .label("one of them must start without the other");
}
