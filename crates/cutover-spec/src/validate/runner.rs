//! Databases that another tool migrates: its commands, and where they are run.

use cutover_model::{DatabaseName, ServiceName, Span};

use crate::findings::Findings;
use crate::{Application, Database, Runner};

pub(super) fn check(
    application: &Application,
    name: &DatabaseName,
    database: &Database,
    findings: &mut Findings<'_>,
) {
    let Some(runner) = &database.runner else { return };
    let at = format!("databases.{name}.runner");
    if database.migrations.is_some() {
        findings
            .key_error(
                "spec.conflict",
                &at,
                format!("`{name}` has a folder of migrations and another tool that migrates it"),
            )
            .label("keep one of `migrations` and `runner`");
    }
    if database.recycle_connections {
        findings
            .error(
                "spec.no-effect",
                &format!("databases.{name}.recycleConnections"),
                "what another tool changes is not read, so no connections are renewed for it",
            )
            .label("leave it out, or bring the migrations as files");
    }
    for (key, is_set) in [
        ("statementTimeout", database.statement_timeout.is_some()),
        ("lockTimeout", database.lock_timeout.is_some()),
        ("lockTries", database.lock_tries.is_some()),
    ] {
        if is_set {
            findings
                .error(
                    "spec.no-effect",
                    &format!("databases.{name}.{key}"),
                    "what another tool sends to the database is its own",
                )
                .label("leave it out: `runner.timeout` bounds the tool's commands");
        }
    }
    commands(&at, runner, findings);
    if runner.timeout == Span::ZERO {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.timeout"),
                "no command ends in no time",
            )
            .label("such as `10m`");
    }
    for (variable, value) in &runner.environment {
        let path = format!("{at}.environment.{variable}");
        super::environment::variable(application, &path, variable, value, findings);
    }
    place(application, name, &at, runner, findings);
}

fn commands(at: &str, runner: &Runner, findings: &mut Findings<'_>) {
    if runner.up.is_empty() && runner.preset.is_none() {
        findings
            .error("spec.missing-key", at, "what applies the migrations is missing")
            .label("add `up: [alembic, upgrade, head]`, or `preset: alembic`");
    }
    for (key, command) in [
        ("up", &runner.up),
        ("down", &runner.down),
        ("current", &runner.current),
    ] {
        let path = format!("{at}.{key}");
        if command.first().is_some_and(String::is_empty) {
            findings.error("spec.invalid-value", &path, "there is no program to start");
        }
        let instead = "the address is in DATABASE_URL; give others under `environment`";
        super::environment::no_references(&path, command, instead, findings);
    }
    let known = runner.commands();
    let Some(down) = &known.down else { return };
    let path = format!("{at}.down");
    if known.current.is_none() {
        findings
            .error(
                "spec.missing-key",
                at,
                "`down` goes back to where `current` says that the schema was, and there is no `current`",
            )
            .label("add `current`, such as `[alembic, current]`");
    }
    if !down.iter().any(|word| word.contains("{revision}")) {
        findings
            .error("spec.invalid-value", &path, "it does not say where to go back to")
            .label("one of its arguments must hold `{revision}`");
    }
}

fn place(
    application: &Application,
    name: &DatabaseName,
    at: &str,
    runner: &Runner,
    findings: &mut Findings<'_>,
) {
    if runner.place.is_none() {
        if runner.service.is_some() {
            findings
                .warning(
                    "spec.no-effect",
                    &format!("{at}.service"),
                    "a service counts only where the commands are run in it",
                )
                .label("add `in: candidate`");
        }
        return;
    }
    if runner.directory.is_some() {
        findings
            .error(
                "spec.conflict",
                &format!("{at}.directory"),
                "`in: candidate` runs the commands in the service's folder, and this is another",
            )
            .label("keep one of `in` and `directory`");
    }
    if let Some(service) = &runner.service {
        let names = application.services.keys().map(ServiceName::as_str);
        super::known(
            findings,
            &format!("{at}.service"),
            "service",
            service.as_str(),
            names,
        );
        return;
    }
    let users: Vec<&str> = application
        .services
        .iter()
        .filter(|(_, service)| service.databases.contains(name))
        .map(|(name, _)| name.as_str())
        .collect();
    if users.len() != 1 {
        let said = if users.is_empty() {
            "no service says that it uses".to_owned()
        } else {
            format!("{} use", users.join(", "))
        };
        findings
            .error(
                "spec.missing-key",
                at,
                format!("which service the commands are run in is not clear: {said} `{name}`"),
            )
            .label("add `service: NAME`");
    }
}
