//! Datadog. Request and answers are those of "Query timeseries points"
//! (<https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>).

use serde_json::json;

use crate::server::{answer, serve};
use crate::{NOW, provider, queries};

const DOCUMENTED: &str = r#"{
    "error": null, "from_date": 1710000000000, "group_by": ["host"], "message": "success",
    "query": "avg:system.cpu.user{*}", "res_type": "time_series",
    "series": [{
        "aggr": "avg", "display_name": "system.cpu.user", "end": 1710003600000, "expression": "avg:system.cpu.user{*}",
        "interval": 60000, "length": 3, "metric": "system.cpu.user",
        "pointlist": [[1710000000000, 12.3], [1710000060000, null], [1710000120000, 11.8]],
        "query_index": 0, "scope": "*", "start": 1710000000000, "tag_set": ["host:ip-10-0-0-12"], "unit": [null, null]
    }],
    "status": "ok", "to_date": 1710003600000
}"#;

#[tokio::test]
async fn series_are_lists_of_their_points() {
    let (address, told) = serve(vec![
        answer("200 OK", DOCUMENTED),
        answer("200 OK", r#"{"status": "ok", "series": []}"#),
        answer(
            "200 OK",
            r#"{"status": "error", "error": "Rule 'scope_expr' didn't match", "series": []}"#,
        ),
        answer("200 OK", r#"{"status": "ok"}"#),
    ]);
    let asked = provider(
        json!({"datadog": {"address": address, "query": "avg:system.cpu.user{*}", "range": "10m",
        "headers": {"DD-API-KEY": "${env:API}", "DD-APPLICATION-KEY": "${env:APPLICATION}"}}}),
    );
    let found = queries().ask(&asked).await.unwrap();
    assert_eq!(found, json!([[12.3, null, 11.8]]));
    let request = told.recv().unwrap();
    assert_eq!(
        request.line,
        format!(
            "GET /api/v1/query?from={}&to={NOW}&query=avg%3Asystem.cpu.user%7B*%7D HTTP/1.1",
            NOW - 600
        )
    );
    assert_eq!(request.header("dd-api-key"), "s3cret");
    assert_eq!(request.header("dd-application-key"), "s3cret");
    assert_eq!(queries().ask(&asked).await.unwrap(), json!([]));
    let failed = queries().ask(&asked).await.unwrap_err().to_string();
    assert!(failed.contains("Rule 'scope_expr' didn't match"), "{failed}");
    let strange = queries().ask(&asked).await.unwrap_err().to_string();
    assert!(strange.contains("not Datadog's answer"), "{strange}");
}
