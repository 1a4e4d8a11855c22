//! Gates: windows that open, webhooks that can be called and give no secret away.

use std::collections::BTreeSet;

use cutover_model::{HookPoint, Opening, Span, Webhook, Window};

use crate::findings::Findings;
use crate::reference::references;
use crate::{Application, Gates, Strategy};

/// The controller does nothing else while it waits for an answer, and its lease must not run out meanwhile.
const LONGEST_TIMEOUT: Span = Span::from_secs(10);

/// Oftener than this nobody is asked.
const SHORTEST_INTERVAL: Span = Span::from_millis(100);

/// Headers that carry a secret, by a part of their name.
const SECRET_HEADERS: [&str; 8] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "api-key",
    "apikey",
    "application-key",
];

pub(super) fn check(application: &Application, findings: &mut Findings<'_>) {
    let Gates { window, webhooks } = &application.gates;
    if let Some(window) = window {
        check_window(window, findings);
    }
    let mut names = BTreeSet::new();
    for (index, hook) in webhooks.iter().enumerate() {
        let at = format!("gates.webhooks[{index}]");
        if !names.insert((&hook.name, hook.at)) {
            findings.error(
                "spec.conflict",
                &format!("{at}.name"),
                format!("there are two webhooks named `{}` at {}", hook.name, hook.at),
            );
        }
        check_hook(application, &at, hook, findings);
    }
}

fn check_window(window: &Window, findings: &mut Findings<'_>) {
    if window.open.is_none() && window.freeze.is_empty() {
        findings
            .error(
                "spec.no-effect",
                "gates.window",
                "this window has neither hours nor a freeze, so it would always be open",
            )
            .label("add `open: \"Mon-Fri 09:00-16:00\"`");
    }
    let mut ordered = true;
    for (index, freeze) in window.freeze.iter().enumerate() {
        if freeze.to < freeze.from {
            ordered = false;
            findings
                .error(
                    "spec.invalid-value",
                    &format!("gates.window.freeze[{index}].to"),
                    format!("a freeze from {} cannot end on {}", freeze.from, freeze.to),
                )
                .label("this is its last day");
        }
    }
    // Hours always come again, so only a freeze can be for good.
    let endless = window.freeze.iter().any(|freeze| {
        let noon = format!("{}T12:00:00Z", freeze.from).parse();
        noon.is_ok_and(|at| matches!(window.at(at), Opening::Closed { until: None, .. }))
    });
    if ordered && endless {
        findings
            .error(
                "spec.never-opens",
                "gates.window",
                "from some day on this window never opens again",
            )
            .label("no upgrade could begin");
    }
}

fn check_hook(application: &Application, at: &str, hook: &Webhook, findings: &mut Findings<'_>) {
    if hook.name.trim().is_empty() {
        findings.error(
            "spec.invalid-value",
            &format!("{at}.name"),
            "a webhook needs a name: it is what people read",
        );
    }
    let path = format!("{at}.url");
    super::environment::references_of(application, &path, &hook.url, findings);
    if let Some(cause) = bad_url(&hook.url) {
        findings
            .error(
                "spec.invalid-value",
                &path,
                format!("this is no address to call: {cause}"),
            )
            .label("such as `https://tickets.example.com/cutover`");
    }
    no_login(&path, &hook.url, findings);
    if hook.timeout == Span::ZERO || hook.timeout > LONGEST_TIMEOUT {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.timeout"),
                format!("{} is not within 1ms to {LONGEST_TIMEOUT}", hook.timeout),
            )
            .label("the controller does nothing else while it waits");
    }
    if hook.interval < SHORTEST_INTERVAL {
        findings
            .error(
                "spec.invalid-value",
                &format!("{at}.interval"),
                format!("{} is too often to ask", hook.interval),
            )
            .label(format!("at least {SHORTEST_INTERVAL}"));
    }
    if let Some(deadline) = hook.deadline {
        super::health::positive(&format!("{at}.deadline"), deadline, findings);
    }
    if hook.once && hook.at.asks() {
        findings
            .error(
                "spec.no-effect",
                &format!("{at}.once"),
                format!("{} is a gate, and a gate is asked again until it opens", hook.at),
            )
            .label("leave it out");
    }
    headers(application, at, hook, findings);
    let shifts = matches!(
        hook.at,
        HookPoint::ConfirmTrafficIncrease | HookPoint::ConfirmPromotion
    );
    if shifts && matches!(application.strategy, Strategy::Recreate(_)) {
        findings.warning(
            "spec.no-effect",
            &format!("{at}.at"),
            format!(
                "with `recreate` nothing is shifted: {} is asked before the old version is stopped",
                hook.at
            ),
        );
    }
}

fn headers(application: &Application, at: &str, hook: &Webhook, findings: &mut Findings<'_>) {
    for (name, value) in &hook.headers {
        let path = format!("{at}.headers.{name}");
        header(application, &path, name, value, findings);
        if matches!(
            name.to_lowercase().as_str(),
            "content-type" | "content-length" | "idempotency-key" | "host" | "transfer-encoding"
        ) {
            findings.key_error("spec.conflict", &path, format!("`{name}` is set by cutover"));
        }
    }
}

/// A header of a request, whoever gets it: its name is one, and what is secret stands elsewhere.
pub(super) fn header(
    application: &Application,
    path: &str,
    name: &str,
    value: &str,
    findings: &mut Findings<'_>,
) {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        findings.key_error(
            "spec.invalid-value",
            path,
            format!("`{name}` cannot be the name of a header"),
        );
    }
    super::environment::references_of(application, path, value, findings);
    if is_plain_secret(name, value) {
        // The value is not repeated, and the line that holds it is not shown.
        findings
            .key_error(
                "spec.plain-secret",
                path,
                format!("what `{name}` holds is a secret, and would be stored with the release"),
            )
            .without_value()
            .label("write `\"Bearer ${env:NAME}\"` or `\"${file:path}\"`");
    }
}

/// A login within an address is a secret that would be kept with it.
pub(super) fn no_login(path: &str, url: &str, findings: &mut Findings<'_>) {
    if let Some((before, _)) = url.split_once('@')
        && before
            .split_once("://")
            .is_some_and(|(_, login)| !login.contains('/'))
    {
        findings
            .key_error(
                "spec.plain-secret",
                path,
                "a login within an address would be stored and shown with it",
            )
            .without_value()
            .label("send it as `headers: {Authorization: \"Bearer ${env:NAME}\"}`");
    }
}

/// Whether a header of this name is a secret as a rule, and its value is one itself instead of a reference to it.
#[must_use]
pub fn is_plain_secret(name: &str, value: &str) -> bool {
    let name = name.to_lowercase();
    let secret = SECRET_HEADERS.iter().any(|part| name.contains(part));
    secret && !references(value).iter().any(crate::Reference::is_secret)
}

/// Why a text is no address, as far as it can be told before its references are put in.
pub(super) fn bad_url(url: &str) -> Option<&'static str> {
    // A reference at its beginning may stand for all of it.
    if url.starts_with("${") {
        return None;
    }
    let rest = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return Some("it begins with neither http:// nor https://"),
        None => return Some("http:// or https:// is missing"),
    };
    if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
        return Some("the host is missing");
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("there is a space in it");
    }
    None
}
