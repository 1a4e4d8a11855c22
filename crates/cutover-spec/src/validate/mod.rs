//! What must hold for a file that has the right shape: references exist, numbers make sense together, an upgrade can
//! advance and can fail. Each file here judges one part; none stops at the first thing it finds.

mod addresses;
mod analysis;
mod arguments;
mod databases;
mod dependencies;
mod environment;
mod gates;
mod health;
mod http_providers;
mod matches;
mod protocols;
mod providers;
mod resilience;
mod runner;
mod services;
mod strategy;

pub use gates::is_plain_secret;

use cutover_model::{Diagnostic, EnvironmentName};
use semver::VersionReq;

use crate::document::Document;
use crate::findings::Findings;
use crate::{Application, spelling};

/// Everything that is wrong, and warnings: of the file as it stands and as each environment changes it.
pub(crate) fn check(document: &Document, application: &Application) -> Vec<Diagnostic> {
    let mut findings = Findings::new(document);
    once(application, &mut findings);
    all(application, &mut findings);
    for name in application.environments.keys() {
        findings.within(name);
        overlay(application, name, &mut findings);
        // An environment that is there can be applied.
        if let Ok(effective) = application.for_environment(name) {
            all(&effective, &mut findings);
            required(application, Some(name), &effective, &mut findings);
        }
    }
    findings.into_found()
}

/// What no environment can change.
fn once(application: &Application, findings: &mut Findings<'_>) {
    if application.api_version != "cutover/v1" {
        findings
            .error(
                "spec.api-version",
                "apiVersion",
                format!(
                    "`{}` is no version of this file that is known here",
                    application.api_version
                ),
            )
            .label("did you mean `cutover/v1`?");
    }
    let has_migrations = application
        .databases
        .values()
        .any(|database| database.migrations.is_some() || database.runner.is_some());
    if application.services.is_empty() && !has_migrations {
        findings.error(
            "spec.missing-key",
            "services",
            "an application has at least one service",
        );
    }
    if let Some(text) = &application.upgrades_from {
        requirement(findings, "upgradesFrom", text);
    }
    required(application, None, application, findings);
}

fn all(application: &Application, findings: &mut Findings<'_>) {
    databases::check(application, findings);
    for (name, service) in &application.services {
        services::check(application, name, service, findings);
        environment::check(application, name, service, findings);
        health::check(name, service, findings);
    }
    dependencies::check(application, findings);
    addresses::check(application, findings);
    matches::check(application, findings);
    protocols::check(application, findings);
    resilience::check(application, findings);
    analysis::check(application, findings);
    strategy::check(application, findings);
    gates::check(application, findings);
}

/// A requirement on versions, such as `>=1.0.0, <2.0.0`.
fn requirement(findings: &mut Findings<'_>, path: &str, text: &str) {
    if let Err(error) = VersionReq::parse(text) {
        findings
            .error(
                "spec.invalid-value",
                path,
                format!("`{text}` is no requirement on versions: {error}"),
            )
            .label("such as `>=1.0.0, <2.0.0`");
    }
}

/// A name that must be one of those that exist.
fn known<'n>(
    findings: &mut Findings<'_>,
    path: &str,
    kind: &str,
    name: &str,
    names: impl Iterator<Item = &'n str>,
) {
    let names: Vec<&str> = names.collect();
    if !names.contains(&name) {
        let label =
            spelling::suggestion(name, &names).unwrap_or_else(|| format!("there is no {kind} in this file"));
        findings
            .error(
                "spec.unknown-reference",
                path,
                format!("there is no {kind} named `{name}`"),
            )
            .label(label);
    }
}

/// What an environment names must be there to be changed.
fn overlay(application: &Application, name: &EnvironmentName, findings: &mut Findings<'_>) {
    let Some(overlay) = application.environments.get(name) else {
        return;
    };
    for service in overlay.services.keys() {
        if !application.services.contains_key(service) {
            let names: Vec<&str> = application.services.keys().map(|n| n.as_str()).collect();
            findings
                .key_error(
                    "spec.unknown-reference",
                    &format!("services.{service}"),
                    format!("there is no service named `{service}` to change"),
                )
                .maybe_label(spelling::suggestion(service.as_str(), &names));
        }
    }
}

/// The environment that a release must have passed must be another one that exists.
fn required(
    whole: &Application,
    here: Option<&EnvironmentName>,
    application: &Application,
    findings: &mut Findings<'_>,
) {
    let Some(requires) = &application.requires else {
        return;
    };
    let wanted = &requires.succeeded_in;
    let path = "requires.succeededIn";
    if here == Some(wanted) && whole.requires.as_ref() != Some(requires) {
        findings.error(
            "spec.no-progress",
            path,
            format!("`{wanted}` requires that the release has succeeded in `{wanted}` itself"),
        );
        return;
    }
    let production = EnvironmentName::production();
    let names = whole
        .environments
        .keys()
        .chain((!whole.environments.contains_key(&production)).then_some(&production))
        .map(EnvironmentName::as_str);
    known(findings, path, "environment", wanted.as_str(), names);
}
