//! Metrics providers over HTTP: there is somebody to ask and something to ask for, and no secret stands in the file.

use std::collections::BTreeMap;

use cutover_model::{
    CloudWatchQuery, DatadogQuery, GraphiteQuery, InfluxDbQuery, NewRelicQuery, PrometheusQuery, Provider,
    Span, WebQuery,
};

use crate::Application;
use crate::findings::Findings;
use crate::reference::references;

/// What CloudWatch keeps values of, below a minute.
const SHORT_PERIODS: [Span; 5] = [
    Span::from_secs(1),
    Span::from_secs(5),
    Span::from_secs(10),
    Span::from_secs(20),
    Span::from_secs(30),
];

const MINUTE: Span = Span::from_mins(1);

/// The finest that these providers tell times apart.
const SECOND: Span = Span::from_secs(1);

pub(super) fn check(application: &Application, at: &str, provider: &Provider, findings: &mut Findings<'_>) {
    let instead = match provider {
        Provider::CloudWatch(_) => "write what it stands for",
        _ => "write what it stands for; a secret belongs into `headers`",
    };
    let mut asked = Asked {
        application,
        at,
        instead,
        findings,
    };
    match provider {
        Provider::Prometheus(query) => asked.prometheus(query),
        Provider::Web(query) => asked.web(query),
        Provider::Graphite(query) => asked.graphite(query),
        Provider::InfluxDb(query) => asked.influxdb(query),
        Provider::Datadog(query) => asked.datadog(query),
        Provider::NewRelic(query) => asked.new_relic(query),
        Provider::CloudWatch(query) => asked.cloud_watch(query),
        Provider::Sql { .. } | Provider::Command { .. } | Provider::Logs { .. } | Provider::Resources {} => {}
    }
}

/// One provider of the file.
struct Asked<'a, 'b> {
    application: &'a Application,
    at: &'a str,
    /// What to do with a reference where none is looked up.
    instead: &'static str,
    findings: &'a mut Findings<'b>,
}

impl Asked<'_, '_> {
    fn prometheus(&mut self, query: &PrometheusQuery) {
        self.address("address", &query.address);
        self.text("query", &query.query);
        match (query.range, query.step) {
            (None, Some(_)) => {
                self.findings
                    .error(
                        "spec.no-effect",
                        &self.path("step"),
                        "without `range` only one moment is asked about, which has no steps",
                    )
                    .label("add `range: 5m`, or leave it out");
            }
            (Some(range), step) => {
                let step = step.unwrap_or(PrometheusQuery::STEP);
                super::health::positive(&self.path("step"), step, self.findings);
                self.at_least("range", range, step, "a step");
            }
            (None, None) => {}
        }
        self.sent(&query.headers, query.timeout);
    }

    fn web(&mut self, query: &WebQuery) {
        self.address("url", &query.url);
        if let Some(body) = &query.body {
            self.no_references("body", body);
        }
        if let Some(path) = query.path.as_ref().filter(|path| !path.starts_with('/')) {
            self.findings
                .error(
                    "spec.invalid-value",
                    &self.path("path"),
                    format!("`{path}` is no path into an answer: each step of it begins with a slash"),
                )
                .label(format!(
                    "did you mean `/{}`?",
                    path.replace(['.', '['], "/").replace(']', "")
                ));
        }
        self.sent(&query.headers, query.timeout);
    }

    fn graphite(&mut self, query: &GraphiteQuery) {
        self.address("address", &query.address);
        self.text("query", &query.query);
        self.at_least("range", query.range, SECOND, "what Graphite tells apart");
        self.sent(&query.headers, query.timeout);
    }

    fn influxdb(&mut self, query: &InfluxDbQuery) {
        self.address("address", &query.address);
        self.text("org", &query.org);
        self.text("query", &query.query);
        self.sent(&query.headers, query.timeout);
    }

    fn datadog(&mut self, query: &DatadogQuery) {
        self.address("address", &query.address);
        self.text("query", &query.query);
        self.at_least("range", query.range, SECOND, "what Datadog tells apart");
        self.has_header(&query.headers, "DD-API-KEY");
        self.has_header(&query.headers, "DD-APPLICATION-KEY");
        self.sent(&query.headers, query.timeout);
    }

    fn new_relic(&mut self, query: &NewRelicQuery) {
        self.address("address", &query.address);
        if query.account == 0 {
            let path = self.path("account");
            self.findings
                .error("spec.invalid-value", &path, "0 is the number of no account");
        }
        self.text("query", &query.query);
        self.has_header(&query.headers, "API-Key");
        self.sent(&query.headers, query.timeout);
    }

    fn cloud_watch(&mut self, query: &CloudWatchQuery) {
        match &query.address {
            Some(address) => self.address("address", address),
            None => self.region(&query.region),
        }
        for (key, text) in [
            ("region", &query.region),
            ("namespace", &query.namespace),
            ("metricName", &query.metric_name),
            ("statistic", &query.statistic),
        ] {
            self.text(key, text);
        }
        for (name, value) in &query.dimensions {
            self.no_references(&format!("dimensions.{name}"), value);
        }
        let (period, minute) = (query.period, MINUTE.as_millis());
        let whole = period >= MINUTE && period.as_millis().is_multiple_of(minute);
        if !whole && !SHORT_PERIODS.contains(&period) {
            self.findings
                .error(
                    "spec.invalid-value",
                    &self.path("period"),
                    format!("CloudWatch has no values of {period}"),
                )
                .label("1s, 5s, 10s, 20s, 30s, or whole minutes");
        }
        self.at_least("range", query.range, period, "a period");
        self.secret("accessKeyId", &query.access_key_id);
        self.secret("secretAccessKey", &query.secret_access_key);
        if let Some(token) = &query.session_token {
            self.secret("sessionToken", token);
        }
        super::health::positive(&self.path("timeout"), query.timeout, self.findings);
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.at)
    }

    /// It is part of an address.
    fn region(&mut self, region: &str) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !region.chars().all(fits) {
            self.findings
                .error(
                    "spec.invalid-value",
                    &self.path("region"),
                    format!("`{region}` is no region"),
                )
                .label("such as `eu-central-1`");
        }
    }

    fn address(&mut self, key: &str, address: &str) {
        let path = self.path(key);
        super::gates::no_login(&path, address, self.findings);
        let reference = self.no_references(key, address);
        // The address of an API is its beginning; a web query's is all of it.
        let cause = match super::gates::bad_url(address) {
            None if address.starts_with("${") => Some("http:// or https:// is missing"),
            None if key == "address" && address.contains(['?', '#']) => Some("nothing can follow it"),
            cause => cause,
        };
        if let Some(cause) = cause.filter(|_| !reference) {
            self.findings
                .error(
                    "spec.invalid-value",
                    &path,
                    format!("this is no address that can be asked over HTTP: {cause}"),
                )
                .label("such as `http://127.0.0.1:9090`");
        }
    }

    /// What must be there and is no secret.
    fn text(&mut self, key: &str, text: &str) {
        if text.trim().is_empty() {
            let path = self.path(key);
            self.findings.error(
                "spec.invalid-value",
                &path,
                format!("`{key}` is empty, so nothing is asked for"),
            );
        }
        self.no_references(key, text);
    }

    /// What they stand for would be stored and shown with the text that they stand in. Whether there is one.
    fn no_references(&mut self, key: &str, text: &str) -> bool {
        let secret = references(text).into_iter().next();
        if let Some(reference) = &secret {
            self.findings
                .error(
                    "spec.invalid-reference",
                    &self.path(key),
                    format!(
                        "{reference} is not looked up here: what it stands for would be stored and shown"
                    ),
                )
                .label(self.instead);
        }
        secret.is_some()
    }

    /// A key of its own that is a secret: it must be one reference and nothing else.
    fn secret(&mut self, key: &str, text: &str) {
        let one = references(text);
        let alone = matches!(&one[..], [one] if one.is_secret() && one.to_string() == text);
        if !alone {
            self.findings
                .key_error(
                    "spec.plain-secret",
                    &self.path(key),
                    format!("`{key}` is a secret, and would be stored with the release"),
                )
                .without_value()
                .label("write `\"${env:NAME}\"` or `\"${file:path}\"`");
        }
    }

    fn has_header(&mut self, headers: &BTreeMap<String, String>, name: &str) {
        if !headers.keys().any(|key| key.eq_ignore_ascii_case(name)) {
            self.findings
                .error(
                    "spec.missing-key",
                    &self.path("headers"),
                    format!("without `{name}` nothing is answered"),
                )
                .label(format!("add `{name}: \"${{env:NAME}}\"`"));
        }
    }

    fn at_least(&mut self, key: &str, span: Span, least: Span, what: &str) {
        if span < least {
            self.findings
                .error(
                    "spec.invalid-value",
                    &self.path(key),
                    format!("{span} is shorter than {what}"),
                )
                .label(format!("at least {least}"));
        }
    }

    fn sent(&mut self, headers: &BTreeMap<String, String>, timeout: Span) {
        super::health::positive(&self.path("timeout"), timeout, self.findings);
        for (name, value) in headers {
            let path = self.path(&format!("headers.{name}"));
            super::gates::header(self.application, &path, name, value, self.findings);
            let own = ["host", "content-length", "transfer-encoding"];
            if own.contains(&name.to_lowercase().as_str()) {
                self.findings
                    .key_error("spec.conflict", &path, format!("`{name}` is set by cutover"));
            }
        }
    }
}
