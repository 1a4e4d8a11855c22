//! What instances are given: environment variables and the references within them.

use cutover_model::ServiceName;

use crate::findings::Findings;
use crate::reference::{Reference, invalid_references, references};
use crate::{Application, Service};

/// Set by Cutover for every instance; what the file says of them would be lost.
const RESERVED: [&str; 5] = ["APP_ENVIRONMENT", "APP_VERSION", "PORT", "TRACK", "VERSION"];

/// How the names of variables end that hold secrets.
const SECRET_ENDINGS: [&str; 8] = [
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "SECRET_KEY",
];

pub(super) fn check(
    application: &Application,
    name: &ServiceName,
    service: &Service,
    findings: &mut Findings<'_>,
) {
    for (variable, value) in &service.environment {
        let path = format!("services.{name}.environment.{variable}");
        self::variable(application, &path, variable, value, findings);
        if RESERVED.contains(&variable.as_str()) {
            findings.warning(
                "spec.reserved-variable",
                &path,
                format!("`{variable}` is set for every instance by cutover; this value is not used"),
            );
        }
    }
}

/// A variable and its value, whoever gets it.
pub(super) fn variable(
    application: &Application,
    path: &str,
    variable: &str,
    value: &str,
    findings: &mut Findings<'_>,
) {
    if variable.is_empty() || variable.contains(['=', '\0']) {
        findings.key_error(
            "spec.invalid-value",
            path,
            format!("`{variable}` cannot be the name of an environment variable"),
        );
    }
    references_of(application, path, value, findings);
    if is_secret(variable) && !value.is_empty() && references(value).is_empty() {
        findings
            .key_warning(
                "spec.plain-secret",
                path,
                format!(
                    "`{variable}` looks like a secret, and stands in the file and in each stored release"
                ),
            )
            .without_value()
            .label("use `${env:NAME}` or `${file:path}`");
    }
}

/// The words of a command hold no references: `instead` says where else they can stand.
pub(super) fn no_references(path: &str, command: &[String], instead: &str, findings: &mut Findings<'_>) {
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
                .label(instead);
        }
    }
}

/// Whether a variable is usually a secret, by the end of its name: `TOKEN_TTL` and `PASSWORD_FILE` are none.
fn is_secret(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    SECRET_ENDINGS.iter().any(|ending| upper.ends_with(ending))
}

/// The references in a value must be well written, and the services they name must be reachable.
pub(super) fn references_of(application: &Application, path: &str, value: &str, findings: &mut Findings<'_>) {
    for invalid in invalid_references(value) {
        findings
            .error("spec.invalid-reference", path, invalid.to_string())
            .label(invalid.meant.map_or_else(
                || "`$${` writes a plain `${`".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            ));
    }
    for reference in references(value) {
        let Reference::ServiceUrl(target) = &reference else {
            continue;
        };
        let names = application.services.keys().map(ServiceName::as_str);
        super::known(findings, path, "service", target.as_str(), names);
        if application
            .services
            .get(target)
            .is_some_and(|service| service.router.is_none())
        {
            findings.error(
                "spec.unknown-reference",
                path,
                format!("`{target}` has no router, so {reference} stands for nothing"),
            );
        }
    }
}
