//! Rules that send a request to one side whatever the weights are, compiled.
//!
//! Pure: a request's head and its client's address in, yes or no out. Knows no revisions.

use std::net::IpAddr;

use cutover_model::Track;
use cutover_model::routing::{RequestMatch, RouteRule, TextMatch};
use hyper::Request;
use hyper::header::{HOST, HeaderName, HeaderValue};
use ipnet::IpNet;
use regex::bytes::{Regex, RegexBuilder};

use crate::cookie;

/// A rule, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) to: Track,
    when: Matcher,
}

/// What a request must be, ready to be asked.
#[derive(Debug)]
pub(crate) struct Matcher {
    headers: Vec<(HeaderName, Text)>,
    cookies: Vec<(String, Text)>,
    path: Option<Text>,
    host: Option<Text>,
    source: Vec<IpNet>,
}

#[derive(Debug)]
enum Text {
    Exact { text: Vec<u8>, any_case: bool },
    Prefix { text: Vec<u8>, any_case: bool },
    Regex(Regex),
}

/// Whether capitals count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Counts,
    DoesNot,
}

impl Rule {
    /// # Errors
    /// What cannot be understood, in words.
    pub(crate) fn compile(rule: &RouteRule) -> Result<Self, String> {
        Ok(Self {
            to: rule.to,
            when: Matcher::compile(&rule.when)?,
        })
    }

    /// Whether a request is all that the rule asks for.
    pub(crate) fn matches<B>(&self, request: &Request<B>, client: IpAddr) -> bool {
        self.when.matches(request, client)
    }
}

impl Matcher {
    /// # Errors
    /// What cannot be understood, in words.
    pub(crate) fn compile(when: &RequestMatch) -> Result<Self, String> {
        let RequestMatch {
            headers,
            cookies,
            path,
            host,
            source,
        } = when;
        let headers = headers.iter().map(|(name, text)| {
            let known = HeaderName::from_bytes(name.as_bytes());
            let name = known.map_err(|_| format!("`{name}` is no name of a field"))?;
            Ok((name, Text::compile(text, Case::Counts)?))
        });
        let cookies = cookies
            .iter()
            .map(|(name, text)| Ok((name.clone(), Text::compile(text, Case::Counts)?)));
        let source = source.iter().map(|text| network(text));
        Ok(Self {
            headers: headers.collect::<Result<_, String>>()?,
            cookies: cookies.collect::<Result<_, String>>()?,
            path: path
                .as_ref()
                .map(|text| Text::compile(text, Case::Counts))
                .transpose()?,
            host: host
                .as_ref()
                .map(|text| Text::compile(text, Case::DoesNot))
                .transpose()?,
            source: source.collect::<Result<_, String>>()?,
        })
    }

    /// Whether a request is all that is asked for. Of several fields or cookies with one name, one that matches is
    /// enough.
    pub(crate) fn matches<B>(&self, request: &Request<B>, client: IpAddr) -> bool {
        let head = request.headers();
        (self.source.is_empty() || self.source.iter().any(|network| network.contains(&client)))
            && self
                .path
                .as_ref()
                .is_none_or(|text| text.matches(request.uri().path().as_bytes()))
            && self.host.as_ref().is_none_or(|text| {
                head.get(HOST)
                    .is_some_and(|host| text.matches(without_port(host)))
            })
            && self.headers.iter().all(|(name, text)| {
                head.get_all(name)
                    .iter()
                    .any(|value| text.matches(value.as_bytes()))
            })
            && self
                .cookies
                .iter()
                .all(|(name, text)| cookie::values(head, name).any(|value| text.matches(value)))
    }
}

impl Text {
    fn compile(text: &TextMatch, case: Case) -> Result<Self, String> {
        let any_case = case == Case::DoesNot;
        Ok(match text {
            TextMatch::Exact(text) => Self::Exact {
                text: text.clone().into_bytes(),
                any_case,
            },
            TextMatch::Prefix(text) => Self::Prefix {
                text: text.clone().into_bytes(),
                any_case,
            },
            TextMatch::Regex(pattern) => {
                let build = |pattern: &str| {
                    let mut builder = RegexBuilder::new(pattern);
                    builder
                        .case_insensitive(any_case)
                        .size_limit(TextMatch::REGEX_SIZE)
                        .dfa_size_limit(TextMatch::REGEX_SIZE);
                    let built = builder.build();
                    built.map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
                };
                // By itself first: `a)|(b` would become one only between our parentheses.
                build(pattern)?;
                Self::Regex(build(&format!("^(?:{pattern})$"))?)
            }
        })
    }

    fn matches(&self, value: &[u8]) -> bool {
        let same = |text: &[u8], value: &[u8], any_case: bool| {
            if any_case {
                text.eq_ignore_ascii_case(value)
            } else {
                text == value
            }
        };
        match self {
            Self::Exact { text, any_case } => same(text, value, *any_case),
            Self::Prefix { text, any_case } => value
                .get(..text.len())
                .is_some_and(|start| same(text, start, *any_case)),
            Self::Regex(regex) => regex.is_match(value),
        }
    }
}

/// `10.0.0.0/8`, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is no network"))
}

fn without_port(host: &HeaderValue) -> &[u8] {
    let host = host.as_bytes();
    // The colons of an IPv6 address stand between brackets.
    match host.iter().rposition(|byte| *byte == b':' || *byte == b']') {
        Some(index) if host[index] == b':' => &host[..index],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Result<Rule, String> {
        Rule::compile(&serde_json::from_str(&format!(r#"{{"match": {json}, "to": "candidate"}}"#)).unwrap())
    }

    fn hits(json: &str, target: &str, fields: &[(&str, &str)], client: &str) -> bool {
        let mut request = Request::get(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        rule(json)
            .unwrap()
            .matches(&request.body(()).unwrap(), client.parse().unwrap())
    }

    #[test]
    fn fields_cookies_paths_hosts_and_networks() {
        let home = "127.0.0.1";
        let exact = r#"{"headers": {"X-Canary": {"exact": "yes"}}}"#;
        assert!(hits(exact, "/", &[("x-canary", "no"), ("x-canary", "yes")], home));
        assert!(!hits(exact, "/", &[("x-canary", "yes!")], home) && !hits(exact, "/", &[], home));
        let prefix = r#"{"path": {"prefix": "/api/"}}"#;
        assert!(hits(prefix, "/api/x?y", &[], home) && !hits(prefix, "/apix", &[], home));
        assert!(!hits(prefix, "/", &[], home), "shorter than the prefix");
        let regex = r#"{"headers": {"user-agent": {"regex": "curl/[0-9]+|wget"}}}"#;
        assert!(
            hits(regex, "/", &[("user-agent", "curl/8")], home)
                && hits(regex, "/", &[("user-agent", "wget")], home)
        );
        assert!(
            !hits(regex, "/", &[("user-agent", "a curl/8")], home),
            "as a whole"
        );
        assert!(!hits(regex, "/", &[("user-agent", "wget2")], home), "as a whole");
        let cookie = r#"{"cookies": {"group": {"exact": "b"}}}"#;
        assert!(hits(cookie, "/", &[("cookie", "a=1; group=b")], home));
        assert!(!hits(cookie, "/", &[("cookie", "a=1; group=bb; xgroup=b")], home));
        let host = r#"{"host": {"exact": "Beta.test"}}"#;
        assert!(
            hits(host, "/", &[("host", "beta.TEST:8080")], home)
                && hits(host, "/", &[("host", "beta.test")], home)
        );
        assert!(!hits(host, "/", &[("host", "beta.test.evil")], home));
        assert!(hits(
            r#"{"host": {"regex": "\\[::1\\]"}}"#,
            "/",
            &[("host", "[::1]:80")],
            home
        ));
        let source = r#"{"source": ["10.0.0.0/8", "2001:db8::1"]}"#;
        assert!(hits(source, "/", &[], "10.2.3.4") && hits(source, "/", &[], "2001:db8::1"));
        assert!(!hits(source, "/", &[], home) && !hits(source, "/", &[], "2001:db8::2"));
        let both = r#"{"path": {"exact": "/a"}, "source": ["10.0.0.0/8"]}"#;
        assert!(
            hits(both, "/a", &[], "10.0.0.1")
                && !hits(both, "/a", &[], home)
                && !hits(both, "/", &[], "10.0.0.1")
        );
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for bad in [
            r#"{"path": {"regex": "("}}"#,
            r#"{"path": {"regex": "a)|(b"}}"#,
            r#"{"path": {"regex": "(a{1000}){1000}"}}"#,
            r#"{"source": ["10.0.0.0/33"]}"#,
            r#"{"headers": {"a b": {"exact": "x"}}}"#,
        ] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
