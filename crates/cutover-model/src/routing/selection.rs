//! Which revision a request is for, and which of its instances.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Span, Track};

/// How weights are turned into choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SplitMode {
    /// Each request is drawn for itself: what the sequential test of an analysis needs.
    #[default]
    Random,
    /// Smooth weighted round robin over all workers: after any number of requests each revision has had its share to
    /// within one request. Nothing is drawn, so the sequential test of an analysis has nothing to look at.
    Smooth,
}

/// How an instance is chosen within a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Balance {
    /// The rule; default leastRequest.
    pub by: BalanceBy,
    /// An instance that has just become ready gets its share of requests over this time, rising evenly from a tenth;
    /// default 0s, at once.
    pub slow_start: Span,
}

/// The rule by which an instance is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BalanceBy {
    /// The one of two random instances with fewer open requests.
    #[default]
    LeastRequest,
    /// One after the other.
    RoundRobin,
}

/// Requests that go to one side whatever the weights are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteRule {
    /// What a request must be; all of it.
    #[serde(rename = "match")]
    pub when: RequestMatch,
    /// Where it goes. While that side has no instance, the rule is passed over.
    pub to: Track,
}

/// What a request must be. All that is named must hold, and something must be named. Of several fields or cookies with
/// one name, one that matches is enough.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RequestMatch {
    /// Fields of its head by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, TextMatch>,
    /// Cookies by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookies: BTreeMap<String, TextMatch>,
    /// Its path, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<TextMatch>,
    /// Its host, without the port; capitals do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<TextMatch>,
    /// Networks that its client must be in one of, `10.0.0.0/8`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<String>,
}

/// Requests that are counted for themselves, so that an analysis sees a failure that only they have.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stratum {
    /// Its name in the words of an analysis.
    pub name: String,
    /// What a request must be; all of it.
    #[serde(rename = "match")]
    pub when: RequestMatch,
}

impl Stratum {
    /// How many a service may have: each has a part of the evidence that is asked for, and counters of its own for each
    /// share, revision and worker.
    pub const MOST: usize = 8;
    /// How many bytes a name may have.
    pub const LONGEST_NAME: usize = 64;
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum TextMatch {
    /// This.
    Exact(String),
    /// Something that begins so.
    Prefix(String),
    /// Something that this regular expression matches as a whole. Its syntax is that of Rust's `regex`; it takes time in
    /// proportion to the text.
    Regex(String),
}

impl TextMatch {
    /// How great a compiled regular expression may be, in bytes.
    pub const REGEX_SIZE: usize = 256 * 1024;
}

/// Keeps a client where it is, as far as the weights allow: a share that grows takes over the clients that are missing,
/// each once, and one that shrinks gives back as many. So the share is that of the clients, and nobody drifts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Sticky {
    /// By a signed cookie, which holds a random number for the client, and the revision's name.
    #[serde(rename_all = "camelCase")]
    Cookie {
        /// Its name; default `cutover-session`.
        #[serde(default = "cookie_name")]
        name: String,
        /// How long the client keeps it; default 86400s. Each answer begins it anew.
        #[serde(default = "cookie_age")]
        max_age: Span,
    },
    /// By the client's address (of IPv6 the first 64 bits). Nothing is remembered, so nothing is forgotten either.
    Source {},
}

fn cookie_name() -> String {
    "cutover-session".to_owned()
}

const fn cookie_age() -> Span {
    Span::from_secs(86_400)
}
