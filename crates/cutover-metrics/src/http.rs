//! One question over HTTP: what all providers share.
//!
//! Secrets live here for the length of one question. What is said of an answer goes into the journal, so what came from a
//! reference is taken out of it first, wherever it came back.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use cutover_model::{Diagnostic, Span, cover_passwords, cover_secrets};
use cutover_ports::PortError;
use cutover_spec::{Reference, references};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::failed;

/// A larger answer is no measurement, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// How much of what an error answer says is repeated, in characters.
const SHOWN: usize = 200;

/// Replaces `${env:…}` and `${file:…}` in a text, at the last moment.
pub type Resolve = dyn Fn(&str) -> Result<String, Diagnostic> + Send + Sync;

/// What is asked; with a body it is a POST.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) query: Vec<(&'static str, String)>,
    /// What the provider's API asks for. A header of the file takes the place of one of the same name.
    pub(crate) fixed: Vec<(&'static str, String)>,
    /// As in the file: with references.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    pub(crate) timeout: Span,
}

/// What references stood for in one question.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// A text with its references replaced; what they stand for is remembered.
    ///
    /// # Errors
    /// When one of them stands for nothing.
    pub fn look_up(
        &mut self,
        text: &str,
        resolve: &dyn Fn(&str) -> Result<String, Diagnostic>,
    ) -> Result<String, Diagnostic> {
        for reference in references(text) {
            if matches!(reference, Reference::Env(_) | Reference::File(_)) {
                self.0.push(resolve(&reference.to_string())?);
            }
        }
        resolve(text)
    }

    /// One line without any of them, and not too long.
    #[must_use]
    pub fn cover(&self, text: &str) -> String {
        let covered = cover_passwords(&cover_secrets(text, &self.0));
        covered.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
    }

    /// A result without any of them: its beginning is told with the measurement, and some repeat what they were asked.
    pub(crate) fn take_out(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(cover_secrets(&text, &self.0)),
            Value::Array(list) => list.into_iter().map(|one| self.take_out(one)).collect(),
            Value::Object(pairs) => pairs
                .into_iter()
                .map(|(key, one)| (cover_secrets(&key, &self.0), self.take_out(one)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }
}

/// Asks whom it is told to, without a proxy or a redirect in between.
#[derive(Debug, Default)]
pub struct Client {
    /// Made at the first question: it reads the machine's root certificates.
    made: OnceLock<Result<reqwest::Client, String>>,
}

impl Client {
    /// The client.
    ///
    /// # Errors
    /// Why there is none.
    pub fn get(&self) -> Result<&reqwest::Client, String> {
        let made = self.made.get_or_init(|| {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                // Every question is its own: one that is asked minutes after another must not find a dead connection.
                .pool_max_idle_per_host(0)
                .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| format!("no HTTP client can be made: {}", cause(error)))
        });
        made.as_ref().map_err(Clone::clone)
    }
}

pub(crate) struct Http {
    client: Client,
    resolve: Arc<Resolve>,
}

impl Http {
    pub(crate) fn new(resolve: Arc<Resolve>) -> Self {
        Self {
            client: Client::default(),
            resolve,
        }
    }

    /// See [`Secrets::look_up`].
    pub(crate) fn look_up(&self, text: &str, secrets: &mut Secrets) -> Result<String, PortError> {
        secrets.look_up(text, &*self.resolve).map_err(PortError::refused)
    }

    /// Asks, and reads the answer with `read`.
    pub(crate) async fn ask(
        &self,
        request: Request,
        mut secrets: Secrets,
        read: impl FnOnce(&[u8]) -> Result<Value, String>,
    ) -> Result<Value, PortError> {
        let whom = shown(&request.url);
        let headers = self.headers(&request, &whom, &mut secrets)?;
        let found = match self.send(request, headers).await {
            Ok(body) => read(&body),
            Err(why) => Err(why),
        };
        match found {
            Ok(result) => Ok(secrets.take_out(result)),
            Err(why) => Err(failed(&whom, &secrets.cover(&why))),
        }
    }

    fn headers(&self, request: &Request, whom: &str, secrets: &mut Secrets) -> Result<HeaderMap, PortError> {
        let mut headers = HeaderMap::new();
        let fixed = request.fixed.iter().map(|(name, value)| (*name, value.clone()));
        let mut all: Vec<(&str, String)> = fixed.collect();
        for (name, value) in &request.headers {
            all.push((name, self.look_up(value, secrets)?));
        }
        for (name, value) in all {
            let unfit = || failed(whom, &format!("`{name}` is no field of an HTTP request"));
            let key: HeaderName = name.parse().map_err(|_| unfit())?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| unfit())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(headers)
    }

    async fn send(&self, request: Request, headers: HeaderMap) -> Result<Vec<u8>, String> {
        let client = self.client.get()?;
        let asked = match request.body {
            Some(body) => client.post(&request.url).body(body),
            None => client.get(&request.url),
        };
        let asked = if request.query.is_empty() {
            asked
        } else {
            asked.query(&request.query)
        };
        let asked = asked.headers(headers).timeout(request.timeout.as_duration());
        let mut answer = asked.send().await.map_err(cause)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(cause)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err("the answer is longer than 1 MiB".to_owned());
            }
        }
        let status = answer.status();
        if status.is_success() {
            return Ok(body);
        }
        let said = match serde_json::from_slice(&body) {
            Ok(answer) => said(&answer),
            Err(_) => line(&body),
        };
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        Err(format!("status {status}{said}"))
    }
}

/// An answer that must be JSON.
pub(crate) fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| format!("the answer is not JSON: {error}"))
}

/// What an error answer says: `error` (Prometheus), `message` (InfluxDB, AWS), or the first of `errors` (Datadog, New
/// Relic).
pub(crate) fn said(answer: &Value) -> Option<String> {
    let first = answer.get("errors").and_then(|errors| errors.get(0));
    let named = |value: &Value| {
        ["error", "message", "Message"]
            .iter()
            .find_map(|key| Some(value.get(key)?.as_str()?.to_owned()))
    };
    named(answer)
        .or_else(|| first.and_then(|first| first.as_str().map(str::to_owned).or_else(|| named(first))))
}

/// An error answer that is one line of text, as Graphite's are, and no page.
fn line(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    (!text.is_empty() && !text.starts_with('<') && !text.contains('\n')).then(|| text.to_owned())
}

/// An address without what may be secret in it: a user's password, and the query.
pub(crate) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    cover_passwords(url)
}

/// The innermost cause: the others only say that a request failed, and name the URL with all that is in it.
#[must_use]
pub fn cause(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut error: &dyn std::error::Error = &error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
