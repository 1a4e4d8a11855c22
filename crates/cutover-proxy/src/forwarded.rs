//! What instances are told of who asks: made once a connection, so that it costs a request nothing to speak of.

use std::net::IpAddr;

use hyper::header::HeaderValue;

/// The fields' values for one client connection.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// `X-Forwarded-For` and `X-Real-IP`.
    pub(crate) address: HeaderValue,
    /// `X-Forwarded-Proto`.
    pub(crate) proto: HeaderValue,
    /// `Forwarded` (RFC 7239). Without `host`: the Host goes on as it came.
    pub(crate) forwarded: HeaderValue,
    /// All of them as they stand in a head.
    pub(crate) lines: Vec<u8>,
}

impl Origin {
    pub(crate) fn new(ip: IpAddr, tls: bool) -> Self {
        let ip = ip.to_canonical();
        let proto = if tls { "https" } else { "http" };
        let node = match ip {
            IpAddr::V4(ip) => format!("for={ip};proto={proto}"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\";proto={proto}"),
        };
        let lines = format!(
            "x-forwarded-for: {ip}\r\nx-real-ip: {ip}\r\nx-forwarded-proto: {proto}\r\nforwarded: {node}\r\n"
        );
        let unknown = HeaderValue::from_static("unknown");
        Self {
            address: HeaderValue::from_str(&ip.to_string()).unwrap_or(unknown),
            proto: HeaderValue::from_static(proto),
            forwarded: HeaderValue::from_str(&node).unwrap_or(HeaderValue::from_static("for=unknown")),
            lines: lines.into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        let origin = Origin::new("::ffff:192.0.2.1".parse().unwrap(), false);
        assert_eq!(origin.address, "192.0.2.1");
        assert_eq!(origin.forwarded, "for=192.0.2.1;proto=http");
        let origin = Origin::new("2001:db8::1".parse().unwrap(), true);
        assert_eq!(origin.forwarded, "for=\"[2001:db8::1]\";proto=https");
        assert_eq!(
            (origin.address, origin.proto),
            ("2001:db8::1".parse().unwrap(), "https".parse().unwrap())
        );
    }
}
