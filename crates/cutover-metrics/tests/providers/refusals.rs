//! What is no answer, of each provider alike: it is the provider's failure, it is told in one line, and no secret is
//! in it.

use cutover_ports::PortError;
use serde_json::{Value, json};

use crate::server::{answer, serve};
use crate::{provider, queries};

/// Every provider at this address, with an error answer in its own form that repeats the secret it was asked with.
fn everybody(address: &str) -> Vec<(Value, &'static str)> {
    let authorization = json!({"Authorization": "Token ${env:TOKEN}"});
    vec![
        // https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview
        (
            json!({"prometheus": {"address": address, "query": "up", "headers": authorization}}),
            r#"{"status": "error", "errorType": "bad_data", "error": "invalid parameter, Token s3cret"}"#,
        ),
        (
            json!({"prometheus": {"address": address, "query": "up", "range": "5m", "headers": authorization}}),
            r#"{"status": "error", "errorType": "bad_data", "error": "invalid parameter, Token s3cret"}"#,
        ),
        (
            json!({"web": {"url": format!("{address}/a?token=hidden"), "headers": authorization}}),
            r#"{"message": "invalid parameter, Token s3cret"}"#,
        ),
        (
            json!({"web": {"url": address, "body": "{}", "headers": authorization}}),
            r#"{"message": "invalid parameter, Token s3cret"}"#,
        ),
        // graphite-web 1.1.8 says what is wrong in one line of text.
        (
            json!({"graphite": {"address": address, "query": "up", "headers": authorization}}),
            "invalid parameter, Token s3cret\n",
        ),
        // https://docs.influxdata.com/influxdb/v2/api/#operation/PostQuery, the answer of status 400
        (
            json!({"influxdb": {"address": address, "org": "o", "query": "up", "headers": authorization}}),
            r#"{"code": "invalid", "message": "invalid parameter, Token s3cret"}"#,
        ),
        // https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points, the answer of status 400
        (
            json!({"datadog": {"address": address, "query": "up",
                "headers": {"DD-API-KEY": "${env:A}", "DD-APPLICATION-KEY": "${env:B}"}}}),
            r#"{"errors": ["invalid parameter, Token s3cret"]}"#,
        ),
        (
            json!({"newRelic": {"address": address, "account": 7, "query": "up", "headers": {"API-Key": "${file:key}"}}}),
            r#"{"errors": [{"message": "invalid parameter, Token s3cret"}]}"#,
        ),
        // https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization
        (
            json!({"cloudWatch": {"address": address, "region": "r", "namespace": "n", "metricName": "m",
                "statistic": "Sum", "accessKeyId": "${env:ID}", "secretAccessKey": "${env:KEY}",
                "sessionToken": "${file:token}"}}),
            r#"{"__type": "com.amazonaws.cloudwatch#InvalidParameterValue", "message": "invalid parameter, Token s3cret"}"#,
        ),
    ]
}

/// What each says when it is answered so; without an answer it is answered with its own error.
async fn each(status: &str, body: Option<&str>) -> Vec<(String, PortError)> {
    each_but("nobody", status, body).await
}

async fn each_but(left_out: &str, status: &str, body: Option<&str>) -> Vec<(String, PortError)> {
    let mut all = Vec::new();
    for index in 0..everybody("").len() {
        if everybody("")[index].0.get(left_out).is_some() {
            continue;
        }
        let own = everybody("")[index].1;
        let (address, told) = serve(vec![answer(status, body.unwrap_or(own))]);
        let asked = provider(everybody(&address)[index].0.clone());
        let error = queries().ask(&asked).await.unwrap_err();
        assert_eq!(error.diagnostic.code, "metrics.unavailable");
        assert!(error.transient, "{error}");
        let whole = format!("{error} {error:?} {:?}", queries());
        for secret in ["s3cret", "hidden", "AKIDEXAMPLE"] {
            assert!(!whole.contains(secret), "{whole}");
        }
        assert!(!error.to_string().contains('\n'), "{error}");
        // It was asked once, whatever came of it.
        told.recv().unwrap();
        assert!(told.recv().is_err());
        all.push((asked.name().to_owned(), error));
    }
    all
}

#[tokio::test]
async fn an_error_answer_is_repeated_without_its_secrets() {
    for (name, error) in each("400 Bad Request", None).await {
        let said = error.to_string();
        assert!(
            said.contains("cannot be asked: status 400 Bad Request: invalid parameter, ")
                && said.contains("***"),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn an_error_page_is_not_repeated() {
    for page in [
        "<html>s3cret</html>",
        "Traceback:\n  s3cret\n",
        "[1]",
        "\u{ff}\0",
        "",
    ] {
        for (name, error) in each("503 Busy", Some(page)).await {
            assert!(
                error.to_string().contains("status 503 Service Unavailable"),
                "{name}: {error}"
            );
            assert!(!error.to_string().contains("html"), "{name}: {error}");
            assert!(!error.to_string().contains("Traceback"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_no_answer() {
    for (name, error) in each("200 OK", Some("<html>\n")).await {
        let said = error.to_string();
        let expected = if name == "influxdb" {
            "not annotated CSV"
        } else {
            "not JSON"
        };
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_too_long_answer_is_not_read_to_its_end() {
    let long = format!("[{}0]", "0,".repeat(600 * 1024));
    for (name, error) in each("200 OK", Some(&long)).await {
        assert!(error.to_string().contains("longer than 1 MiB"), "{name}: {error}");
    }
}

#[tokio::test]
async fn another_service_behind_the_address_gives_no_result() {
    // To `web` any JSON is an answer.
    for (name, error) in each_but("web", "200 OK", Some(r#"{"up": "s3cret"}"#)).await {
        let said = error.to_string();
        assert!(
            ["it is not ", "it gives no results", "not annotated CSV"]
                .iter()
                .any(|why| said.contains(why)),
            "{name}: {said}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for (name, error) in each("302 Found\r\nLocation: /elsewhere", Some("{}")).await {
        assert!(error.to_string().contains("status 302 Found"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_reference_that_is_not_set_is_told_and_nobody_is_asked() {
    for text in ["${env:MISSING}", "Bearer ${env:MISSING}"] {
        let asked = provider(json!({"web": {"url": "http://127.0.0.1:1/", "headers": {"X-Key": text}}}));
        let error = queries().ask(&asked).await.unwrap_err();
        assert_eq!(error.diagnostic.code, "spec.unresolved-reference");
        assert!(error.to_string().contains("MISSING"), "{error}");
    }
    let keys = provider(
        json!({"cloudWatch": {"region": "r", "namespace": "n", "metricName": "m", "statistic": "Sum",
        "accessKeyId": "${env:ID}", "secretAccessKey": "${env:MISSING}"}}),
    );
    let error = queries().ask(&keys).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "spec.unresolved-reference");
}

#[tokio::test]
async fn whoever_does_not_answer_in_time_or_at_all_cannot_be_asked() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let asked = provider(json!({"web": {"url": address, "timeout": "50ms"}}));
    let error = queries().ask(&asked).await.unwrap_err().to_string();
    assert!(error.contains("no answer in time"), "{error}");
    drop(silent);
    let error = queries().ask(&asked).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn https_is_spoken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let hello = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut record = [0; 3];
        std::io::Read::read_exact(&mut stream, &mut record).unwrap();
        record
    });
    let asked = provider(
        json!({"datadog": {"address": address, "query": "up", "headers": {"DD-API-KEY": "${env:A}"}}}),
    );
    let error = queries().ask(&asked).await.unwrap_err();
    assert_eq!(error.diagnostic.code, "metrics.unavailable");
    // A handshake record of TLS: no key was sent in the clear.
    assert_eq!(hello.join().unwrap()[..2], [22, 3]);
}
