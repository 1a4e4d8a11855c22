//! What requests are matched by: names of fields, texts, regular expressions.

use cutover_model::RoutePolicy;
use cutover_model::routing::{RequestMatch, SplitMode, Sticky, Stratum, TextMatch};
use regex::RegexBuilder;

use crate::Application;
use crate::findings::Findings;

/// The rules and strata of all routes.
pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    for (name, service) in &application.services {
        let Some(router) = &service.router else {
            continue;
        };
        for (index, rule) in router.policy().rules.iter().enumerate() {
            let at = format!("services.{name}.router.proxy.routing.rules[{index}].match");
            request(&rule.when, &at, findings);
        }
        strata(
            router.policy(),
            &format!("services.{name}.router.proxy.routing.strata"),
            findings,
        );
    }
}

fn request(when: &RequestMatch, at: &str, findings: &mut Findings<'_>) {
    for (field, wanted) in &when.headers {
        field_name(field, &format!("{at}.headers"), findings);
        text(wanted, &format!("{at}.headers.{field}"), findings);
    }
    for (cookie, wanted) in &when.cookies {
        text(wanted, &format!("{at}.cookies.{cookie}"), findings);
    }
    for (key, wanted) in [("path", &when.path), ("host", &when.host)] {
        if let Some(wanted) = wanted {
            text(wanted, &format!("{at}.{key}"), findings);
        }
    }
}

/// What is counted for itself has a name of its own, and is drawn.
fn strata(policy: &RoutePolicy, at: &str, findings: &mut Findings<'_>) {
    let most = Stratum::MOST;
    if policy.strata.len() > most {
        let message = format!("{} are more than can be told apart", policy.strata.len());
        findings
            .error("spec.invalid-value", at, message)
            .label(format!("at most {most}"));
    }
    let turns = policy.split == SplitMode::Smooth;
    if !policy.strata.is_empty() && (turns || policy.sticky == Some(Sticky::Source {})) {
        let other = if turns {
            "split: smooth"
        } else {
            "sticky: {source: {}}"
        };
        findings
            .error(
                "spec.conflict",
                at,
                format!("with `{other}` no request is drawn, so none would be counted here"),
            )
            .label("leave one of the two out");
    }
    for (index, stratum) in policy.strata.iter().enumerate() {
        let own = format!("{at}[{index}]");
        request(&stratum.when, &format!("{own}.match"), findings);
        let path = format!("{own}.name");
        let name = &stratum.name;
        if name.trim().is_empty() || name.len() > Stratum::LONGEST_NAME || name.chars().any(char::is_control)
        {
            findings
                .error(
                    "spec.invalid-value",
                    &path,
                    format!("`{}` is no name", name.escape_default()),
                )
                .label("such as `checkout`");
        }
        if policy.strata[..index].iter().any(|other| other.name == *name) {
            findings.error("spec.invalid-value", &path, format!("`{name}` is named twice"));
        }
        if stratum.when == RequestMatch::default() {
            findings
                .error(
                    "spec.no-condition",
                    &format!("{own}.match"),
                    "this is every request",
                )
                .label("add `path: {prefix: /checkout}`");
        }
    }
}

/// A field's name is a token (RFC 9110 §5.1).
pub(super) fn field_name(name: &str, path: &str, findings: &mut Findings<'_>) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        findings
            .error(
                "spec.invalid-value",
                path,
                format!("`{name}` is no name of a field"),
            )
            .label("such as `X-Canary`");
    }
}

/// A regular expression is one.
pub(super) fn text(wanted: &TextMatch, path: &str, findings: &mut Findings<'_>) {
    if let TextMatch::Regex(regex) = wanted {
        expression(&format!("{path}.regex"), regex, findings);
    }
}

/// A regular expression is one, and not a huge one.
pub(super) fn expression(path: &str, expression: &str, findings: &mut Findings<'_>) {
    let built = RegexBuilder::new(expression)
        .size_limit(TextMatch::REGEX_SIZE)
        .build();
    if let Err(error) = built {
        let why = error.to_string();
        let why = why
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        findings.error(
            "spec.invalid-value",
            path,
            format!("`{expression}` is no regular expression: {why}"),
        );
    }
}
