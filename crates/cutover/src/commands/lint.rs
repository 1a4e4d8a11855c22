//! `cutover migrate lint` and `cutover migrate rules`: what migrations would do, without a database.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use cutover_db::DatabaseUrl;
use cutover_model::{Diagnostic, ExitCode, Severity};
use cutover_sql::lint::{Finding, Input, Prior, RULES, Rule, lint};
use cutover_sql::{Dialect, locate};
use serde_json::json;

use super::lint_allow::Project;
use super::lint_trace;
use crate::cli::{Globals, LintDialect, LintFormat, LintWeight, MigrateLint};
use crate::failure::{Failure, Outcome};
use crate::render::{self, Printer};

pub(super) const HELP: &str = "cutover migrate lint --help";

impl From<LintDialect> for Dialect {
    fn from(word: LintDialect) -> Self {
        match word {
            LintDialect::Postgres => Self::Postgres,
            LintDialect::Mysql => Self::Mysql,
            LintDialect::Mariadb => Self::MariaDb,
            LintDialect::Sqlite => Self::Sqlite,
            LintDialect::Mongodb => Self::MongoDb,
        }
    }
}

impl From<LintWeight> for Severity {
    fn from(word: LintWeight) -> Self {
        match word {
            LintWeight::Error => Self::Error,
            LintWeight::Warning => Self::Warning,
            LintWeight::Note => Self::Note,
        }
    }
}

/// A text to lint, under the name that people know it by.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

pub(super) async fn run(globals: &Globals, printer: &Printer, command: &MigrateLint) -> Outcome {
    let url = command.database.as_deref().map(lint_trace::url).transpose()?;
    if let Some(url) = url.as_ref().filter(|_| command.trace) {
        return lint_trace::run(printer, url, &sources(command)?).await;
    }
    // A database knows whose SQL it speaks.
    let dialect = url
        .as_ref()
        .map_or_else(|| Dialect::from(command.dialect), DatabaseUrl::dialect);
    let mut prior = match &url {
        Some(url) => lint_trace::prior(url).await?,
        None => prior(command, dialect)?,
    };
    if let Some(folder) = &command.fix {
        return super::lint_fix::run(globals, printer, command, folder, dialect, &prior);
    }
    let mut sources = sources(command)?;
    let mut findings = Vec::new();
    let mut statements = 0;
    // Of MongoDB's files.
    let mut collections = Prior::default();
    for source in &sources {
        let dialect = dialect_of(&source.name, dialect);
        let before = if dialect == Dialect::MongoDb {
            &mut collections
        } else {
            &mut prior
        };
        let linted = lint(&Input {
            dialect,
            version: command.pg_version.or(command.db_version),
            prior: before,
            file: &source.name,
            source: &source.text,
            transaction: command.transaction,
        });
        findings.extend(linted.findings);
        statements += linted.statements;
        *before = linted.after;
    }
    // A text without a file belongs to no project.
    let project = if command.stdin {
        None
    } else {
        Project::open(globals)?
    };
    if let Some(mut project) = project {
        project.leave_out(&mut findings)?;
        let unused = project.unused(&command.files, &sources)?;
        if !unused.is_empty() {
            findings.extend(unused);
            sources.push(project.into_source());
        }
    }
    if let Some(baseline) = &command.baseline {
        leave_out_known(baseline, &mut findings)?;
    }
    if let Some(revision) = &command.since {
        let changed = changed(revision)?;
        findings.retain(|finding| is_among(Path::new(&finding.file), &changed));
    }
    show(printer, command.format, &sources, &findings, statements);
    let fail_on = Severity::from(command.fail_on);
    Ok(if findings.iter().any(|finding| finding.severity >= fail_on) {
        ExitCode::Findings
    } else {
        ExitCode::Done
    })
}

/// What is there before.
fn prior(command: &MigrateLint, dialect: Dialect) -> Result<Prior, Failure> {
    let mut prior = Prior::default();
    if let Some(setup) = &command.setup {
        prior.fold(dialect, &read(setup)?);
    }
    Ok(prior)
}

fn unreadable(path: &Path, cause: impl std::fmt::Display) -> Failure {
    let found = Diagnostic::error(
        "lint.unreadable",
        format!("cannot read {}: {cause}", path.display()),
    );
    Failure::usage(vec![found.help(HELP)])
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, error))
}

/// Removes what a former report has: the same rule at the same statement of the same file, wherever that stands now.
fn leave_out_known(path: &Path, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let value: serde_json::Value =
        serde_json::from_str(&read(path)?).map_err(|error| unreadable(path, error))?;
    let Some(known) = value["findings"].as_array() else {
        return Err(unreadable(path, "it has no `findings`"));
    };
    findings.retain(|finding| {
        !known.iter().any(|one| {
            one["rule"] == finding.rule.as_str()
                && one["file"] == finding.file.as_str()
                && one["statement"] == finding.statement.as_str()
        })
    });
    Ok(())
}

/// The files that differ from a revision, or are new, as git names them from the top of the working tree.
fn changed(revision: &str) -> Result<Vec<PathBuf>, Failure> {
    let git = |arguments: &[&str]| -> Result<String, Failure> {
        let refuse = |cause: String| {
            let message = format!("git cannot tell what changed since {revision}: {cause}");
            Failure::usage(vec![Diagnostic::error("lint.no-revision", message).help(HELP)])
        };
        let ran = std::process::Command::new("git")
            .args(arguments)
            .output()
            .map_err(|error| refuse(error.to_string()))?;
        if ran.status.success() {
            Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
        } else {
            Err(refuse(String::from_utf8_lossy(&ran.stderr).trim().to_owned()))
        }
    };
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?.trim_end());
    let differing = git(&["diff", "--name-only", "-z", "--end-of-options", revision, "--"])?;
    let new = git(&["ls-files", "--others", "--exclude-standard", "--full-name", "-z"])?;
    Ok(differing
        .split('\0')
        .chain(new.split('\0'))
        .filter(|name| !name.is_empty())
        .map(|name| top.join(name))
        .collect())
}

fn is_among(file: &Path, changed: &[PathBuf]) -> bool {
    std::fs::canonicalize(file).is_ok_and(|file| changed.contains(&file))
}

pub(super) fn sources(command: &MigrateLint) -> Result<Vec<Source>, Failure> {
    if command.stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| unreadable(Path::new("standard input"), error))?;
        return Ok(vec![Source {
            name: "stdin".to_owned(),
            text,
        }]);
    }
    if command.files.is_empty() {
        let found = Diagnostic::error(
            "lint.unreadable",
            "nothing to lint: name files or folders, or --stdin",
        );
        return Err(Failure::usage(vec![found.help(HELP)]));
    }
    let mut out = Vec::new();
    for path in &command.files {
        for path in files(path)? {
            out.push(Source {
                text: read(&path)?,
                name: path.display().to_string(),
            });
        }
    }
    Ok(out)
}

/// Whose statements a file holds: its name says it of MongoDB's.
pub(super) fn dialect_of(name: &str, other: Dialect) -> Dialect {
    if name.ends_with(".json") {
        Dialect::MongoDb
    } else {
        other
    }
}

/// A file itself; of a folder the files that go forward, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, error))?;
    let mut out = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(path, error))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_sql = name.ends_with(".sql") && !name.ends_with(".down.sql") && !name.starts_with('U');
        if is_sql || name.ends_with(".up.json") {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

fn show(
    printer: &Printer,
    format: Option<LintFormat>,
    sources: &[Source],
    findings: &[Finding],
    statements: usize,
) {
    match format {
        Some(LintFormat::Sarif) => printer.json_stored(&render::sarif(findings)),
        Some(LintFormat::Github) => printer.data(&render::github(findings)),
        Some(LintFormat::Gitlab) => printer.json_stored(&render::gitlab(findings)),
        Some(LintFormat::Junit) => {
            let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            printer.data(&render::junit(&names, findings));
        }
        None if printer.is_json() => printer.json_pretty(&json!({ "findings": findings })),
        None => {
            let shown: Vec<Diagnostic> = findings
                .iter()
                .map(|finding| diagnostic(sources, finding))
                .collect();
            printer.data(&render::diagnostics(&shown, printer.style()));
            if shown.is_empty() {
                let noun = if statements == 1 {
                    "statement"
                } else {
                    "statements"
                };
                printer.data(&format!("  ✓ {statements} {noun}, nothing found\n"));
            }
        }
    }
}

pub(super) fn diagnostic(sources: &[Source], finding: &Finding) -> Diagnostic {
    let text = sources
        .iter()
        .find(|source| source.name == finding.file)
        .map_or("", |source| source.text.as_str());
    let at = locate(&finding.file, text, finding.span.start, finding.span.len());
    let mut found = Diagnostic {
        severity: finding.severity,
        ..Diagnostic::error(finding.rule.clone(), finding.message.clone())
    }
    .at(at)
    .note("family", finding.family.word())
    .note("instead", finding.help.clone());
    if let Some(fix) = &finding.fix {
        found = found.note("write", fix.clone());
    }
    found.help(format!("cutover migrate rules {}", finding.rule))
}

pub(super) fn rules(printer: &Printer, name: Option<&str>, page: bool) -> Outcome {
    if page {
        printer.data(&render::rules_page(RULES));
        return Ok(ExitCode::Done);
    }
    let Some(name) = name else {
        if printer.is_json() {
            let all: Vec<_> = RULES.iter().map(|rule| as_json(rule)).collect();
            printer.json_pretty(&json!({ "rules": all }));
        } else {
            printer.data(&render::rule_list(RULES));
        }
        return Ok(ExitCode::Done);
    };
    let Some(rule) = RULES.iter().find(|rule| rule.id == name) else {
        let found = Diagnostic::error("lint.unknown-rule", format!("there is no rule named `{name}`"));
        return Err(Failure::usage(vec![found.help("cutover migrate rules")]));
    };
    if printer.is_json() {
        printer.json_pretty(&as_json(rule));
    } else {
        printer.data(&render::rule_page(rule));
    }
    Ok(ExitCode::Done)
}

fn as_json(rule: &Rule) -> serde_json::Value {
    let databases: Vec<&str> = rule.dialects.iter().map(|dialect| dialect.word()).collect();
    json!({
        "rule": rule.id,
        "family": rule.family,
        "severity": rule.severity,
        "databases": databases,
        "summary": rule.summary,
        "why": rule.why,
        "instead": rule.safe,
    })
}
