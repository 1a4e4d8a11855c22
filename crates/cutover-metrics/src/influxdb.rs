//! InfluxDB's query API of version 2 (<https://docs.influxdata.com/influxdb/v2/api-guide/api_intro/>), which answers
//! with annotated CSV (<https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/>).

use csv::StringRecord;
use cutover_model::InfluxDbQuery;
use serde_json::{Number, Value};

use crate::http::Request;

pub(crate) fn request(query: &InfluxDbQuery) -> Request {
    Request {
        url: format!("{}/api/v2/query", query.address.trim_end_matches('/')),
        query: vec![("org", query.org.clone())],
        fixed: vec![
            ("accept", "application/csv".to_owned()),
            ("content-type", "application/vnd.flux".to_owned()),
        ],
        headers: query.headers.clone(),
        body: Some(query.query.clone()),
        timeout: query.timeout,
    }
}

/// What the columns of a table are, by its header row.
enum Table {
    Values(usize),
    Error,
}

/// The `_value` of each row as a number, of all tables; an empty one, `NaN` and `+Inf` are null.
pub(crate) fn result(body: &[u8]) -> Result<Value, String> {
    // Tables have their own columns each, and lines of annotations begin with `#`.
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(body);
    let mut table = None;
    let mut values = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| format!("the answer is not CSV: {error}"))?;
        if let Some(header) = header(&row)? {
            table = Some(header);
            continue;
        }
        match table {
            Some(Table::Values(column)) => values.push(number(row.get(column).unwrap_or_default())?),
            Some(Table::Error) => {
                return Err(row
                    .iter()
                    .find(|said| !said.is_empty())
                    .unwrap_or("an error")
                    .to_owned());
            }
            None => return Err("the answer is not annotated CSV".to_owned()),
        }
    }
    Ok(Value::Array(values))
}

/// A header row: `,result,table,…` of rows, or `,error,reference` of a failure. In a row of values the third column is
/// the number of a table, so it is never taken for one.
fn header(row: &StringRecord) -> Result<Option<Table>, String> {
    let mut names = row.iter().skip_while(|name| name.is_empty());
    match (names.next(), names.next()) {
        (Some("error"), Some("reference")) => Ok(Some(Table::Error)),
        (Some("result"), Some("table")) => match row.iter().position(|name| name == "_value") {
            Some(column) => Ok(Some(Table::Values(column))),
            None => Err("a table has no column `_value`".to_owned()),
        },
        _ => Ok(None),
    }
}

fn number(text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let number: f64 = text
        .parse()
        .map_err(|_| format!("the `_value` {text:?} is no number"))?;
    Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> Result<Value, String> {
        result(text.as_bytes())
    }

    #[test]
    fn tables_of_several_forms_are_one_list() {
        let text = "#datatype,string,long,double,string\r\n#group,false,false,false,true\r\n#default,_result,,,\r\n\
                    ,result,table,_value,host\r\n,,0,0.25,\"a, \"\"b\"\"\r\n#no annotation\"\r\n,,0,,b\r\n\r\n\
                    #datatype,string,long,string,long\r\n,result,table,region,_value\r\n,,1,result,7\r\n,,1,x,NaN\r\n\r\n";
        assert_eq!(of(text), Ok(json!([0.25, null, 7.0, null])));
        assert_eq!(of("result,table,_value\n_result,0,1\n"), Ok(json!([1.0])));
        assert_eq!(of("\r\n"), Ok(json!([])));
        assert_eq!(of(""), Ok(json!([])));
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        assert_eq!(
            of(",result,table,_value\n,,0,up\n"),
            Err("the `_value` \"up\" is no number".to_owned())
        );
        assert_eq!(
            of(",result,table,_time\n"),
            Err("a table has no column `_value`".to_owned())
        );
        assert_eq!(of("<html>"), Err("the answer is not annotated CSV".to_owned()));
        assert!(of("\u{1f}\n,a").is_err());
        assert!(result(b"\xff\xfe").unwrap_err().contains("not CSV"));
    }

    #[test]
    fn an_error_in_the_middle_is_an_error() {
        let text = ",result,table,_value\r\n,,0,1\r\n\r\n#datatype,string,string\r\n,error,reference\r\n\
                    ,\"query terminated: reader failed\",897\r\n";
        assert_eq!(of(text), Err("query terminated: reader failed".to_owned()));
    }
}
