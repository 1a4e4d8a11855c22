//! Queries against a real Prometheus, and against somebody who answers JSON.

#![cfg(test)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::mpsc;

use cutover_metrics::HttpQueries;
use cutover_model::{Diagnostic, Provider, Span};
use cutover_ports::QuerySource as _;
use cutover_testkit::PrometheusServer;
use serde_json::{Value, json};

fn queries() -> HttpQueries {
    HttpQueries::new(Box::new(|text| match text {
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
