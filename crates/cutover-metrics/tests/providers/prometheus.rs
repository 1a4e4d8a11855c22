//! Queries against a real Prometheus.

use cutover_analysis::{AnalysisState, Assessment, Mode, Reading, measure, queries_due};
use cutover_metrics::HttpQueries;
use cutover_model::{AnalysisTemplate, Metric, Provider, Timestamp, Verdict};
use cutover_testkit::PrometheusServer;
use serde_json::{Value, json};

use crate::server::{answer, serve};
use crate::{NOW, provider, queries};

fn prometheus(address: &str, query: &str) -> Provider {
    provider(json!({"prometheus": {"address": address, "query": query}}))
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
    for (query, range, step, expected) in [
        ("vector(0.25)", "1m", "30s", json!([[0.25, 0.25]])),
        ("scalar(vector(3))", "1s", "1s", json!([[3.0]])),
        ("absent(nothing) > 2", "5m", "30s", json!([])),
        // The moments themselves: the last one is now.
        (
            "time()",
            "1500ms",
            "500ms",
            json!([[NOW as f64 - 1.0, NOW as f64 - 0.5, NOW as f64]]),
        ),
    ] {
        let asked = json!({"prometheus": {"address": address, "query": query, "range": range, "step": step}});
        let found = queries.ask(&provider(asked)).await;
        assert_eq!(found.unwrap(), expected, "{query}");
    }
    let asked = json!({"prometheus": {"address": address, "query": "up", "range": "365d", "step": "1s"}});
    let long = queries.ask(&provider(asked)).await.unwrap_err().to_string();
    assert!(
        long.contains("400") && long.contains("exceeded maximum resolution"),
        "{long}"
    );
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

#[tokio::test]
async fn a_range_goes_to_another_path_and_ends_now() {
    let matrix = r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {},
        "values": [[1799999970, "1"], [1800000000, "NaN"]]}]}}"#;
    let (address, told) = serve(vec![
        answer("200 OK", matrix),
        answer("200 OK", matrix),
        answer("200 OK", matrix),
    ]);
    let ask = |more: &str| {
        let mut asked = json!({"prometheus": {"address": format!("{address}/"), "query": "up{a=\"b\"}"}});
        for pair in more.split_whitespace() {
            let (key, value) = pair.split_once('=').unwrap();
            asked["prometheus"][key] = json!(value);
        }
        provider(asked)
    };
    for (more, place, of, expected) in [
        ("", 0, 2, "query?query=up%7Ba%3D%22b%22%7D"),
        (
            "range=5m",
            8,
            10,
            "query_range?query=up%7Ba%3D%22b%22%7D&start=1799999730.000&end=1800000000.000&step=30.000",
        ),
        (
            "range=1m step=1500ms",
            19,
            40,
            "query_range?query=up%7Ba%3D%22b%22%7D&start=1799999941.500&end=1800000000.000&step=1.500",
        ),
    ] {
        let mut points = vec![Value::Null; of];
        points[place] = json!(1.0);
        assert_eq!(queries().ask(&ask(more)).await.unwrap(), json!([points]));
        assert_eq!(
            told.recv().unwrap().line,
            format!("GET /api/v1/{expected} HTTP/1.1")
        );
    }
}
