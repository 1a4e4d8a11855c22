//! Where clients connect: one service an address, and none within the instances' ports.

use crate::findings::Findings;
use crate::{Application, Target};

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    let mut taken: Vec<(&str, &str, u16)> = Vec::new();
    for (name, service) in &application.services {
        let Some(router) = &service.router else {
            continue;
        };
        let path = format!("services.{name}.router.proxy.listen");
        let listen = router.listen();
        let Some((host, port)) = split(listen) else {
            let label = if listen.parse::<u16>().is_ok() {
                format!("did you mean `127.0.0.1:{listen}`?")
            } else if let Some(port) = listen.strip_prefix(':') {
                format!("did you mean `0.0.0.0:{port}`?")
            } else {
                "such as `127.0.0.1:8080`".to_owned()
            };
            findings
                .error(
                    "spec.invalid-value",
                    &path,
                    format!("`{listen}` is no address to listen on"),
                )
                .label(label);
            continue;
        };
        if port != 0 {
            if let Some((other, ..)) = taken
                .iter()
                .find(|(_, h, p)| *p == port && (*h == host || is_any(h) || is_any(host)))
            {
                findings.error(
                    "spec.address-conflict",
                    &path,
                    format!("`{other}` listens on this address already"),
                );
            }
            taken.push((name.as_str(), host, port));
            within_instances(application, &path, port, findings);
        }
    }
}

fn within_instances(application: &Application, path: &str, port: u16, findings: &mut Findings<'_>) {
    for (name, service) in &application.services {
        let Target::Process(process) = &service.target;
        if process
            .ports
            .is_some_and(|range| (range.first..=range.last).contains(&port))
        {
            findings.error(
                "spec.address-conflict",
                path,
                format!("port {port} is one of those for the instances of `{name}`"),
            );
        }
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split(listen: &str) -> Option<(&str, u16)> {
    let (host, port) = listen.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let valid = if let Some(inner) = host.strip_prefix('[') {
        inner
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
    } else {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
    };
    valid.then_some((host, port))
}

fn is_any(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "[::]")
}
