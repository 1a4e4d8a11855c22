//! `cutover migrate sql`, `history`, `baseline` and `repair`: what would be run, what was, and what is recorded of it.

use cutover_migrate::{Act, Direction, LogEntry, MigrationStatus, Reach, Repair, StatusLine};
use cutover_model::{DatabaseName, Diagnostic, ExitCode, MigrationId};
use serde_json::json;

use crate::cli::{MigrateBaseline, MigrateRepair, MigrateSql, MigrateWhich};
use crate::context::Context;
use crate::failure::{Failure, Outcome};

use super::migrate::{Chosen, choose, choose_sound, reachable, so_far};
use super::migrate_lease::{adopt, leased, options};
use super::{confirm, unconfirmed};

pub(super) async fn sql(ctx: &Context, sql: &MigrateSql) -> Outcome {
    let (direction, chosen) = if sql.down {
        (Direction::Down, choose_sound(ctx, &sql.which).await?)
    } else {
        (Direction::Up, choose(ctx, &sql.which).await?)
    };
    let reach = match (sql.to, sql.steps) {
        (Some(number), _) => Reach::To(number),
        (None, Some(steps)) => Reach::Steps(steps),
        // The same as the commands that it is the dry run of.
        (None, None) if sql.down => Reach::Steps(1),
        (None, None) => Reach::All,
    };
    let mut all = Vec::new();
    for name in &chosen.names {
        let text = chosen
            .databases
            .sql(name, direction, reach, sql.contracts)
            .await?;
        all.push((name, text));
    }
    if ctx.printer.is_json() {
        let value: Vec<_> = all
            .iter()
            .map(|(name, text)| json!({ "database": name, "sql": text }))
            .collect();
        ctx.printer.json_stored(&value);
        return Ok(ExitCode::Done);
    }
    for (name, text) in all {
        ctx.printer.data(&format!(
            "-- database {name}, files of {}; nothing was run, and the history is not part of it\n{text}",
            chosen.version
        ));
    }
    Ok(ExitCode::Done)
}

/// What the databases themselves say; no file is needed for it.
pub(super) async fn history(ctx: &Context, which: &MigrateWhich) -> Outcome {
    let (databases, names) = reachable(ctx, which).await?;
    let mut all = Vec::new();
    for name in &names {
        let lines = databases.status(name).await?;
        let unfinished: Vec<_> = lines.into_iter().filter(is_unfinished).collect();
        all.push((name, databases.log(name).await?, unfinished));
    }
    if ctx.printer.is_json() {
        let value: Vec<_> = all
            .iter()
            .map(|(name, entries, unfinished)| {
                json!({ "database": name, "history": entries, "unfinished": unfinished })
            })
            .collect();
        ctx.printer.json_pretty(&value);
        return Ok(ExitCode::Done);
    }
    for (name, entries, unfinished) in &all {
        ctx.printer.data(&format!("{name}\n"));
        for entry in entries {
            ctx.printer.data(&line(entry));
        }
        for line in unfinished {
            ctx.printer.data(&begun(line));
        }
        if entries.is_empty() && unfinished.is_empty() {
            ctx.printer.data("  nothing yet\n");
        }
    }
    Ok(ExitCode::Done)
}

/// The log has what came to its end.
const fn is_unfinished(line: &StatusLine) -> bool {
    matches!(line.status, MigrationStatus::Interrupted { .. })
}

/// What was begun and has not come to its end, in the place of an entry.
fn begun(line: &StatusLine) -> String {
    let MigrationStatus::Interrupted {
        direction,
        done,
        total,
    } = line.status
    else {
        return String::new();
    };
    // While it is taken back, the record keeps when and by whom it was applied.
    let (word, since, by) = match (direction, &line.applied_at, &line.applied_by) {
        (Direction::Up, Some(at), Some(by)) => (Act::Up, format!("{at:.0}"), format!(" by {by}")),
        (Direction::Up, ..) => (Act::Up, String::new(), String::new()),
        (Direction::Down, ..) => (Act::Down, String::new(), String::new()),
    };
    let (word, said) = (word.word(), so_far(direction, done, total, line.rows));
    format!(
        "  {since:<20}  {word:<8} {:<30}{by} {said}\n",
        line.id.to_string()
    )
}

fn line(entry: &LogEntry) -> String {
    let release = entry
        .release
        .as_ref()
        .map_or_else(String::new, |version| format!("  release {version}"));
    let upgrade = entry
        .upgrade
        .as_ref()
        .map_or_else(String::new, |upgrade| format!("  {upgrade}"));
    let detail = entry
        .detail
        .as_ref()
        .map_or_else(String::new, |detail| format!("  ({detail})"));
    format!(
        "  {:.0}  {:<8} {:<30} {} by {}{release}{upgrade}{detail}\n",
        entry.at,
        entry.act.word(),
        entry.id.to_string(),
        entry.took,
        entry.by
    )
}

pub(super) async fn baseline(ctx: &Context, baseline: &MigrateBaseline) -> Outcome {
    let chosen = choose_sound(ctx, &baseline.which).await?;
    let name = only_database(&chosen)?;
    if baseline.adopt {
        adopt(ctx, &chosen).await?;
    }
    let options = options(&chosen.version);
    let count = leased(ctx, &chosen.databases, async |fence| {
        let databases = &chosen.databases;
        match (baseline.from, baseline.to) {
            (Some(tool), to) => databases.import(fence, name, tool, to, &options).await,
            (None, to) => {
                let to = to.unwrap_or_default();
                databases.baseline(fence, name, to, &options).await
            }
        }
    })
    .await?;
    if ctx.printer.is_json() {
        ctx.printer.json_pretty(
            &json!({ "database": name, "recorded": count, "findings": chosen.warnings_of(name) }),
        );
    } else {
        let theirs = match baseline.from {
            Some(tool) => format!("; what {tool} recorded stays as it is"),
            None => String::new(),
        };
        ctx.printer.data(&format!(
            "  ✓ {name}  {count} recorded as applied, none was run{theirs}\n"
        ));
        chosen.warn(ctx);
    }
    Ok(ExitCode::Done)
}

pub(super) async fn repair(ctx: &Context, repair: &MigrateRepair) -> Outcome {
    let chosen = choose_sound(ctx, &repair.which).await?;
    let name = only_database(&chosen)?;
    if repair.adopt {
        adopt(ctx, &chosen).await?;
    }
    let lines = chosen.databases.status(name).await?;
    let id = identify(&lines, &repair.only)?;
    let becomes = match repair.becomes {
        Repair::Checksum => "to be as its file now is",
        Repair::Applied => "as applied, whole",
        Repair::NotApplied => "as not applied",
    };
    let question = format!("Record {id} of {name} {becomes}? Nothing is run.");
    if !confirm(&ctx.globals, &ctx.printer, &question) {
        return Err(unconfirmed(
            &ctx.globals,
            "what is recorded would be changed, and nobody said yes",
        ));
    }
    let options = options(&chosen.version);
    leased(ctx, &chosen.databases, async |fence| {
        chosen
            .databases
            .repair(fence, name, &id, repair.becomes, &options)
            .await
    })
    .await?;
    if ctx.printer.is_json() {
        ctx.printer
            .json_pretty(&json!({ "database": name, "migration": id.to_string() }));
    } else {
        ctx.printer
            .data(&format!("  ✓ {name}  {id}  recorded {becomes}\n"));
    }
    Ok(ExitCode::Done)
}

/// Records are changed of one database at a time.
fn only_database(chosen: &Chosen) -> Result<&DatabaseName, Failure> {
    match chosen.names.as_slice() {
        [name] => Ok(name),
        names => {
            let known: Vec<&str> = names.iter().map(DatabaseName::as_str).collect();
            Err(
                Diagnostic::error("usage.which-database", "which database is meant is not clear")
                    .note("known", known.join(", "))
                    .help("cutover migrate status --database NAME")
                    .into(),
            )
        }
    }
}

/// The one migration that is meant by a number or a name.
fn identify(lines: &[StatusLine], text: &str) -> Result<MigrationId, Failure> {
    let number = text.parse::<u64>().ok();
    let former = lines.iter().filter_map(|line| match &line.status {
        MigrationStatus::Renamed { from } => Some(from),
        _ => None,
    });
    let found: Vec<&MigrationId> = lines
        .iter()
        .map(|line| &line.id)
        .filter(|id| Some(id.number) == number || id.to_string() == text)
        .chain(former.filter(|id| id.to_string() == text))
        .collect();
    match found.as_slice() {
        [id] => Ok((*id).clone()),
        _ => Err(Failure::new(
            "migrate.unknown-number",
            format!("`{text}` is not one migration of files or history"),
            "cutover migrate status",
        )),
    }
}
