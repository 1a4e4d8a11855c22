//! `cutover history`: the upgrades, newest first.

use std::collections::BTreeMap;

use cutover_model::{Span, Timestamp, UpgradeId, UpgradePhase};
use cutover_ports::UpgradeHead;

use super::style::Style;
use super::text::{Line, Page, Tone, columns};
use super::words;

/// A table of upgrades; `same` says what changed where the version did not.
pub(crate) fn history(
    heads: &[UpgradeHead],
    same: &BTreeMap<UpgradeId, &str>,
    now: Timestamp,
    style: &Style,
) -> String {
    let mut page = Page::new();
    if heads.is_empty() {
        page.push(Line::new().plain("No upgrade is recorded yet."));
        return page.paint(style);
    }
    let versions = |head: &UpgradeHead| match (same.get(&head.id), &head.from) {
        (Some(change), _) => format!("{}, {change}", head.to),
        (None, Some(from)) => format!("{from} → {}", head.to),
        (None, None) => head.to.to_string(),
    };
    let widest = heads
        .iter()
        .map(|head| columns(&versions(head)))
        .max()
        .unwrap_or(0)
        .clamp(8, 32);
    let phase = 2 + 15 + widest + 2;
    let header = Line::indent(2)
        .plain("upgrade")
        .to(17)
        .plain("versions")
        .to(phase)
        .plain("phase");
    let header = header
        .to(phase + 16)
        .plain("started")
        .right(Tone::Plain, "took", style.edge());
    page.push(Line::new().tone(Tone::Dim, &header.text()));
    for head in heads {
        let tone = match head.phase {
            UpgradePhase::Succeeded => Tone::Plain,
            UpgradePhase::Aborted | UpgradePhase::Failed | UpgradePhase::Stuck => Tone::Wrong,
            UpgradePhase::Pending
            | UpgradePhase::Running
            | UpgradePhase::Paused
            | UpgradePhase::WaitingForGate
            | UpgradePhase::Soaking
            | UpgradePhase::Aborting => Tone::Waiting,
        };
        let until = if head.phase.is_final() {
            head.updated_at
        } else {
            now
        };
        let line = Line::indent(2).tone(Tone::Dim, words::short(&head.id)).to(17);
        let line = line.plain(&super::text::fit(&versions(head), 32)).to(phase);
        let line = line.tone(tone, head.phase.word()).to(phase + 16);
        let line = line.plain(&words::day(head.created_at, now, style.zone));
        let took = words::took(Span::between(head.created_at, until));
        page.push(line.right(Tone::Dim, &took, style.edge()));
    }
    page.paint(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let head =
            |id: &str, from: Option<&str>, to: &str, phase, created: &str, updated: &str| UpgradeHead {
                id: UpgradeId::new(id),
                from: from.map(|from| from.parse().unwrap()),
                to: to.parse().unwrap(),
                phase,
                created_at: created.parse().unwrap(),
                updated_at: updated.parse().unwrap(),
            };
        let heads = [
            head(
                "0195a2c4-77aa-7b31-9d00-6f0c31d9a401",
                Some("1.1.0"),
                "1.2.0",
                UpgradePhase::WaitingForGate,
                "2026-03-12T15:00:00Z",
                "2026-03-12T15:00:05Z",
            ),
            head(
                "0195a2c3-1f00-7b31-9d00-6f0c31d9a400",
                Some("1.1.0"),
                "1.2.0-rc.1",
                UpgradePhase::Aborted,
                "2026-03-12T14:40:00Z",
                "2026-03-12T14:40:13Z",
            ),
            head(
                "0195a1b4-7c40-7b31-9d00-6f0c31d9a3ff",
                Some("1.1.0"),
                "1.1.0",
                UpgradePhase::Succeeded,
                "2026-03-12T14:20:11Z",
                "2026-03-12T14:20:23Z",
            ),
            head(
                "0195a1b2-7c40-7b31-9d00-6f0c31d9a3ff",
                Some("1.0.0"),
                "1.1.0",
                UpgradePhase::Succeeded,
                "2026-03-11T14:02:11Z",
                "2026-03-12T14:16:13Z",
            ),
            head(
                "01940000-0000-7b31-9d00-6f0c31d9a3fe",
                None,
                "1.0.0",
                UpgradePhase::Succeeded,
                "2025-12-11T14:02:11Z",
                "2025-12-11T14:02:19Z",
            ),
        ];
        let now = "2026-03-12T15:03:00Z".parse().unwrap();
        let same = BTreeMap::from([(heads[2].id.clone(), "restart")]);
        insta::assert_snapshot!(history(&heads, &same, now, &Style::bare()));
        assert_eq!(
            history(&[], &same, now, &Style::bare()),
            "No upgrade is recorded yet.\n"
        );
    }
}
