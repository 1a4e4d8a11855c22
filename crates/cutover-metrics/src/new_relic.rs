//! New Relic's NerdGraph (<https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/>).

use cutover_model::NewRelicQuery;
use serde_json::{Value, json};

use crate::http::{Request, said};

/// Account and query are variables of it: nothing in them can change what is asked.
const QUESTION: &str = "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) { nrql(query: $nrql) { results } } } }";

pub(crate) fn request(query: &NewRelicQuery) -> Request {
    let variables = json!({"account": query.account, "nrql": query.query});
    Request {
        url: format!("{}/graphql", query.address.trim_end_matches('/')),
        fixed: vec![("content-type", "application/json".to_owned())],
        headers: query.headers.clone(),
        body: Some(json!({"query": QUESTION, "variables": variables}).to_string()),
        timeout: query.timeout,
        ..Request::default()
    }
}

/// The list of results. GraphQL answers a query that fails with the status 200 and a list of `errors`.
pub(crate) fn result(answer: &Value) -> Result<Value, String> {
    if answer.get("errors").is_some_and(|errors| !errors.is_null()) {
        return Err(said(answer).unwrap_or_else(|| "it tells of errors without a message".to_owned()));
    }
    match answer.pointer("/data/actor/account/nrql/results") {
        Some(results @ Value::Array(_)) => Ok(results.clone()),
        _ => Err("it gives no results".to_owned()),
    }
}
