//! `--database` and `--trace`: what a live database says of the files.

use cutover_db::DatabaseUrl;
use cutover_migrate::{Traced, Went, live_schema, trace};
use cutover_model::{Diagnostic, ExitCode, Severity};
use cutover_sql::lint::Prior;
use cutover_sql::{Dialect, split};
use serde_json::json;

use super::lint::{HELP, Source};
use crate::failure::{Failure, Outcome};
use crate::render::{self, Printer};

/// Where it is; what cannot be read of it never shows a password.
pub(super) fn url(text: &str) -> Result<DatabaseUrl, Failure> {
    text.parse()
        .map_err(|error: cutover_db::DbError| Failure::usage(vec![error.diagnostic()]))
}

/// Its schema and the sizes of its tables.
pub(super) async fn prior(url: &DatabaseUrl) -> Result<Prior, Failure> {
    let live = live_schema(url).await?;
    let mut prior = Prior::from_text(url.dialect(), &live.statements);
    prior.sizes(url.dialect(), &live.rows);
    Ok(prior)
}

/// Runs all statements in a transaction that is rolled back, and shows what each did.
pub(super) async fn run(printer: &Printer, url: &DatabaseUrl, sources: &[Source]) -> Outcome {
    let mut all = Vec::new();
    for source in sources {
        let statements = split(Dialect::Postgres, &source.text).map_err(|error| {
            let message = format!("{}: {}", source.name, error.problem);
            Failure::usage(vec![Diagnostic::error("lint.unreadable", message).help(HELP)])
        })?;
        all.extend(
            statements
                .into_iter()
                .map(|statement| (source.name.as_str(), statement)),
        );
    }
    let statements: Vec<_> = all.iter().map(|(_, statement)| statement.clone()).collect();
    let traced = trace(url, &statements).await?;
    let failed = traced.iter().any(|one| matches!(one.went, Went::Failed(_)));
    if printer.is_json() {
        let all: Vec<_> = all
            .iter()
            .zip(&traced)
            .map(|((file, _), one)| json!({ "file": file, "trace": one }))
            .collect();
        printer.json_pretty(&json!({ "statements": all }));
    } else {
        let mut file = "";
        for ((name, _), one) in all.iter().zip(&traced) {
            if *name != file {
                file = name;
                printer.data(&format!("{file}\n"));
            }
            printer.data(&told(one));
        }
        printer.data("  rolled back: nothing of this is left\n");
    }
    if failed {
        let found = Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(
                "lint.not-traced",
                "a statement failed, and nothing after it was tried",
            )
        };
        printer.talk(&render::diagnostics(
            &[found.help("cutover migrate lint FILE")],
            &printer.talk_style(),
        ));
        return Ok(ExitCode::Findings);
    }
    Ok(ExitCode::Done)
}

/// One statement: its first line, how long it took, and what it held.
fn told(one: &Traced) -> String {
    let first = one.statement.lines().next().unwrap_or_default();
    let mut out = match &one.went {
        Went::Ran => format!("  {first}\n    took         {}\n", one.took),
        Went::NotTried(why) => format!("  {first}\n    not tried    {why}\n"),
        Went::Failed(why) => format!("  {first}\n    failed       {why}\n"),
    };
    for lock in &one.locks {
        out.push_str(&format!(
            "    locks        {} {} until the end, {} later\n",
            lock.table, lock.mode, one.held
        ));
    }
    for table in &one.rewritten {
        out.push_str(&format!("    writes anew  {table}\n"));
    }
    for table in &one.read {
        out.push_str(&format!("    reads        {table}, all of it\n"));
    }
    out
}
