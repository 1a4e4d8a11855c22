//! Amazon CloudWatch. Request and answers are those of "GetMetricData" and "MetricDataResult" in the API reference
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>) in the form of the AWS
//! JSON 1.0 protocol (<https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html>).

use serde_json::{Value, json};

use crate::server::{answer, serve};
use crate::{NOW, provider, queries};

fn of(result: &str, more: &str) -> String {
    answer(
        "200 OK",
        &format!(r#"{{"MetricDataResults": [{result}], "Messages": []{more}}}"#),
    )
}

#[tokio::test]
async fn one_metric_is_asked_for_with_a_signature() {
    let documented = r#"{"Id": "result", "Label": "errors", "StatusCode": "Complete",
        "Timestamps": [1799999880, 1799999940, 1.79999996E9], "Values": [3, 0.0, 12.5]}"#;
    let (address, told) = serve(vec![
        of(documented, ""),
        of(
            r#"{"Id": "result", "StatusCode": "Complete", "Timestamps": [], "Values": []}"#,
            "",
        ),
    ]);
    let asked = provider(
        json!({"cloudWatch": {"address": address, "region": "eu-central-1",
        "namespace": "AWS/ApplicationELB", "metricName": "HTTPCode_Target_5XX_Count",
        "dimensions": {"TargetGroup": "api/${candidate.version}"}, "statistic": "Sum",
        "accessKeyId": "${env:ID}", "secretAccessKey": "${env:KEY}", "sessionToken": "${env:TOKEN}"}}),
    );
    let asked = asked.about(&"api@1.1.0#a1".parse().unwrap(), None);
    let found = queries().ask(&asked).await.unwrap();
    assert_eq!(found, json!([3, 0.0, 12.5]));
    let request = told.recv().unwrap();
    assert_eq!(request.line, "POST / HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/x-amz-json-1.0");
    assert_eq!(
        request.header("x-amz-target"),
        "GraniteServiceVersion20100801.GetMetricData"
    );
    assert_eq!(request.header("x-amz-date"), "20270115T080000Z");
    assert_eq!(request.header("x-amz-security-token"), "s3cret");
    let (signed, signature) = request
        .header("authorization")
        .split_once(", Signature=")
        .unwrap();
    assert_eq!(
        signed,
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/eu-central-1/monitoring/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
    );
    assert!(signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit()));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        body,
        json!({"StartTime": NOW - 300, "EndTime": NOW, "ScanBy": "TimestampAscending", "MetricDataQueries": [{
            "Id": "result", "MetricStat": {"Period": 60, "Stat": "Sum", "Metric": {
                "Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count",
                "Dimensions": [{"Name": "TargetGroup", "Value": "api/1.1.0"}]}}}]})
    );
    assert_eq!(queries().ask(&asked).await.unwrap(), json!([]));
}

#[tokio::test]
async fn a_part_of_the_values_is_no_result() {
    let partial = r#"{"Id": "result", "StatusCode": "PartialData", "Timestamps": [1], "Values": [1]}"#;
    let broken = r#"{"Id": "result", "StatusCode": "InternalError", "Messages": [{"Code": "x", "Value": "try again"}]}"#;
    let complete = r#"{"Id": "result", "StatusCode": "Complete", "Timestamps": [1], "Values": [1]}"#;
    for (said, expected) in [
        (of(partial, ""), "not complete (PartialData)"),
        (of(broken, ""), "not complete (InternalError: try again)"),
        (
            of(complete, r#", "NextToken": "more""#),
            "not complete (Complete)",
        ),
        (
            answer("200 OK", r#"{"MetricDataResults": []}"#),
            "not CloudWatch's answer",
        ),
        (
            of(r#"{"StatusCode": "Complete", "Values": ["1"]}"#, ""),
            "not CloudWatch's answer",
        ),
    ] {
        let (address, _told) = serve(vec![said]);
        let asked = provider(
            json!({"cloudWatch": {"address": address, "region": "eu-central-1", "namespace": "n",
            "metricName": "m", "statistic": "p99", "accessKeyId": "${env:ID}", "secretAccessKey": "${env:KEY}"}}),
        );
        let failed = queries().ask(&asked).await.unwrap_err().to_string();
        assert!(failed.contains(expected), "{failed}");
    }
}
