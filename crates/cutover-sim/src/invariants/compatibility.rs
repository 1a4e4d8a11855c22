//! I6: each pair of revisions that a request can take is declared compatible by one of the two.

use cutover_model::{RouteTable, ServiceName, Version};
use cutover_spec::Application;

use crate::world::World;

/// A table is taken in: everything that has weight in it serves together.
pub(crate) fn applied(world: &World, table: &RouteTable) -> Result<(), String> {
    let Some(current) = &world.current else {
        return Ok(());
    };
    let specs = [Some(&current.target), current.before.as_ref()];
    for spec in specs.into_iter().flatten() {
        for (caller, service) in &spec.services {
            for callee in service.depends_on.iter().chain(service.compatible_with.keys()) {
                for a in serving(table, caller) {
                    for b in serving(table, callee) {
                        if a != b
                            && !specs
                                .into_iter()
                                .flatten()
                                .any(|spec| declared(spec, caller, a, callee, b))
                        {
                            return Err(format!("{caller} {a} and {callee} {b} serve together"));
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn serving<'a>(table: &'a RouteTable, service: &ServiceName) -> Vec<&'a Version> {
    let routed = table
        .service(service)
        .into_iter()
        .flat_map(|route| &route.revisions);
    routed
        .filter(|one| !one.weight.is_none())
        .map(|one| &one.revision.version)
        .collect()
}

fn declared(spec: &Application, a: &ServiceName, av: &Version, b: &ServiceName, bv: &Version) -> bool {
    let accepts = |one: &ServiceName, other: &ServiceName, version: &Version| {
        spec.services
            .get(one)
            .and_then(|service| service.compatible_with.get(other))
            .is_some_and(|text| text == "*" || *text == format!("={version}"))
    };
    accepts(a, b, bv) || accepts(b, a, av)
}
