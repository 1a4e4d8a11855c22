//! `cutover history`: the upgrades so far, and one of them from beginning to end.

use std::collections::BTreeMap;
use std::path::Path;

use cutover_engine::load;
use cutover_model::{Diagnostic, ExitCode, UpgradeId};
use cutover_ports::{Clock as _, Store as _};

use crate::cli::{History, HistoryCommand};
use crate::context::Context;
use crate::drive;
use crate::failure::{Failure, Outcome};
use crate::render;
use crate::world::SystemClock;

/// How many upgrades an abbreviated id is looked for in.
const MOST: u32 = 10_000;

/// Shorter beginnings of an id would mean the month, not the upgrade.
const SHORTEST: usize = 4;

pub(super) async fn run(ctx: &Context, history: History) -> Outcome {
    match history.command {
        Some(HistoryCommand::Show { id, analysis, chart }) => {
            show(ctx, id.as_deref(), analysis, chart.as_deref()).await
        }
        None => list(ctx, history.most).await,
    }
}

/// The upgrades, newest first.
pub(crate) async fn list(ctx: &Context, most: u32) -> Outcome {
    let heads = ctx.store.upgrades(most).await?;
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(&heads);
    } else {
        let mut notes = BTreeMap::new();
        for head in heads.iter().filter(|head| head.from.as_ref() == Some(&head.to)) {
            if let Some(plan) = ctx.store.plan(&head.id).await? {
                notes.insert(head.id.clone(), render::same_version(&plan));
            }
        }
        let now = SystemClock.now();
        ctx.printer
            .data(&render::history(&heads, &notes, now, ctx.printer.style()));
    }
    Ok(ExitCode::Done)
}

async fn show(ctx: &Context, wanted: Option<&str>, analysis: bool, chart: Option<&Path>) -> Outcome {
    let id = find(ctx, wanted).await?;
    let (plan, records, state) = load(&ctx.store, &id).await?;
    if let Some(to) = chart {
        let (drawn, sentence) = render::decided(&plan, &state).ok_or_else(|| {
            Failure::new(
                "analysis.no-chart",
                format!("nothing was measured in {id}"),
                "cutover history show --analysis",
            )
        })?;
        super::analyze::draw(&drawn, &sentence, to)?;
    }
    if ctx.printer.is_json() {
        let all = serde_json::json!({ "id": id, "plan": plan, "records": records });
        ctx.printer.json_stored(&all);
        return Ok(ExitCode::Done);
    }
    ctx.printer.data(&render::story(
        &id,
        &plan,
        &records,
        analysis,
        ctx.printer.style(),
    ));
    ctx.printer.data("\n");
    drive::show(ctx, &id).await?;
    Ok(ExitCode::Done)
}

/// The upgrade with this id, or the only one whose id begins so; without a word the latest.
async fn find(ctx: &Context, wanted: Option<&str>) -> Result<UpgradeId, Failure> {
    let heads = ctx.store.upgrades(MOST).await?;
    let Some(wanted) = wanted else {
        let latest = heads.into_iter().next();
        return latest.map(|head| head.id).ok_or_else(|| {
            Failure::new(
                "upgrade.unknown",
                "no upgrade is recorded yet",
                "cutover upgrade VERSION",
            )
        });
    };
    let mut found = heads
        .into_iter()
        .filter(|head| head.id.as_str() == wanted || (wanted.len() >= SHORTEST && matches(&head.id, wanted)));
    match (found.next(), found.next()) {
        (Some(head), None) => Ok(head.id),
        (None, _) => Err(Failure::new(
            "upgrade.unknown",
            format!("there is no upgrade {wanted}"),
            "cutover history",
        )),
        (Some(first), Some(second)) => Err(Diagnostic::error(
            "upgrade.ambiguous",
            format!("{wanted} may be {} or {}", first.id, second.id),
        )
        .help("cutover history")
        .into()),
    }
}

/// By its beginning, or by its end: upgrades of one hour begin alike.
fn matches(id: &UpgradeId, wanted: &str) -> bool {
    id.as_str().starts_with(wanted) || id.as_str().ends_with(wanted)
}
