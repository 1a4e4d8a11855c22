//! `cutover migrate diff`, and `cutover migrate new` where it writes the statements, too.

use cutover_migrate::catalog::{Catalog, Change};
use cutover_migrate::{
    Answers, Draft, MigrateDatabases, Question, Rename, Wish, autogenerate, draft_files, drafts_for,
    questions, remarks, renamable,
};
use cutover_model::{DatabaseName, Diagnostic, ExitCode};
use serde_json::json;

use crate::cli::{MigrateNew, MigrateWhich};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::world;

use super::lint::{self, Source};
use super::migrate::choose_sound;

/// Shows how each database differs from what its migrations produce.
pub(super) async fn diff(ctx: &Context, which: &MigrateWhich) -> Outcome {
    let chosen = choose_sound(ctx, which).await?;
    let mut all = Vec::new();
    for name in &chosen.names {
        all.push((name, chosen.databases.drift(name).await?));
    }
    let equal = all.iter().all(|(_, drift)| drift.is_empty());
    if ctx.printer.is_json() {
        let value: Vec<_> = all
            .iter()
            .map(|(name, drift)| {
                let findings = chosen.warnings_of(name);
                let drift: Vec<_> = drift.iter().map(entry).collect();
                json!({ "database": name, "equal": drift.is_empty(), "drift": drift, "findings": findings })
            })
            .collect();
        ctx.printer.json_pretty(&value);
    } else {
        for (name, drift) in &all {
            ctx.printer.data(&text(name, drift));
        }
        chosen.warn(ctx);
    }
    Ok(if equal { ExitCode::Done } else { ExitCode::Findings })
}

fn entry(change: &Change) -> serde_json::Value {
    let shown = change.to_string();
    let mark = shown.chars().next().unwrap_or('~');
    let found = match mark {
        '+' => "added",
        '-' => "missing",
        _ => "changed",
    };
    let rest = shown.get(2..).unwrap_or_default();
    let (what, detail) = rest.split_once("  ").unwrap_or((rest, ""));
    json!({ "found": found, "what": what, "detail": detail })
}

fn text(name: &DatabaseName, drift: &[Change]) -> String {
    if drift.is_empty() {
        return format!("  ✓ {name} is what its migrations produce\n");
    }
    let plural = if drift.len() == 1 {
        "difference"
    } else {
        "differences"
    };
    let mut out = format!(
        "{name}  {} {plural} from what its migrations produce\n",
        drift.len()
    );
    for change in drift {
        out.push_str(&format!("  {change}\n"));
    }
    out.push_str(
        "  + only in the database   - only by the migrations   ~ by the migrations → in the database\n",
    );
    out
}

/// Whether the statements are asked for, too, and not only the files.
pub(super) const fn writes_statements(new: &MigrateNew) -> bool {
    new.autogenerate
        || !new.rename.is_empty()
        || new.split.is_some()
        || new.retype.is_some()
        || new.not_null.is_some()
}

/// Writes a whole set of files.
pub(super) async fn write_set(
    ctx: &Context,
    new: &MigrateNew,
    application: &cutover_spec::Application,
    name: &DatabaseName,
    folder: &std::path::Path,
) -> Outcome {
    let databases = world::database_with_folder(ctx, application, name, folder)?;
    let retires = new.retires.as_ref().unwrap_or(&new.release);
    let from = databases.produced(name).await?;
    let dialect = databases.dialect(name)?;
    let (drafts, left) = if new.autogenerate {
        let answers = Answers {
            renames: new.rename.clone(),
            drops: new.drops.clone(),
        };
        let to = desired(ctx, new, &databases, name).await?;
        let answers = ask(ctx, questions(&from, &to, &answers), answers)?;
        renamable(dialect, &from, &answers.renames)?;
        autogenerate(dialect, &from, &to, &answers.renames, retires)
    } else {
        (drafts_for(dialect, &from, &wish(new), retires)?, Vec::new())
    };
    if drafts.is_empty() {
        ctx.printer
            .talk("Nothing to write: the migrations produce that schema.\n");
    }
    let paths = draft_files(folder, &new.name, &drafts)?;
    remark(ctx, dialect, &from, &drafts, &paths);
    for change in &left {
        let found = Diagnostic::warning("migrate.not-written", format!("write this by hand: {change}")).help(
            format!("cutover migrate new {} --release {}", new.name, new.release),
        );
        ctx.printer
            .talk(&crate::render::diagnostics(&[found], &ctx.printer.talk_style()));
    }
    if ctx.printer.is_json() {
        let left: Vec<String> = left.iter().map(ToString::to_string).collect();
        ctx.printer
            .json_pretty(&json!({ "files": paths, "byHand": left }));
    } else {
        for path in &paths {
            ctx.printer.data(&format!("Wrote {}\n", path.display()));
        }
        if !paths.is_empty() {
            ctx.printer.talk(&told(&drafts));
        }
    }
    Ok(ExitCode::Done)
}

/// What nothing makes better where it stands: told now, and not only when the linter runs.
fn remark(
    ctx: &Context,
    dialect: cutover_sql::Dialect,
    from: &Catalog,
    drafts: &[Draft],
    paths: &[std::path::PathBuf],
) {
    // Each draft is a file for the way up and one for the way down.
    let named = drafts.iter().zip(paths.iter().step_by(2));
    let sources: Vec<Source> = named
        .map(|(draft, path)| Source {
            name: path.display().to_string(),
            text: draft.up_text(),
        })
        .collect();
    let found: Vec<Diagnostic> = remarks(dialect, from, drafts)
        .into_iter()
        .filter_map(|(at, mut finding)| {
            finding.file.clone_from(&sources.get(at)?.name);
            Some(lint::diagnostic(&sources, &finding))
        })
        .collect();
    if !found.is_empty() {
        ctx.printer
            .talk(&crate::render::diagnostics(&found, &ctx.printer.talk_style()));
    }
}

fn told(drafts: &[Draft]) -> String {
    let several = if drafts.len() == 1 {
        "Read it, and write"
    } else {
        "Read them, and write"
    };
    format!("{several} reviewed=yes where it says reviewed=no: until then they are refused.\n")
}

async fn desired(
    ctx: &Context,
    new: &MigrateNew,
    databases: &MigrateDatabases,
    name: &DatabaseName,
) -> Result<Catalog, Failure> {
    let Some(path) = &new.schema else {
        return Err(Failure::new(
            "usage.no-schema",
            "--autogenerate needs the schema that is wanted",
            format!(
                "cutover migrate new {} --release {} --autogenerate --schema schema.sql",
                new.name, new.release
            ),
        ));
    };
    let whole = ctx.folder().join(path);
    let text = std::fs::read_to_string(&whole).map_err(|error| {
        Failure::new(
            "migrate.unreadable",
            format!("cannot read {}: {error}", whole.display()),
            format!("ls {}", path.display()),
        )
    })?;
    Ok(databases
        .desired(name, &path.display().to_string(), &text)
        .await?)
}

/// A rename cannot be told from a drop and an addition: it is asked where somebody can answer, else refused.
fn ask(ctx: &Context, questions: Vec<Question>, mut answers: Answers) -> Result<Answers, Failure> {
    let mut open = Vec::new();
    for question in questions {
        let (message, flags) = match &question {
            Question::Column(Rename { table, from, to }) => (
                format!("is {table}.{from} now {table}.{to}, or is it dropped?"),
                format!("--rename {table}.{from}:{to}   or   --drop {table}.{from}"),
            ),
            Question::Table { from, to } => (
                format!(
                    "{from} is gone and {to} has the same columns: a table is not renamed while two versions run"
                ),
                format!("--drop {from}"),
            ),
        };
        if let (Question::Column(rename), true) = (&question, ctx.printer.can_ask()) {
            ctx.printer.talk(&format!("{message} [rename/drop] "));
            let mut answer = String::new();
            let read = std::io::stdin().read_line(&mut answer);
            match answer.trim() {
                "r" | "rename" if read.is_ok() => {
                    answers.renames.push(rename.clone());
                    continue;
                }
                "d" | "drop" if read.is_ok() => {
                    answers.drops.push(format!("{}.{}", rename.table, rename.from));
                    continue;
                }
                _ => {}
            }
        }
        open.push(
            Diagnostic::error("migrate.rename-unclear", message)
                .note("say", flags)
                .help("cutover migrate new --help"),
        );
    }
    if open.is_empty() {
        Ok(answers)
    } else {
        Err(Failure::usage(open))
    }
}

fn wish(new: &MigrateNew) -> Wish {
    if let Some(split) = &new.split {
        return Wish::Split(split.clone());
    }
    if let Some(retype) = &new.retype {
        return Wish::Retype(retype.clone());
    }
    match &new.not_null {
        Some(column) => Wish::NotNull(column.clone()),
        None => Wish::Rename(new.rename.clone()),
    }
}
