//! Amazon CloudWatch's `GetMetricData`
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>), by its JSON protocol, as
//! AWS's own command line asks it.

use cutover_model::{CloudWatchQuery, Timestamp};
use cutover_ports::PortError;
use serde_json::{Value, json};

use crate::http::{Request, shown};
use crate::signature::{self, Keys};
use crate::{failed, series};

/// The name by which requests are signed.
const SERVICE: &str = "monitoring";

/// The keys, looked up.
pub(crate) fn keys(
    query: &CloudWatchQuery,
    mut look_up: impl FnMut(&str) -> Result<String, PortError>,
) -> Result<Keys, PortError> {
    Ok(Keys {
        id: look_up(&query.access_key_id)?,
        secret: look_up(&query.secret_access_key)?,
        token: query.session_token.as_deref().map(look_up).transpose()?,
    })
}

pub(crate) fn request(query: &CloudWatchQuery, keys: &Keys, now: Timestamp) -> Result<Request, PortError> {
    let address = match &query.address {
        Some(address) => address.clone(),
        None => format!("https://{SERVICE}.{}.amazonaws.com", query.region),
    };
    let url = format!("{}/", address.trim_end_matches('/'));
    let parsed = reqwest::Url::parse(&url).map_err(|error| failed(&shown(&address), &error.to_string()))?;
    let (from, until) = series::seconds(now, query.range);
    let dimensions = query.dimensions.iter();
    let body = json!({
        "StartTime": from,
        "EndTime": until,
        "ScanBy": "TimestampAscending",
        "MetricDataQueries": [{
            "Id": "result",
            "MetricStat": {
                "Metric": {
                    "Namespace": query.namespace,
                    "MetricName": query.metric_name,
                    "Dimensions": dimensions.map(|(name, value)| json!({"Name": name, "Value": value})).collect::<Vec<_>>(),
                },
                "Period": query.period.as_millis() / 1000,
                "Stat": query.statistic,
            },
        }],
    });
    let body = body.to_string();
    let mut fixed = vec![
        ("content-type", "application/x-amz-json-1.0".to_owned()),
        (
            "x-amz-target",
            "GraniteServiceVersion20100801.GetMetricData".to_owned(),
        ),
    ];
    fixed.extend(signature::headers(
        keys,
        (&query.region, SERVICE),
        now,
        &parsed,
        &fixed,
        &body,
    ));
    Ok(Request {
        url,
        fixed,
        body: Some(body),
        timeout: query.timeout,
        ..Request::default()
    })
}

/// The values of the one metric that was asked for, the oldest first. A part of them is no result.
pub(crate) fn result(answer: &Value) -> Result<Value, String> {
    let strange = || "it is not CloudWatch's answer".to_owned();
    let found = answer.pointer("/MetricDataResults/0").ok_or_else(strange)?;
    let status = found
        .get("StatusCode")
        .and_then(Value::as_str)
        .ok_or_else(strange)?;
    if status != "Complete" || answer.get("NextToken").is_some_and(|token| !token.is_null()) {
        let said = |of: &Value| Some(of.pointer("/Messages/0/Value")?.as_str()?.to_owned());
        let why = said(found).or_else(|| said(answer));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!("the values are not complete ({status}{why})"));
    }
    let values = found.get("Values").ok_or_else(strange)?;
    series::list(values, series::number).ok_or_else(strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures were made by botocore 1.44.8 (`SigV4Auth`) of the same requests.
    #[test]
    fn requests_are_signed_as_awss_own_tools_do() {
        let query = json!({"region": "eu-central-1", "namespace": "AWS/ApplicationELB",
            "metricName": "HTTPCode_Target_5XX_Count", "dimensions": {"TargetGroup": "targetgroup/api/1.1.0"},
            "statistic": "Sum", "accessKeyId": "${env:A}", "secretAccessKey": "${env:B}"});
        let query = serde_json::from_value(query).unwrap();
        for (token, signature) in [
            (
                None,
                "2bcb6a025bce448bac54abdc557f50684acd2ee1c0703c45cc857cc857f004b2",
            ),
            (
                Some("lent".to_owned()),
                "4ec840888eb2f3e91605ce9f27c76abaaffcbcec6f946c033dcefad5ea7d939b",
            ),
        ] {
            let keys = Keys {
                id: "AKIDEXAMPLE".to_owned(),
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                token,
            };
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let request = request(&query, &keys, now).unwrap();
            assert_eq!(request.url, "https://monitoring.eu-central-1.amazonaws.com/");
            let (name, value) = request.fixed.last().unwrap();
            assert_eq!(*name, "authorization");
            assert!(
                value.ends_with(&format!("Signature={signature}")),
                "{value} {:?}",
                request.body
            );
        }
    }
}
