//! Whoever is asked for a metric can be asked.

use cutover_model::{DatabaseName, Provider};

use super::{environment, health, matches};
use crate::Application;
use crate::findings::Findings;

pub(super) fn check(application: &Application, at: &str, provider: &Provider, findings: &mut Findings<'_>) {
    match provider {
        Provider::Prometheus(_)
        | Provider::Web(_)
        | Provider::Graphite(_)
        | Provider::InfluxDb(_)
        | Provider::Datadog(_)
        | Provider::NewRelic(_)
        | Provider::CloudWatch(_) => super::http_providers::check(application, at, provider, findings),
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
    environment::no_references(path, command, "give it under `environment`", findings);
}
