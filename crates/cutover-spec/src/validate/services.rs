//! Services: what they run, on which ports, and what they name.

use cutover_model::{DatabaseName, ServiceName};

use crate::findings::Findings;
use crate::reference::references;
use crate::{Application, ProcessTarget, Service, Target, spelling};

/// From here on Linux gives ports to outgoing connections (`net.ipv4.ip_local_port_range`).
const FIRST_EPHEMERAL: u16 = 32768;

pub(super) fn check(
    application: &Application,
    name: &ServiceName,
    service: &Service,
    findings: &mut Findings<'_>,
) {
    let at = format!("services.{name}");
    let Target::Process(process) = &service.target;
    command(&at, process, findings);
    ports(&at, service, process, findings);
    smoke(&at, service, process, findings);
    for (index, database) in service.databases.iter().enumerate() {
        let path = format!("{at}.databases[{index}]");
        let names = application.databases.keys().map(DatabaseName::as_str);
        super::known(findings, &path, "database", database.as_str(), names);
    }
    for (other, text) in &service.compatible_with {
        let path = format!("{at}.compatibleWith.{other}");
        super::requirement(findings, &path, text);
        if other == name {
            findings.key_error(
                "spec.invalid-value",
                &path,
                format!("`{name}` says here what it can live with of itself; only other services count"),
            );
        } else if !application.services.contains_key(other) {
            let names: Vec<&str> = application.services.keys().map(ServiceName::as_str).collect();
            findings
                .key_error(
                    "spec.unknown-reference",
                    &path,
                    format!("there is no service named `{other}`"),
                )
                .maybe_label(spelling::suggestion(other.as_str(), &names));
        }
    }
}

fn command(at: &str, process: &ProcessTarget, findings: &mut Findings<'_>) {
    let path = format!("{at}.target.process.command");
    if process.command.first().is_none_or(String::is_empty) {
        findings
            .error("spec.invalid-value", &path, "there is no program to start")
            .label("such as `[\"./releases/{version}/server\"]`");
    }
    for (index, word) in process.command.iter().enumerate() {
        let path = format!("{path}[{index}]");
        for reference in references(word) {
            let why = if reference.is_secret() {
                "whoever lists the processes of the machine would read it"
            } else {
                "an argument is the same for every instance"
            };
            findings
                .error(
                    "spec.reference-in-command",
                    &path,
                    format!("{reference} cannot be an argument: {why}"),
                )
                .label("give it to the instance under `environment`");
        }
        placeholders(&path, word, findings);
    }
}

/// `{version}` misspelt would be looked for as a folder of that name.
fn placeholders(path: &str, word: &str, findings: &mut Findings<'_>) {
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        let inner = &rest[open + 1..];
        let Some(close) = inner.find('}') else { return };
        let name = &inner[..close];
        if name.bytes().all(|b| b.is_ascii_alphabetic())
            && !matches!(name, "version" | "port")
            && let Some(near) = spelling::nearest(name, ["version", "port"])
        {
            findings
                .warning(
                    "spec.unknown-placeholder",
                    path,
                    format!("`{{{name}}}` stands for nothing and is left as it is"),
                )
                .label(format!("did you mean `{{{near}}}`?"));
        }
        rest = &inner[close..];
    }
}

fn ports(at: &str, service: &Service, process: &ProcessTarget, findings: &mut Findings<'_>) {
    let path = format!("{at}.target.process.ports");
    let Some(range) = process.ports else {
        if service.router.is_some() {
            findings
                .error(
                    "spec.missing-key",
                    &path,
                    "a service with a router needs ports for its instances",
                )
                .label("add `ports: 20000-20999`");
        }
        return;
    };
    let count = u32::from(range.last) - u32::from(range.first) + 1;
    let needed = service.replicas * 2;
    if service.router.is_some() && count < needed {
        let last = u32::from(range.first) + needed - 1;
        let entry = findings.error(
            "spec.too-few-ports",
            &path,
            format!(
                "{count} ports are too few: {} instances of the old version and as many of the new one need {needed}",
                service.replicas
            ),
        );
        if last <= u32::from(u16::MAX) {
            entry.label(format!("such as `{}-{last}`", range.first));
        }
    } else if service.router.is_none() && count < service.replicas {
        findings.error(
            "spec.too-few-ports",
            &path,
            format!("{count} ports are too few for {} instances", service.replicas),
        );
    }
    if range.last >= FIRST_EPHEMERAL {
        findings
            .warning(
                "spec.ephemeral-ports",
                &path,
                format!("ports from {FIRST_EPHEMERAL} on may be taken by outgoing connections when an instance starts"),
            )
            .label("such as `20000-20999`");
    }
}

fn smoke(at: &str, service: &Service, process: &ProcessTarget, findings: &mut Findings<'_>) {
    for (index, test) in service.smoke.iter().enumerate() {
        let path = format!("{at}.smoke[{index}]");
        super::health::request_path(&format!("{path}.get"), &test.get, findings);
        super::health::positive(&format!("{path}.timeout"), test.timeout, findings);
    }
    if !service.smoke.is_empty() && process.ports.is_none() && service.router.is_none() {
        findings
            .error(
                "spec.missing-key",
                &format!("{at}.smoke"),
                "smoke tests need a port to ask, and this service has none",
            )
            .label(format!("add `ports` under `{at}.target.process`"));
    }
}
