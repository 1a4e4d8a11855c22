//! Webhooks over HTTP and HTTPS.
//!
//! Secrets live here for the length of one call. Whatever is said of an answer goes into the journal, so what came from a
//! reference is taken out of it first, wherever it came back: in the way that metrics providers are asked, too.

use std::path::PathBuf;

use cutover_metrics::{Client, Secrets, cause};
use cutover_model::{HookAnswer, HookOutcome, Webhook};
use cutover_ports::{HookCall, Webhooks};
use cutover_spec::Application;

use crate::lookup::Lookup;

/// So much of an answer is read at most, in bytes.
const MOST: usize = 4 * 1024;

/// Calls webhooks.
pub(crate) struct HttpWebhooks {
    folder: PathBuf,
    application: Application,
    client: Client,
}

/// A webhook with its references replaced.
struct Resolved {
    url: String,
    headers: Vec<(String, String)>,
    secrets: Secrets,
}

impl HttpWebhooks {
    /// For the webhooks of an application, whose file lies in this folder.
    pub(crate) fn new(folder: PathBuf, application: Application) -> Self {
        Self {
            folder,
            application,
            client: Client::default(),
        }
    }

    fn resolve(&self, hook: &Webhook) -> Result<Resolved, String> {
        resolve(&Lookup::new(&self.folder, &self.application), hook)
    }

    async fn send(&self, call: &HookCall<'_>, resolved: &Resolved) -> Result<HookAnswer, String> {
        let client = self.client.get()?;
        let body = serde_json::to_vec(&call.body).map_err(|error| error.to_string())?;
        let mut request = client
            .post(&resolved.url)
            .header("content-type", "application/json")
            .header("idempotency-key", &call.key);
        for (name, value) in &resolved.headers {
            request = request.header(name, value);
        }
        let hook = call.hook;
        let asked = async {
            let mut answer = request.body(body).send().await?;
            let status = answer.status().as_u16();
            let mut body = Vec::new();
            while body.len() < MOST
                && let Ok(Some(chunk)) = answer.chunk().await
            {
                body.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>((status, String::from_utf8_lossy(&body).into_owned()))
        };
        Ok(
            match tokio::time::timeout(hook.timeout.as_duration(), asked).await {
                Err(_) => HookAnswer::new(HookOutcome::Lost, format!("no answer within {}", hook.timeout)),
                Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                    HookAnswer::new(HookOutcome::NotYet, format!("not reached: {}", cause(error)))
                }
                Ok(Err(error)) => HookAnswer::new(HookOutcome::Lost, format!("no answer: {}", cause(error))),
                Ok(Ok((status, body))) => {
                    let words = beginning(&body);
                    let said = if words.is_empty() {
                        format!("status {status}")
                    } else {
                        format!("status {status}: {words}")
                    };
                    HookAnswer::new(hook.at.judge(status), said)
                }
            },
        )
    }
}

/// Why a webhook cannot be called from here, before anything is touched.
pub(crate) fn unresolved(lookup: &Lookup<'_>, hook: &Webhook) -> Option<String> {
    let resolved = match resolve(lookup, hook) {
        Ok(resolved) => resolved,
        Err(why) => return Some(why),
    };
    match reqwest::Url::parse(&resolved.url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => None,
        // What stands in it may be a secret.
        _ => Some(format!(
            "the address of {} is none once its references are put in",
            hook.name
        )),
    }
}

fn resolve(lookup: &Lookup<'_>, hook: &Webhook) -> Result<Resolved, String> {
    let mut secrets = Secrets::default();
    let mut look_up = |text: &str| {
        let found = secrets.look_up(text, &|text| lookup.resolve(text));
        found.map_err(|wrong| wrong.message)
    };
    let mut headers = Vec::new();
    for (name, value) in &hook.headers {
        headers.push((name.clone(), look_up(value)?));
    }
    Ok(Resolved {
        url: look_up(&hook.url)?,
        headers,
        secrets,
    })
}

#[async_trait::async_trait]
impl Webhooks for HttpWebhooks {
    async fn call(&self, call: &HookCall<'_>) -> HookAnswer {
        let resolved = match self.resolve(call.hook) {
            Ok(resolved) => resolved,
            Err(why) => return HookAnswer::new(HookOutcome::NotYet, why),
        };
        match self.send(call, &resolved).await {
            Ok(answer) => HookAnswer::new(answer.outcome, resolved.secrets.cover(&answer.said)),
            Err(why) => HookAnswer::new(HookOutcome::NotYet, resolved.secrets.cover(&why)),
        }
    }
}

fn beginning(body: &str) -> String {
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use cutover_model::{HookPoint, Span, UpgradeId};
    use cutover_ports::HookBody;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const FILE: &str = "
apiVersion: cutover/v1
application: shop
services:
  api: {target: {process: {command: [./api], ports: 20000-20010}}}
";

    /// Answers every request with this, and says what it got.
    async fn serve(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, got) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                let mut part = [0; 4096];
                while !text.ends_with('}') {
                    let read = stream.read(&mut part).await.unwrap_or(0);
                    if read == 0 {
                        break;
                    }
                    text.push_str(&String::from_utf8_lossy(&part[..read]));
                }
                let _received = sender.send(text);
                let _written = stream.write_all(answer.as_bytes()).await;
            }
        });
        (address, got)
    }

    fn hook(url: &str, at: HookPoint) -> Webhook {
        Webhook {
            name: "ticket".to_owned(),
            at,
            url: url.to_owned(),
            headers: std::collections::BTreeMap::new(),
            timeout: Span::from_secs(5),
            interval: Span::from_secs(1),
            deadline: None,
            once: false,
        }
    }

    async fn call(folder: &std::path::Path, hook: &Webhook) -> HookAnswer {
        let application = cutover_spec::parse("cutover.yaml", FILE).unwrap();
        let body = HookBody {
            name: hook.name.clone(),
            at: hook.at,
            upgrade: UpgradeId::new("u1"),
            plan: cutover_model::PlanId(cutover_model::Digest::of(b"plan")),
            kind: cutover_model::UpgradeKind::Upgrade,
            application: "shop".parse().unwrap(),
            environment: "production".parse().unwrap(),
            from: None,
            version: cutover_model::Version::new(1, 1, 0),
            step: cutover_model::StepId(2),
            title: "ticket confirms".to_owned(),
            attempt: 1,
            because: None,
        };
        let webhooks = HttpWebhooks::new(folder.to_owned(), application);
        let key = "u1-2".to_owned();
        webhooks.call(&HookCall { hook, key, body }).await
    }

    #[tokio::test]
    async fn a_secret_is_sent_and_never_repeated() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hunter2hunter2\n").unwrap();
        let answer = "HTTP/1.1 403 No\r\nContent-Length: 36\r\nConnection: close\r\n\r\nnot with Bearer hunter2hunter2, sir!";
        let (address, mut got) = serve(answer).await;
        let mut hook = hook(&format!("http://{address}/gate"), HookPoint::ConfirmRollout);
        let bearer = "Bearer ${file:token}".to_owned();
        hook.headers.insert("Authorization".to_owned(), bearer);
        let answer = call(folder.path(), &hook).await;
        assert_eq!(
            answer,
            HookAnswer::new(HookOutcome::NotYet, "status 403: not with Bearer ***, sir!")
        );
        let sent = got.recv().await.unwrap();
        let head = sent.to_lowercase();
        assert!(head.starts_with("post /gate "), "{sent}");
        assert!(head.contains("authorization: bearer hunter2hunter2"), "{sent}");
        assert!(head.contains("idempotency-key: u1-2"), "{sent}");
        let body: serde_json::Value = serde_json::from_str(sent.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["at"], "confirmRollout");
        assert_eq!(body["upgrade"], "u1");
        assert_eq!(body["version"], "1.1.0");
        assert_eq!(body["attempt"], 1);
        assert!(
            !sent.split("\r\n\r\n").nth(1).unwrap().contains("hunter2"),
            "{sent}"
        );
    }

    #[tokio::test]
    async fn what_is_not_reached_is_not_lost_and_what_does_not_answer_is() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut silent = hook(&format!("http://{address}/"), HookPoint::PreRollout);
        silent.timeout = Span::from_millis(50);
        let lost = call(folder.path(), &silent).await;
        assert_eq!(lost, HookAnswer::new(HookOutcome::Lost, "no answer within 50ms"));
        drop(listener);
        let none = call(folder.path(), &silent).await;
        assert_eq!(none.outcome, HookOutcome::NotYet, "{none:?}");
        assert!(none.said.starts_with("not reached: "), "{none:?}");
        let unset = call(folder.path(), &hook("${file:nowhere}", HookPoint::PreRollout)).await;
        assert_eq!(unset.outcome, HookOutcome::NotYet);
        assert!(unset.said.contains("nowhere"), "{unset:?}");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_off_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (address, _got) = serve("").await;
        let lost = call(
            folder.path(),
            &hook(&format!("http://{address}/"), HookPoint::PreRollout),
        )
        .await;
        assert_eq!(lost.outcome, HookOutcome::Lost, "{lost:?}");
    }

    #[tokio::test]
    async fn https_is_spoken() {
        let folder = tempfile::tempdir().unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let hello = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut record = [0; 3];
            stream.read_exact(&mut record).await.unwrap();
            record
        });
        let answer = call(folder.path(), &hook(&url, HookPoint::ConfirmRollout)).await;
        assert_eq!(answer.outcome, HookOutcome::NotYet, "{answer:?}");
        // A handshake record of TLS: nothing was sent in the clear.
        assert_eq!(hello.await.unwrap()[..2], [22, 3]);
    }
}
