//! InfluxDB 2. The request is that of "Query with the InfluxDB API"
//! (<https://docs.influxdata.com/influxdb/v2/query-data/execute-queries/influx-api/>), the answers are those of
//! "Annotated CSV" (<https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/>).

use serde_json::json;

use crate::server::{answer, serve};
use crate::{provider, queries};

const DOCUMENTED: &str = "#group,false,false,true,true,false,false,true,true,true,true\r
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string,string\r
#default,mean,,,,,,,,,\r
,result,table,_start,_stop,_time,_value,_field,_measurement,host,region\r
,,0,2022-12-31T05:41:24Z,2023-01-31T05:41:24.001Z,2023-01-01T00:52:00Z,15.43,mem,m,A,east\r
,,1,2022-12-31T05:41:24Z,2023-01-31T05:41:24.001Z,2023-01-01T00:52:00Z,59.25,mem,m,B,east\r
,,2,2022-12-31T05:41:24Z,2023-01-31T05:41:24.001Z,2023-01-01T00:52:00Z,52.62,mem,m,C,east\r
\r
";

/// From the section "Errors" of the same page: one after the rows that came before it.
const FAILED_LATER: &str = "#datatype,string,long\r
,error,reference\r
,Failed to parse query,897\r
";

#[tokio::test]
async fn flux_is_posted_and_the_values_come_back() {
    let (address, told) = serve(vec![
        answer("200 OK", DOCUMENTED),
        answer("200 OK", "\r\n"),
        answer("200 OK", &format!("{DOCUMENTED}{FAILED_LATER}")),
    ]);
    let flux = "from(bucket: \"b\")\n  |> range(start: -12h)\n  |> mean()";
    let asked = provider(
        json!({"influxdb": {"address": address, "org": "my org", "query": flux,
        "headers": {"Authorization": "Token ${env:TOKEN}"}}}),
    );
    let found = queries().ask(&asked).await.unwrap();
    assert_eq!(found, json!([15.43, 59.25, 52.62]));
    let request = told.recv().unwrap();
    assert_eq!(request.line, "POST /api/v2/query?org=my+org HTTP/1.1");
    assert_eq!(request.header("authorization"), "Token s3cret");
    assert_eq!(request.header("accept"), "application/csv");
    assert_eq!(request.header("content-type"), "application/vnd.flux");
    assert_eq!(request.body, flux);
    assert_eq!(queries().ask(&asked).await.unwrap(), json!([]));
    let failed = queries().ask(&asked).await.unwrap_err().to_string();
    assert!(failed.contains("Failed to parse query"), "{failed}");
}
