//! Whoever answers with JSON.

use cutover_model::WebQuery;
use serde_json::Value;

use crate::http::Request;

pub(crate) fn request(query: &WebQuery) -> Request {
    let json = |_: &String| ("content-type", "application/json".to_owned());
    Request {
        url: query.url.clone(),
        fixed: query.body.iter().map(json).collect(),
        headers: query.headers.clone(),
        body: query.body.clone(),
        timeout: query.timeout,
        ..Request::default()
    }
}

/// The whole answer, or the part at this JSON pointer; null when there is none.
pub(crate) fn result(answer: Value, path: Option<&str>) -> Value {
    match path {
        Some(path) => answer.pointer(path).cloned().unwrap_or_default(),
        None => answer,
    }
}
