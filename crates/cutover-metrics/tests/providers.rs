//! Queries against a real Prometheus, and against somebody who answers JSON.

#![cfg(test)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::{Arc, mpsc};

use cutover_analysis::{AnalysisState, Assessment, Mode, Reading, measure, queries_due};
use cutover_metrics::HttpQueries;
use cutover_model::{AnalysisTemplate, Diagnostic, Metric, Provider, Span, Timestamp, Verdict};
use cutover_testkit::PrometheusServer;
use serde_json::{Value, json};

fn queries() -> HttpQueries {
    HttpQueries::new(Arc::new(|text| match text {
        "Bearer ${env:TOKEN}" => Ok("Bearer s3cret".to_owned()),
        "${env:MISSING}" => {
            Err(Diagnostic::error("spec.reference", "MISSING is not set").help("export MISSING="))
        }
        other => Ok(other.to_owned()),
    }))
    .unwrap()
}

fn prometheus(address: &str, query: &str) -> Provider {
    Provider::Prometheus {
        address: address.to_owned(),
        query: query.to_owned(),
        headers: BTreeMap::new(),
        timeout: Span::from_secs(10),
    }
}

#[tokio::test]
async fn prometheus_is_asked_and_its_death_is_an_error_of_its_own() {
    let Some(mut server) = PrometheusServer::start().await.unwrap() else {
        return;
    };
    let (queries, address) = (queries(), server.address());
    for (query, expected) in [
        ("vector(0.25)", json!([0.25])),
        ("scalar(vector(3))", json!(3.0)),
        ("vector(0) / vector(0)", json!([null])),
        ("absent(nothing) > 2", json!([])),
        ("vector(1)[30s:30s] offset 1m", json!([[1.0]])),
    ] {
        let found = queries.ask(&prometheus(&address, query)).await;
        assert_eq!(found.unwrap(), expected, "{query}");
    }
    let wrong = queries.ask(&prometheus(&address, "rate(")).await.unwrap_err();
    assert_eq!(wrong.diagnostic.code, "metrics.unavailable");
    assert!(
        wrong.to_string().contains("400") && wrong.to_string().contains("parse error"),
        "{wrong}"
    );
    server.kill();
    let gone = queries.ask(&prometheus(&address, "vector(1)")).await.unwrap_err();
    assert!(
        gone.transient && gone.diagnostic.code == "metrics.unavailable",
        "{gone}"
    );
}

/// A canary that is judged by what a Prometheus says, with a clock of its own.
struct Canary {
    template: AnalysisTemplate,
    state: AnalysisState,
    now: Timestamp,
}

impl Canary {
    fn new(provider: Provider) -> Self {
        let metric = Metric::Query {
            provider,
            success_condition: Some("result[0] < 0.5".to_owned()),
            failure_condition: None,
        };
        let template = json!({"interval": "30s", "count": 2, "minRequests": 0, "metrics": []});
        let mut template: AnalysisTemplate = serde_json::from_value(template).unwrap();
        template.metrics.push(metric);
        Self {
            template,
            state: AnalysisState::default(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// One look, when it is due: as the engine does it.
    async fn look(&mut self, queries: &HttpQueries) -> Assessment {
        let mut reading = Reading::default();
        for provider in queries_due(&self.template, &self.state, self.now) {
            let answer = queries.ask(provider).await;
            reading.answers.push(answer.map_err(|error| error.to_string()));
        }
        let state = std::mem::take(&mut self.state);
        let (state, said) = measure(&self.template, Mode::Inline, state, Ok(reading), self.now);
        self.state = state;
        self.now = said.next.unwrap_or(self.now);
        said
    }

    async fn until(&mut self, queries: &HttpQueries, done: impl Fn(&Assessment) -> bool) -> Assessment {
        for _ in 0..200 {
            let said = self.look(queries).await;
            assert_ne!(said.verdict, Some(Verdict::Failed), "{}", said.because);
            if done(&said) {
                return said;
            }
        }
        panic!("it never came to that");
    }
}

#[tokio::test]
async fn prometheus_is_killed_in_the_middle_and_comes_back() {
    let Some(mut server) = PrometheusServer::start().await.unwrap() else {
        return;
    };
    let queries = queries();
    let mut canary = Canary::new(prometheus(&server.address(), "vector(0.25)"));
    let good = canary.until(&queries, |said| said.measured).await;
    assert!(
        good.because.contains("measurement 1 of 2 good"),
        "{}",
        good.because
    );
    server.kill();
    let blind = canary.until(&queries, |said| said.verdict.is_some()).await;
    assert_eq!(blind.verdict, Some(Verdict::Error), "{}", blind.because);
    assert!(blind.because.contains("5 times in a row"), "{}", blind.because);
    // Held, and asked again for as long as it is gone.
    for _ in 0..3 {
        assert_eq!(canary.look(&queries).await.verdict, Some(Verdict::Error));
    }
    server.start_again().await.unwrap();
    let end = canary
        .until(&queries, |said| {
            said.verdict.is_none_or(|verdict| verdict != Verdict::Error)
        })
        .await;
    assert_eq!(end.verdict, Some(Verdict::Successful), "{}", end.because);
}

/// Answers one request after the other with these; tells what was asked.
fn web(answers: Vec<String>) -> (String, mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            tell.send(head.join("\n")).unwrap();
            write!(stream, "HTTP/1.1 {answer}").unwrap();
        }
    });
    (address, told)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "{status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn get(url: String, headers: &[(&str, &str)]) -> Provider {
    Provider::Web {
        url,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        timeout: Span::from_secs(10),
    }
}

#[tokio::test]
async fn whoever_answers_json_is_asked_with_resolved_fields() {
    let (address, told) = web(vec![
        answer("200 OK", r#"{"data": {"ok": 7}}"#),
        answer("200 OK", "<html>"),
        answer("503 Busy", r#"{"error": "overloaded"}"#),
    ]);
    let queries = queries();
    let bearer = [("Authorization", "Bearer ${env:TOKEN}")];
    let found = queries.ask(&get(format!("{address}/a?b=c"), &bearer)).await;
    assert_eq!(found.unwrap(), json!({"data": {"ok": 7}}) as Value);
    let asked = told.recv().unwrap();
    assert!(
        asked.starts_with("GET /a?b=c ") && asked.contains("Bearer s3cret"),
        "{asked}"
    );
    let url = format!("{address}/?token=hidden");
    let page = queries.ask(&get(url.clone(), &[])).await.unwrap_err().to_string();
    assert!(page.contains("not JSON") && !page.contains("hidden"), "{page}");
    let busy = queries.ask(&get(url, &[])).await.unwrap_err().to_string();
    assert!(
        busy.contains("503") && busy.contains("overloaded") && !busy.contains("hidden"),
        "{busy}"
    );
    let unset = queries
        .ask(&get(address, &[("X-Key", "${env:MISSING}")]))
        .await
        .unwrap_err();
    assert_eq!(unset.diagnostic.code, "spec.reference");
}
