//! `cutover migrate lint --fix FOLDER`: one file, rewritten into those that do the same while others work.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use cutover_model::{Diagnostic, ExitCode, MigrationPhase, Severity};
use cutover_sql::Dialect;
use cutover_sql::lint::{Finding, FixedFile, Input, Prior, fix};
use serde_json::json;

use super::lint::{Source, diagnostic, sources};
use super::lint_allow::Project;
use crate::cli::{Globals, MigrateLint};
use crate::failure::{Failure, Outcome};
use crate::render::{self, Printer};

const HELP: &str = "cutover migrate lint --fix FOLDER --retires VERSION FILE";

fn refuse(code: &str, message: String) -> Failure {
    Failure::usage(vec![Diagnostic::error(code, message).help(HELP)])
}

/// A file that was written, and where.
struct Written {
    path: PathBuf,
    phase: MigrationPhase,
    text: String,
}

pub(super) fn run(
    globals: &Globals,
    printer: &Printer,
    command: &MigrateLint,
    folder: &Path,
    dialect: Dialect,
    prior: &Prior,
) -> Outcome {
    let found = sources(command)?;
    let [source] = found.as_slice() else {
        let message = format!("--fix rewrites one file at a time, and these are {}", found.len());
        return Err(refuse("lint.not-fixed", message));
    };
    // A text without a file belongs to no project.
    let project = if command.stdin {
        None
    } else {
        Project::open(globals)?
    };
    let allowed = match &project {
        Some(project) => project.allowed(Path::new(&source.name))?,
        None => Vec::new(),
    };
    let input = Input {
        dialect,
        version: command.pg_version.or(command.db_version),
        prior,
        file: &source.name,
        source: &source.text,
        transaction: command.transaction,
    };
    let fixed = fix(&input, &allowed).map_err(|cause| {
        refuse(
            "lint.not-fixed",
            format!("{} is not rewritten: {cause}", source.name),
        )
    })?;
    let contract = fixed
        .files
        .iter()
        .any(|file| file.phase == MigrationPhase::Contract);
    if contract && command.retires.is_none() {
        let message = format!(
            "a part of {} must wait for the old version to be gone: say by --retires which version is the first that can \
             live without it",
            source.name
        );
        return Err(refuse("lint.retires-missing", message));
    }
    let files = named(command, source, folder, &fixed.files);
    write(folder, &files)?;
    show(printer, &files, &fixed.left);
    let fail_on = Severity::from(command.fail_on);
    Ok(if fixed.left.iter().any(|finding| finding.severity >= fail_on) {
        ExitCode::Findings
    } else {
        ExitCode::Done
    })
}

/// `004_orders.up.sql` becomes `004_orders_expand.up.sql`, `005_orders_backfill.up.sql` …; Flyway's `V4__orders.sql` becomes
/// `V4__orders_expand.sql`, `V5__orders_backfill.sql` …
fn named(command: &MigrateLint, source: &Source, folder: &Path, files: &[FixedFile]) -> Vec<Written> {
    let name = Path::new(&source.name).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let stem = name.strip_suffix(".sql").unwrap_or(&name);
    let flyway = stem
        .strip_prefix('V')
        .filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let stem = flyway.unwrap_or_else(|| stem.strip_suffix(".up").unwrap_or(stem));
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = stem.split_at(digits);
    let word = match rest.trim_start_matches('_') {
        "" => "fixed",
        word => word,
    };
    let width = number.len();
    let first: u64 = number.parse().unwrap_or(1);
    let file_name = |number: u64, phase: MigrationPhase| match flyway {
        Some(_) => format!("V{number:0width$}__{word}_{phase}.sql"),
        None => format!("{number:0width$}_{word}_{phase}.up.sql", width = width.max(3)),
    };
    (first..)
        .zip(files)
        .map(|(number, file)| Written {
            path: folder.join(file_name(number, file.phase)),
            phase: file.phase,
            text: file.text(command.retires.as_ref()),
        })
        .collect()
}

/// Nothing is written over: what is there may be somebody's.
fn write(folder: &Path, files: &[Written]) -> Result<(), Failure> {
    let cannot = |path: &Path, cause: &std::io::Error| {
        refuse(
            "lint.unwritable",
            format!("cannot write {}: {cause}", path.display()),
        )
    };
    std::fs::create_dir_all(folder).map_err(|cause| cannot(folder, &cause))?;
    if let Some(taken) = files.iter().find(|file| file.path.exists()) {
        let message = format!(
            "{} is there already, and nothing is written over",
            taken.path.display()
        );
        return Err(refuse("lint.unwritable", message));
    }
    for file in files {
        std::fs::File::create_new(&file.path)
            .and_then(|mut out| out.write_all(file.text.as_bytes()))
            .map_err(|cause| cannot(&file.path, &cause))?;
    }
    Ok(())
}

/// A finding in a new file, with that file's name.
fn placed(files: &[Written], finding: &Finding) -> Finding {
    let file = finding
        .file
        .parse::<usize>()
        .ok()
        .and_then(|at| files.get(at.checked_sub(1)?));
    Finding {
        file: file.map_or_else(|| finding.file.clone(), |file| file.path.display().to_string()),
        ..finding.clone()
    }
}

fn show(printer: &Printer, files: &[Written], left: &[Finding]) {
    let left: Vec<Finding> = left.iter().map(|finding| placed(files, finding)).collect();
    if printer.is_json() {
        let files: Vec<_> = files
            .iter()
            .map(|file| json!({ "file": file.path, "phase": file.phase, "text": file.text }))
            .collect();
        printer.json_pretty(&json!({ "files": files, "findings": left }));
        return;
    }
    for file in files {
        printer.data(&format!("Wrote {}\n", file.path.display()));
    }
    let texts: Vec<Source> = files
        .iter()
        .map(|file| Source {
            name: file.path.display().to_string(),
            text: file.text.clone(),
        })
        .collect();
    let shown: Vec<Diagnostic> = left.iter().map(|finding| diagnostic(&texts, finding)).collect();
    printer.data(&render::diagnostics(&shown, printer.style()));
    if shown.is_empty() {
        printer.talk(
            "Read them, and write reviewed=yes where it says reviewed=no: until then they are refused.\n",
        );
    }
}
