//! What requests are matched by: names of fields, texts, regular expressions.

use cutover_model::routing::TextMatch;
use regex::RegexBuilder;

use crate::Application;
use crate::findings::Findings;

/// The rules of all routes.
pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    for (name, service) in &application.services {
        let Some(router) = &service.router else {
            continue;
        };
        for (index, rule) in router.policy().rules.iter().enumerate() {
            let at = format!("services.{name}.router.proxy.routing.rules[{index}].match");
            for (field, wanted) in &rule.when.headers {
                field_name(field, &format!("{at}.headers"), findings);
                text(wanted, &format!("{at}.headers.{field}"), findings);
            }
            for (cookie, wanted) in &rule.when.cookies {
                text(wanted, &format!("{at}.cookies.{cookie}"), findings);
            }
            for (key, wanted) in [("path", &rule.when.path), ("host", &rule.when.host)] {
                if let Some(wanted) = wanted {
                    text(wanted, &format!("{at}.{key}"), findings);
                }
            }
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
    let TextMatch::Regex(expression) = wanted else {
        return;
    };
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
            &format!("{path}.regex"),
            format!("`{expression}` is no regular expression: {why}"),
        );
    }
}
