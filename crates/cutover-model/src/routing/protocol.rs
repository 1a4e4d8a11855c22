//! What is spoken with clients and with instances.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS towards clients: 1.2 and 1.3, HTTP/2 by ALPN. Files are looked at again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// At least one; the first is for clients that name no host, or one that none of them is for.
    pub certificates: Vec<Certificate>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The certificate, and those up to the root after it.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// What is spoken with the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte on: what gRPC servers speak.
    H2c,
}
