//! What is spoken with clients, and what is told of them: TLS has a certificate, networks are networks, a log has a file.

use std::net::IpAddr;

use cutover_model::routing::{AccessLog, Mirror, UpstreamProtocol};

use crate::Application;
use crate::findings::Findings;

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    for (name, service) in &application.services {
        let Some(router) = &service.router else {
            continue;
        };
        let at = format!("services.{name}.router.proxy.routing");
        let policy = router.policy();
        if policy.tls.as_ref().is_some_and(|tls| tls.certificates.is_empty()) {
            findings
                .error(
                    "spec.invalid-value",
                    &format!("{at}.tls.certificates"),
                    "TLS needs at least one certificate",
                )
                .label("such as `[{certificate: tls/shop.pem, key: tls/shop.key}]`");
        }
        if let Some(mirror) = &policy.mirror {
            check_mirror(mirror, policy.upstream, &format!("{at}.mirror"), findings);
        }
        if let Some(log) = &policy.access_log {
            check_access_log(log, &format!("{at}.accessLog"), findings);
        }
        for (index, network) in policy.proxy_protocol.iter().enumerate() {
            if !is_network(network) {
                findings
                    .error(
                        "spec.invalid-value",
                        &format!("{at}.proxyProtocol[{index}]"),
                        format!("`{network}` is no network"),
                    )
                    .label("such as `10.0.0.0/8`");
            }
        }
    }
}

fn check_access_log(log: &AccessLog, at: &str, findings: &mut Findings<'_>) {
    if log.path.is_empty() {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.path"),
                "the access log needs a file",
            )
            .label("such as `logs/access.log`");
    }
    if log.percentage > 100 {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.percentage"),
                format!("{} per cent is more than all requests", log.percentage),
            )
            .label("from 0 to 100");
    }
}

fn check_mirror(mirror: &Mirror, upstream: UpstreamProtocol, at: &str, findings: &mut Findings<'_>) {
    if upstream == UpstreamProtocol::H2c {
        findings
            .error(
                "spec.unsupported",
                at,
                "requests to instances that speak HTTP/2 are not mirrored",
            )
            .label("gRPC has trailers and a stream in each direction");
    }
    let methods = mirror.methods.iter().enumerate();
    for (index, method) in methods.filter(|(_, method)| !is_copied(method)) {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.methods[{index}]"),
                format!("`{method}` is no method that can be mirrored"),
            )
            .label("such as `POST`");
    }
    if mirror.methods.is_empty() {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.methods"),
                "without a method nothing is mirrored",
            )
            .label("leave `methods` out for GET, HEAD and OPTIONS");
    }
    if !(1..=100).contains(&mirror.percentage) {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.percentage"),
                format!("{} % of the requests cannot be mirrored", mirror.percentage),
            )
            .label("from 1 to 100");
    }
    if mirror.queue == 0 {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.queue"),
                "with a queue of 0 nothing is mirrored",
            )
            .label("at least 1");
    }
}

/// A method's name is in capital letters; a CONNECT makes a tunnel.
fn is_copied(method: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    !method.is_empty() && method.bytes().all(is_name) && method != "CONNECT"
}

/// An address, or one with the number of its bits that count.
fn is_network(text: &str) -> bool {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

#[cfg(test)]
mod tests {
    use super::{is_copied, is_network};

    #[test]
    fn methods() {
        assert!(["GET", "POST", "M-SEARCH"].into_iter().all(is_copied));
        assert!(!["", "get", "CONNECT", "A B"].into_iter().any(is_copied));
    }

    #[test]
    fn networks() {
        for good in ["10.0.0.0/8", "10.0.0.1", "::1", "2001:db8::/32", "0.0.0.0/0"] {
            assert!(is_network(good), "{good}");
        }
        for bad in [
            "",
            "10",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/x",
            "a.test",
        ] {
            assert!(!is_network(bad), "{bad}");
        }
    }
}
