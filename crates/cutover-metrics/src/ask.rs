//! One query over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover_model::{Diagnostic, Provider, Span};
use cutover_ports::PortError;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::{failed, prometheus};

/// A larger answer is no measurement, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// Replaces `${env:…}` and `${file:…}` in a field's value, at the last moment.
pub type Resolve = dyn Fn(&str) -> Result<String, Diagnostic> + Send + Sync;

/// Asks providers over HTTP, without a proxy or a redirect in between.
pub struct HttpQueries {
    client: reqwest::Client,
    resolve: Arc<Resolve>,
}

impl std::fmt::Debug for HttpQueries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpQueries").finish_non_exhaustive()
    }
}

impl HttpQueries {
    /// A source that looks references in fields up with `resolve`.
    ///
    /// # Errors
    /// When no HTTP client can be made on this machine.
    pub fn new(resolve: Arc<Resolve>) -> Result<Self, PortError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed("a client", &error.to_string()))?;
        Ok(Self { client, resolve })
    }

    fn fields(&self, headers: &BTreeMap<String, String>) -> Result<HeaderMap, PortError> {
        let mut fields = HeaderMap::new();
        for (name, value) in headers {
            let value = (self.resolve)(value).map_err(PortError::refused)?;
            let unfit = || {
                failed(
                    &format!("the field `{name}`"),
                    "it is no field of an HTTP request",
                )
            };
            let name: HeaderName = name.parse().map_err(|_| unfit())?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| unfit())?;
            value.set_sensitive(true);
            fields.insert(name, value);
        }
        Ok(fields)
    }

    pub(crate) async fn get(
        &self,
        url: &str,
        query: &[(&str, &str)],
        headers: &BTreeMap<String, String>,
        timeout: Span,
    ) -> Result<Value, PortError> {
        let shown = shown(url);
        let mut request = self.client.get(url).timeout(timeout.as_duration());
        for (name, value) in query {
            request = request.query(&[(name, value)]);
        }
        let asked = request.headers(self.fields(headers)?).send().await;
        let mut answer = asked.map_err(|error| failed(&shown, &root(&error)))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| failed(&shown, &root(&error)))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(failed(&shown, "the answer is longer than 1 MiB"));
            }
        }
        let value = serde_json::from_slice(&body);
        if !status.is_success() {
            // Prometheus says what is wrong with a query in the body of its 400.
            let said = value.ok().as_ref().and_then(prometheus::error);
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            return Err(failed(&shown, &format!("status {status}{said}")));
        }
        value.map_err(|error| failed(&shown, &format!("the answer is not JSON: {error}")))
    }

    /// The result of one query.
    ///
    /// # Errors
    /// When the provider cannot be asked, answers something else, or is not one that is asked over HTTP.
    pub async fn ask(&self, provider: &Provider) -> Result<Value, PortError> {
        match provider {
            Provider::Web {
                url,
                headers,
                timeout,
            } => self.get(url, &[], headers, *timeout).await,
            Provider::Prometheus {
                address,
                query,
                headers,
                timeout,
            } => {
                let url = format!("{}/api/v1/query", address.trim_end_matches('/'));
                let answer = self.get(&url, &[("query", query)], headers, *timeout).await?;
                prometheus::result(&answer).map_err(|what| failed(&shown(address), &what))
            }
            other => Err(failed(other.name(), "not over HTTP")),
        }
    }
}

/// An address without what may be secret in it: a user's password, and the query.
pub(crate) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    cutover_model::cover_passwords(url)
}

/// The innermost cause: the others only say that a request failed, and name the URL with all that is in it.
fn root(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
