//! Whoever answers with JSON.

use serde_json::json;

use crate::server::{answer, serve};
use crate::{provider, queries};

#[tokio::test]
async fn a_get_has_resolved_fields_and_no_body() {
    let (address, told) = serve(vec![answer("200 OK", r#"{"data": {"ok": 7}}"#)]);
    let asked = provider(json!({"web": {"url": format!("{address}/a?b=c"),
        "headers": {"Authorization": "Bearer ${env:TOKEN}"}}}));
    let found = queries().ask(&asked).await;
    assert_eq!(found.unwrap(), json!({"data": {"ok": 7}}));
    let request = told.recv().unwrap();
    assert_eq!(request.line, "GET /a?b=c HTTP/1.1");
    assert_eq!(request.header("authorization"), "Bearer s3cret");
    assert_eq!(request.header("content-type"), "");
    assert_eq!(request.body, "");
}

#[tokio::test]
async fn with_a_body_it_is_a_post_of_json_unless_a_header_says_otherwise() {
    let (address, told) = serve(vec![answer("200 OK", "1"), answer("200 OK", "2")]);
    let body = r#"{"version": "${candidate.version}", "secret": "${env:TOKEN}"}"#;
    let asked = provider(json!({"web": {"url": address, "body": body}}));
    let asked = asked.about(&"api@1.1.0#a1".parse().unwrap(), None);
    assert_eq!(queries().ask(&asked).await.unwrap(), json!(1));
    let request = told.recv().unwrap();
    assert_eq!(request.line, "POST / HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/json");
    // A reference in a body stays what it is.
    assert_eq!(request.body, r#"{"version": "1.1.0", "secret": "${env:TOKEN}"}"#);
    let asked = provider(json!({"web": {"url": address, "body": "a=b",
        "headers": {"Content-Type": "application/x-www-form-urlencoded"}}}));
    assert_eq!(queries().ask(&asked).await.unwrap(), json!(2));
    let request = told.recv().unwrap();
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert_eq!(request.body, "a=b");
}

#[tokio::test]
async fn a_path_picks_a_part_and_what_is_not_there_is_no_data() {
    let said = r#"{"data": [{"value": 0.25}], "a/b": 3}"#;
    for (path, expected) in [
        ("/data/0/value", json!(0.25)),
        ("/data/0", json!({"value": 0.25})),
        ("/a~1b", json!(3)),
        ("/data/1/value", json!(null)),
        ("/data/value", json!(null)),
    ] {
        let (address, _told) = serve(vec![answer("200 OK", said)]);
        let asked = provider(json!({"web": {"url": address, "path": path}}));
        assert_eq!(queries().ask(&asked).await.unwrap(), expected, "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_a_secret_is_a_result_without_it() {
    let echo = r#"{"headers": ["Bearer s3cret"], "s3cret": 1, "rate": 0.5}"#;
    let (address, _told) = serve(vec![answer("200 OK", echo)]);
    let asked =
        provider(json!({"web": {"url": address, "headers": {"Authorization": "Bearer ${env:TOKEN}"}}}));
    assert_eq!(
        queries().ask(&asked).await.unwrap(),
        json!({"headers": ["Bearer ***"], "***": 1, "rate": 0.5})
    );
}
