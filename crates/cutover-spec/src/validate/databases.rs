//! Databases: an address of a kind that can be migrated.

use cutover_model::{DatabaseName, Span};
use cutover_sql::lint::RULES;

use crate::findings::Findings;
use crate::lint::matcher;
use crate::reference::{Reference, invalid_references, references};
use crate::{Application, Database, LintException, spelling};

const SUPPORTED: &str = "SQLite (`sqlite:path`), PostgreSQL (`postgres://…`), MariaDB (`mariadb://…`), MySQL (`mysql://…`) and MongoDB (`mongodb://…`)";

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    for (name, database) in &application.databases {
        let path = format!("databases.{name}.url");
        super::environment::references_of(application, &path, &database.url, findings);
        address(&path, &database.url, findings);
        if database.migrations.as_deref().is_some_and(str::is_empty) {
            findings
                .error(
                    "spec.invalid-value",
                    &format!("databases.{name}.migrations"),
                    "the folder of migrations is empty text",
                )
                .label("leave the key out for a database without migrations");
        }
        super::runner::check(application, name, database, findings);
        patience(name, database, findings);
        for (placeholder, value) in &database.placeholders {
            let path = format!("databases.{name}.placeholders.{placeholder}");
            if !is_placeholder(placeholder) {
                findings
                    .key_error(
                        "spec.invalid-value",
                        &path,
                        format!("`{placeholder}` cannot be the name of a placeholder"),
                    )
                    .label("a letter or `_`, then letters, digits, `_`, `-` and `.`");
            }
            super::environment::references_of(application, &path, value, findings);
        }
        for (at, allowed) in database.lint.allow.iter().enumerate() {
            allow(&format!("databases.{name}.lint.allow[{at}]"), allowed, findings);
        }
    }
}

/// How long statements run and locks are waited for.
fn patience(name: &DatabaseName, database: &Database, findings: &mut Findings<'_>) {
    for (key, span, least) in [
        (
            "statementTimeout",
            database.statement_timeout,
            "no statement ends in no time",
        ),
        ("lockTimeout", database.lock_timeout, "no lock is had in no time"),
    ] {
        if span == Some(Span::ZERO) {
            findings
                .error("spec.invalid-value", &format!("databases.{name}.{key}"), least)
                .label("such as `10s`; leave it out for the default");
        }
    }
}

/// A rule that there is, and a reason.
fn allow(path: &str, allowed: &LintException, findings: &mut Findings<'_>) {
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    if !rules.contains(&allowed.rule.as_str()) {
        let label = spelling::suggestion(&allowed.rule, &rules)
            .unwrap_or_else(|| "`cutover migrate rules` lists them".to_owned());
        findings
            .error(
                "spec.unknown-reference",
                &format!("{path}.rule"),
                format!("the linter has no rule named `{}`", allowed.rule),
            )
            .label(label);
    }
    if allowed.reason.trim().is_empty() {
        findings
            .error(
                "spec.invalid-value",
                &format!("{path}.reason"),
                format!("{} is left out without a reason", allowed.rule),
            )
            .label("say why it does not hold here");
    }
    for (at, pattern) in allowed.paths.iter().enumerate() {
        if pattern.trim().is_empty() {
            findings
                .error(
                    "spec.invalid-value",
                    &format!("{path}.paths[{at}]"),
                    "an empty pattern fits no file",
                )
                .label("such as `004_*.up.sql`");
        } else if let Err(error) = matcher(pattern) {
            findings
                .error(
                    "spec.invalid-value",
                    &format!("{path}.paths[{at}]"),
                    format!("`{pattern}` is no pattern of file names"),
                )
                .label(error.kind().to_string());
        }
    }
}

fn is_placeholder(name: &str) -> bool {
    let is_rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_rest)
}

fn address(path: &str, url: &str, findings: &mut Findings<'_>) {
    if url.starts_with("${") {
        // The whole address is somewhere else: its kind is known when it is used.
        if let Some(Reference::ServiceUrl(_)) = references(url).first() {
            findings.error(
                "spec.invalid-value",
                path,
                "the address of a service is none of a database",
            );
        }
        return;
    }
    let Some((scheme, rest)) = url.split_once(':') else {
        findings
            .error(
                "spec.invalid-value",
                path,
                "this is no address of a database: its kind is missing",
            )
            .label("such as `sqlite:shop.db` or `${env:DATABASE_URL}`");
        return;
    };
    match scheme {
        "sqlite" if rest.trim_start_matches('/').is_empty() => {
            findings
                .error(
                    "spec.invalid-value",
                    path,
                    "the path of the SQLite file is missing",
                )
                .label("such as `sqlite:shop.db`");
        }
        "sqlite" if rest.starts_with(":memory:") => {
            findings.error(
                "spec.invalid-value",
                path,
                "a database in memory is another one for each process: migrations would be lost",
            );
        }
        "sqlite" => {}
        "postgres" | "postgresql" | "mysql" | "mariadb" | "mongodb" | "mongodb+srv"
            if !rest.starts_with("//") =>
        {
            findings
                .error(
                    "spec.invalid-value",
                    path,
                    "the address of the database is not a URL",
                )
                .label(format!("such as `{scheme}://user@host/name`"));
        }
        "postgres" | "postgresql" | "mysql" | "mariadb" | "mongodb" | "mongodb+srv" => {
            plain_password(path, rest, findings);
        }
        other => {
            findings
                .error(
                    "spec.invalid-value",
                    path,
                    format!("`{other}` is no kind of database that is known"),
                )
                .maybe_label(
                    spelling::nearest(
                        other,
                        ["sqlite", "postgres", "postgresql", "mariadb", "mysql", "mongodb"],
                    )
                    .map(|near| format!("did you mean `{near}`?")),
                )
                .note("supported", SUPPORTED);
        }
    }
}

/// A password that everyone who reads the file knows.
fn plain_password(path: &str, rest: &str, findings: &mut Findings<'_>) {
    let authority = rest.trim_start_matches('/').split(['/', '?']).next();
    let password = authority
        .and_then(|authority| authority.rsplit_once('@'))
        .and_then(|(user, _)| user.split_once(':'))
        .map(|(_, password)| password);
    if let Some(password) = password
        && !password.is_empty()
        && references(password).is_empty()
        && invalid_references(password).is_empty()
    {
        findings
            .warning(
                "spec.plain-secret",
                path,
                "the password of this database stands in the file, and so in every copy of it",
            )
            .label("use `${env:DATABASE_URL}` or `${file:path}`");
    }
}
