//! Arrows point down only.

use crate::finding::Finding;

use super::floors::{Floor, Place, place};
use super::graph::{Graph, Member};

/// Every arrow that must not be, every crate without a place, every place without a crate.
pub(crate) fn check(graph: &Graph, places: &[Place]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &graph.members {
        match place(places, &member.name) {
            Some(own) => check_member(member, own, places, &mut findings),
            None => findings.push(Finding::new(
                &member.name,
                "stands on no floor: give it a line in xtask/src/check_deps/floors.rs",
            )),
        }
    }
    for place in places {
        if !graph.members.iter().any(|member| member.name == place.name) {
            let what = format!("has a line ({}) but there is no such crate", place.floor);
            findings.push(Finding::new(place.name, what));
        }
    }
    findings
}

fn check_member(member: &Member, own: &Place, places: &[Place], findings: &mut Vec<Finding>) {
    for used in &member.inside {
        // A crate without a place is reported once, at its own name.
        let Some(other) = place(places, used) else {
            continue;
        };
        if other.floor >= own.below && !own.beside.contains(&other.name) {
            let what = format!(
                "({}) must not depend on {used} ({}): {}",
                own.floor,
                other.floor,
                why(own, other)
            );
            findings.push(Finding::new(&member.name, what));
        }
    }
    for banned in own.never_reaches {
        if let Some(way) = member.reaches.get(*banned) {
            let what = format!(
                "({}) must not reach {banned}, but does: {}",
                own.floor,
                way.join(" → ")
            );
            findings.push(Finding::new(&member.name, what));
        }
    }
    for banned in own.never_names {
        if member.outside.contains(*banned) {
            let what = format!(
                "({}) must not depend on {banned}: such things are arguments here",
                own.floor
            );
            findings.push(Finding::new(&member.name, what));
        }
    }
}

fn why(own: &Place, other: &Place) -> &'static str {
    match (own.floor, other.floor) {
        (Floor::Adapters, Floor::Adapters) => "adapters never depend on each other",
        (Floor::Tools, _) => "this tool is kept apart from it on purpose, see floors.rs",
        (_, Floor::Tools) => "tools are for tests and tasks",
        (own, other) if own == other => "on this floor only the ways in floors.rs are open",
        _ => "arrows point down only",
    }
}

#[cfg(test)]
mod tests {
    use super::super::floors::PLACES;
    use super::*;

    fn member(name: &str, inside: &[&str], outside: &[&str]) -> Member {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Member {
            name: name.to_owned(),
            inside: set(inside),
            outside: set(outside),
            ..Member::default()
        }
    }

    /// A graph with every crate of the table, where the given ones have arrows.
    fn findings(members: Vec<Member>) -> Vec<String> {
        let mut graph = Graph { members };
        for place in PLACES {
            if !graph.members.iter().any(|member| member.name == place.name) {
                graph.members.push(member(place.name, &[], &[]));
            }
        }
        check(&graph, PLACES).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_ways_of_the_design_are_open() {
        let none: [&str; 0] = [];
        let ways = findings(vec![
            member("cutover-plan", &["cutover-model", "cutover-spec"], &["serde"]),
            member(
                "cutover-ports",
                &["cutover-spec", "cutover-analysis", "cutover-model"],
                &["async-trait"],
            ),
            member("cutover-engine", &["cutover-ports", "cutover-plan"], &["tokio"]),
            member(
                "cutover-proxy",
                &["cutover-os", "cutover-ports"],
                &["hyper", "tokio"],
            ),
            member(
                "cutover-target-process",
                &["cutover-os", "cutover-ports"],
                &["nix"],
            ),
            member(
                "cutover",
                &["cutover-proxy", "cutover-store", "cutover-engine", "shop"],
                &["tokio"],
            ),
            member("cutover-sim", &["cutover-engine", "cutover-plan"], &["rand"]),
            member("cutover-e2e", &["cutover-testkit", "shop", "cutover"], &["tokio"]),
        ]);
        assert_eq!(ways, none);
    }

    #[test]
    fn up_is_refused() {
        let up = findings(vec![member("cutover-engine", &["cutover-store"], &[])]);
        assert_eq!(
            up,
            [
                "cutover-engine: (floor 1, core) must not depend on cutover-store (floor 2, adapters): arrows point down only"
            ]
        );
        assert_eq!(
            findings(vec![member("cutover-model", &["cutover-ports"], &[])]).len(),
            1
        );
        assert_eq!(
            findings(vec![member("cutover-proxy", &["cutover"], &[])]).len(),
            1
        );
    }

    #[test]
    fn adapters_never_depend_on_each_other() {
        let across = findings(vec![member("cutover-backup", &["cutover-store"], &[])]);
        assert!(
            across[0].ends_with("adapters never depend on each other"),
            "{across:?}"
        );
    }

    #[test]
    fn a_floor_s_own_order_holds() {
        assert_eq!(
            findings(vec![member("cutover-spec", &["cutover-plan"], &[])]).len(),
            1
        );
        assert_eq!(
            findings(vec![member("cutover-ports", &["cutover-engine"], &[])]).len(),
            1
        );
        assert_eq!(
            findings(vec![member("cutover-engine", &["cutover-db"], &[])]).len(),
            1
        );
    }

    #[test]
    fn tools_stay_out_of_what_ships() {
        assert_eq!(
            findings(vec![member("cutover", &["cutover-testkit"], &[])]).len(),
            1
        );
        assert_eq!(findings(vec![member("cutover-store", &["shop"], &[])]).len(), 1);
        assert_eq!(findings(vec![member("shop", &["cutover-model"], &[])]).len(), 1);
        assert_eq!(
            findings(vec![member("cutover-sim", &["cutover-store"], &[])]).len(),
            1
        );
        assert_eq!(findings(vec![member("xtask", &["cutover-sim"], &[])]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_and_a_place_without_a_crate() {
        let unknown = findings(vec![member("cutover-new", &["cutover-store"], &[])]);
        assert_eq!(unknown.len(), 1);
        assert!(
            unknown[0].starts_with("cutover-new: stands on no floor"),
            "{unknown:?}"
        );

        let empty = check(&Graph::default(), PLACES);
        assert_eq!(empty.len(), PLACES.len());
    }

    #[test]
    fn floor_0_reaches_no_effect_and_names_no_randomness() {
        let mut plan = member("cutover-plan", &[], &["rand"]);
        let way = vec!["helpful".to_owned(), "tokio".to_owned()];
        plan.reaches.insert("tokio".to_owned(), way);
        let found = findings(vec![plan]);
        assert_eq!(
            found,
            [
                "cutover-plan: (floor 0, pure) must not reach tokio, but does: helpful → tokio",
                "cutover-plan: (floor 0, pure) must not depend on rand: such things are arguments here",
            ]
        );
    }

    #[test]
    fn the_engine_knows_no_adapter_not_even_by_its_library() {
        let mut engine = member("cutover-engine", &[], &["rusqlite", "tokio"]);
        engine
            .reaches
            .insert("rusqlite".to_owned(), vec!["rusqlite".to_owned()]);
        assert_eq!(findings(vec![engine]).len(), 1);
    }
}
