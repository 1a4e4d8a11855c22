//! Which backups may go. Pure.

use std::collections::BTreeSet;

use cutover_model::UpgradeId;

use crate::Manifest;

/// Of one database's backups, those beyond the newest `keep`: never the newest of all, never one of an upgrade that is
/// not finished.
pub(crate) fn to_prune<'a>(
    backups: &'a [Manifest],
    keep: u32,
    unfinished: &BTreeSet<UpgradeId>,
) -> Vec<&'a Manifest> {
    let mut newest_first: Vec<&Manifest> = backups.iter().collect();
    newest_first.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    newest_first
        .into_iter()
        .skip(usize::try_from(keep.max(1)).unwrap_or(usize::MAX))
        .filter(|backup| {
            backup
                .upgrade
                .as_ref()
                .is_none_or(|upgrade| !unfinished.contains(upgrade))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, FORMAT};
    use cutover_model::Timestamp;

    fn backup(second: i64, upgrade: &str) -> Manifest {
        Manifest {
            format: FORMAT,
            id: format!("main-{second}"),
            database: "main".parse().unwrap(),
            engine: Engine::Sqlite,
            server: String::new(),
            source: String::new(),
            file: String::new(),
            created_at: Timestamp::from_second(second).unwrap(),
            bytes: 0,
            sha256: String::new(),
            upgrade: Some(UpgradeId::new(upgrade)),
            store: None,
            generation: None,
            tool: String::new(),
            rows: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn the_newest_and_those_in_use_stay() {
        let all = [backup(3, "c"), backup(1, "a"), backup(2, "b"), backup(4, "d")];
        let pruned = |keep, unfinished: &[&str]| {
            let unfinished = unfinished.iter().map(|id| UpgradeId::new(*id)).collect();
            let ids = to_prune(&all, keep, &unfinished);
            ids.into_iter().map(|found| found.id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(pruned(2, &[]), ["main-2", "main-1"]);
        assert_eq!(pruned(2, &["a"]), ["main-2"]);
        assert_eq!(pruned(0, &[]), ["main-3", "main-2", "main-1"]);
        assert!(pruned(4, &[]).is_empty());
    }
}
