//! Whoever is asked for a metric can be asked.

use cutover_model::{DatabaseName, Provider};

use super::{environment, gates, health, matches};
use crate::Application;
use crate::findings::Findings;
use crate::reference::references;

pub(super) fn check(application: &Application, at: &str, provider: &Provider, findings: &mut Findings<'_>) {
    if let Some((key, address)) = provider.address() {
        let path = format!("{at}.{key}");
        gates::no_login(&path, address, findings);
        if let Some(why) = gates::bad_url(address) {
            findings
                .error(
                    "spec.invalid-value",
                    &path,
                    format!("this is no address that can be asked over HTTP: {why}"),
                )
                .label("such as http://127.0.0.1:9090");
        }
    }
    match provider {
        Provider::Prometheus { headers, timeout, .. } | Provider::Web { headers, timeout, .. } => {
            health::positive(&format!("{at}.timeout"), *timeout, findings);
            for (name, value) in headers {
                gates::header(
                    application,
                    &format!("{at}.headers.{name}"),
                    name,
                    value,
                    findings,
                );
            }
        }
        Provider::Sql {
            database,
            query,
            timeout,
        } => {
            health::positive(&format!("{at}.timeout"), *timeout, findings);
            let names = application.databases.keys().map(DatabaseName::as_str);
            let path = format!("{at}.database");
            super::known(findings, &path, "database", database.as_str(), names);
            if query.trim().is_empty() {
                findings.error("spec.invalid-value", &format!("{at}.query"), "there is no query");
            }
        }
        Provider::Command {
            command,
            environment: variables,
            timeout,
        } => {
            health::positive(&format!("{at}.timeout"), *timeout, findings);
            words(&format!("{at}.command"), command, findings);
            for (name, value) in variables {
                let path = format!("{at}.environment.{name}");
                environment::variable(application, &path, name, value, findings);
            }
        }
        Provider::Logs { pattern } => matches::expression(&format!("{at}.pattern"), pattern, findings),
        Provider::Resources {} => {}
    }
}

fn words(path: &str, command: &[String], findings: &mut Findings<'_>) {
    if command.first().is_none_or(String::is_empty) {
        findings
            .error("spec.invalid-value", path, "there is no program to start")
            .label("such as `[./checks/queue.sh]`");
    }
    for (index, word) in command.iter().enumerate() {
        if let Some(reference) = references(word).first() {
            findings
                .error(
                    "spec.reference-in-command",
                    &format!("{path}[{index}]"),
                    format!(
                        "{reference} cannot be an argument: whoever lists the processes of the machine would read it"
                    ),
                )
                .label("give it under `environment`");
        }
    }
}
