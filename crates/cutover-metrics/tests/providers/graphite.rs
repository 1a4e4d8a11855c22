//! Graphite. The answers are those of "The Render URL API", section "Data Display Formats: json"
//! (<https://graphite.readthedocs.io/en/latest/render_api.html#format>).

use serde_json::json;

use crate::server::{answer, serve};
use crate::{provider, queries};

#[tokio::test]
async fn a_target_is_rendered_as_json() {
    let documented = r#"[{
        "target": "entries",
        "datapoints": [[1.0, 1311836008], [2.0, 1311836009], [3.0, 1311836010], [5.0, 1311836011], [6.0, 1311836012]]
    }]"#;
    // As graphite-web 1.1.8 answered of a metric with gaps.
    let gaps = r#"[{"target": "shop.errors", "tags": {"name": "shop.errors"}, "datapoints": [[1.5, 1795887420], [2.0, 1795887480],
        [null, 1795887540], [7.0, 1795887600], [null, 1795887660]]}, {"target": "b", "datapoints": []}]"#;
    let (address, told) = serve(vec![
        answer("200 OK", documented),
        answer("200 OK", gaps),
        answer("200 OK", "[]"),
    ]);
    let target = r#"averageSeries(server.web*.load, "x")"#;
    let asked = provider(
        json!({"graphite": {"address": format!("{address}/"), "query": target,
        "headers": {"Authorization": "Basic ${env:BASIC}"}}}),
    );
    let found = queries().ask(&asked).await.unwrap();
    assert_eq!(found, json!([[1.0, 2.0, 3.0, 5.0, 6.0]]));
    let request = told.recv().unwrap();
    assert_eq!(
        request.line,
        "GET /render?target=averageSeries%28server.web*.load%2C+%22x%22%29&format=json&from=-300s&until=now HTTP/1.1"
    );
    assert_eq!(request.header("authorization"), "Basic s3cret");
    let asked = provider(
        json!({"graphite": {"address": format!("{address}/graphite"), "query": "a", "range": "90m"}}),
    );
    let found = queries().ask(&asked).await.unwrap();
    assert_eq!(found, json!([[1.5, 2.0, null, 7.0, null], []]));
    assert_eq!(
        told.recv().unwrap().line,
        "GET /graphite/render?target=a&format=json&from=-5400s&until=now HTTP/1.1"
    );
    assert_eq!(queries().ask(&asked).await.unwrap(), json!([]));
}
