//! What is spoken with clients: TLS has a certificate, networks are networks.

use std::net::IpAddr;

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
    use super::is_network;

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
