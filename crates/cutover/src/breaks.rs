//! What the files of a release would do to the one before it, which still runs while they do: an expand or backfill that drops
//! or renames what the old version uses is refused before anything is planned.
//!
//! Every object of the old release's schema counts as used. Whoever knows better says so at the statement, with the reason
//! (`-- cutover-lint: ignore drop-column reason=…`), or in `databases.NAME.lint.allow`.

use cutover_migrate::from_files;
use cutover_model::{DatabaseName, Diagnostic, MigrationPhase, Severity, Version};
use cutover_spec::{Application, Release, StoredFile};
use cutover_sql::lint::{Finding, Input, Lifted, Prior, RULES, lint};
use cutover_sql::{Dialect, locate};

/// What of a release would break the one that runs, for each of its databases.
pub(crate) fn breaks(
    release: &Release,
    current: &Release,
    dialect: impl Fn(&DatabaseName) -> Option<Dialect>,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for (name, files) in &release.files {
        if let (Some(dialect), Some(old)) = (dialect(name), current.files.get(name)) {
            let allowed = allowed(&release.application, name, &release.version);
            out.extend(of_database(name, dialect, old, files, allowed));
        }
    }
    out
}

/// What files of one database would break. Those that cannot be read are somebody else's to refuse.
pub(crate) fn of_database(
    name: &DatabaseName,
    dialect: Dialect,
    old: &[StoredFile],
    new: &[StoredFile],
    allowed: impl Fn(&Finding) -> bool,
) -> Vec<Diagnostic> {
    let (Ok(old), Ok(new)) = (from_files(name, old, dialect), from_files(name, new, dialect)) else {
        return Vec::new();
    };
    let mut prior = Prior::default();
    for file in &old {
        prior.fold(dialect, &file.up.text);
    }
    let mut out = Vec::new();
    let brought = new
        .iter()
        .filter(|file| !old.iter().any(|one| one.migration.id == file.migration.id));
    for file in brought {
        let linted = lint(&Input {
            dialect,
            version: None,
            prior: &prior,
            file: &file.up.name,
            source: &file.up.text,
            transaction: Some(file.up.transaction),
        });
        if file.migration.phase != MigrationPhase::Contract {
            let breaking = linted
                .findings
                .iter()
                .filter(|finding| is_breaking(finding) && !allowed(finding));
            out.extend(breaking.map(|finding| refused(finding, &file.up.text, file.migration.phase)));
        }
        prior = linted.after;
    }
    out
}

/// What `cutover.yaml` lets pass in the files of a database.
pub(crate) fn allowed(
    application: &Application,
    name: &DatabaseName,
    version: &Version,
) -> impl Fn(&Finding) -> bool {
    let database = application.databases.get(name);
    let place = database
        .and_then(|database| database.migrations.as_deref())
        .unwrap_or_default();
    let place = place.replace("{version}", &version.to_string());
    move |finding| {
        let path = format!("{}/{}", place.trim_end_matches('/'), finding.file);
        database.is_some_and(|database| database.lint.allows(&finding.rule, &path).is_some())
    }
}

/// What waits for a contract, and is sure.
fn is_breaking(finding: &Finding) -> bool {
    finding.severity == Severity::Error
        && RULES
            .iter()
            .any(|rule| rule.id == finding.rule && rule.lifted == Lifted::Contract)
}

fn refused(finding: &Finding, text: &str, phase: MigrationPhase) -> Diagnostic {
    Diagnostic::error(
        "migrate.breaks-old-version",
        format!(
            "this {phase} runs while the old version does: {}",
            finding.message
        ),
    )
    .at(locate(
        &finding.file,
        text,
        finding.span.start,
        finding.span.len(),
    ))
    .note(
        "phase",
        format!(
            "{phase} as declared, {} by this statement",
            MigrationPhase::Contract
        ),
    )
    .note("rule", format!("{} ({})", finding.rule, finding.family.word()))
    .note("instead", finding.help.clone())
    .help(format!("cutover migrate rules {}", finding.rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> StoredFile {
        StoredFile {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    fn found(new: &str) -> Vec<Diagnostic> {
        let old = [
            file(
                "001_users.up.sql",
                "-- cutover: phase=expand\nCREATE TABLE users (id int, name text);",
            ),
            file("001_users.down.sql", "DROP TABLE users;"),
        ];
        let mut files = old.to_vec();
        files.push(file("002_next.up.sql", new));
        files.push(file("002_next.down.sql", "SELECT 1;"));
        of_database(&"main".parse().unwrap(), Dialect::Postgres, &old, &files, |_| {
            false
        })
    }

    fn codes(new: &str) -> Vec<(String, String)> {
        found(new)
            .into_iter()
            .map(|found| {
                let place = found.location.unwrap();
                (found.code, format!("{}:{}", place.file, place.line))
            })
            .collect()
    }

    #[test]
    fn an_expand_that_drops_what_the_old_version_uses_is_refused() {
        let at = |line: usize| {
            (
                "migrate.breaks-old-version".to_owned(),
                format!("002_next.up.sql:{line}"),
            )
        };
        assert_eq!(
            codes("-- cutover: phase=expand\nALTER TABLE users DROP COLUMN name;"),
            [at(2)]
        );
        assert_eq!(
            codes("-- cutover: phase=expand\n\nALTER TABLE users RENAME name TO full_name;"),
            [at(3)]
        );
        let one = found("-- cutover: phase=backfill\nDROP TABLE users;").remove(0);
        let phases = one.notes.iter().find(|(key, _)| key == "phase").unwrap();
        assert_eq!(phases.1, "backfill as declared, contract by this statement");
    }

    #[test]
    fn a_contract_or_a_reason_lets_it_pass() {
        for fine in [
            "-- cutover: phase=contract retires=2.0.0\nALTER TABLE users DROP COLUMN name;",
            "-- cutover: phase=expand\n-- cutover-lint: ignore drop-column reason=only the exporter read it\n\
             ALTER TABLE users DROP COLUMN name;",
            "-- cutover: retires=2.0.0\nALTER TABLE users DROP COLUMN name;",
            "ALTER TABLE users ADD COLUMN full_name text;",
            "-- cutover: phase=expand\nALTER TABLE users ADD COLUMN full_name text;",
            "-- cutover: phase=expand\nCREATE TABLE scratch (a int); DROP TABLE scratch;",
            "-- cutover: phase=expand\nCREATE INDEX by_name ON users (name);",
        ] {
            assert_eq!(codes(fine), [], "{fine}");
        }
    }
}
