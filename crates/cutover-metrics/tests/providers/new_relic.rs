//! New Relic. Request and answers are those of "NerdGraph tutorial: Query your data with NRQL"
//! (<https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/>); errors come as the GraphQL
//! specification says (<https://spec.graphql.org/October2021/#sec-Errors>).

use serde_json::{Value, json};

use crate::server::{answer, serve};
use crate::{provider, queries};

#[tokio::test]
async fn nrql_is_a_variable_and_its_results_come_back() {
    let results = |results: &str| {
        let body = format!(r#"{{"data": {{"actor": {{"account": {{"nrql": {{"results": {results}}}}}}}}}}}"#);
        answer("200 OK", &body)
    };
    let (address, told) = serve(vec![
        results(r#"[{"count": 1000}]"#),
        results("[]"),
        results("null"),
        answer(
            "200 OK",
            r#"{"data": {"actor": {"account": {"nrql": null}}}, "errors": [{"message": "NRQL Syntax Error: Error at line 1",
                "path": ["actor", "account", "nrql"], "extensions": {"errorClass": "INVALID_INPUT"}}]}"#,
        ),
        answer("200 OK", r#"{"errors": [{}]}"#),
    ]);
    let nrql = r#"SELECT count(*) FROM Transaction WHERE name = 'a "b"' SINCE 5 minutes ago"#;
    let asked = provider(
        json!({"newRelic": {"address": address, "account": 7, "query": nrql,
        "headers": {"API-Key": "${env:KEY}"}}}),
    );
    let found = queries().ask(&asked).await.unwrap();
    assert_eq!(found, json!([{"count": 1000}]));
    let request = told.recv().unwrap();
    assert_eq!(request.line, "POST /graphql HTTP/1.1");
    assert_eq!(request.header("api-key"), "s3cret");
    assert_eq!(request.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["variables"], json!({"account": 7, "nrql": nrql}));
    assert_eq!(
        body["query"],
        "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) { nrql(query: $nrql) { results } } } }"
    );
    assert_eq!(queries().ask(&asked).await.unwrap(), json!([]));
    for expected in [
        "no results",
        "NRQL Syntax Error: Error at line 1",
        "without a message",
    ] {
        let failed = queries().ask(&asked).await.unwrap_err().to_string();
        assert!(failed.contains(expected), "{failed}");
    }
}
