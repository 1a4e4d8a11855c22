//! Smoke tests over HTTP.

use cutover_metrics::cause;
use cutover_model::{Diagnostic, Smoke, cover_passwords};
use cutover_ports::{SmokeFailure, SmokeTester};

use crate::failure::Failure;

/// So much of an answer is read at most, in bytes: what must be contained stands near its beginning.
const MOST: usize = 1024 * 1024;

/// How much of an unexpected answer is repeated, in characters.
const SHOWN: usize = 120;

/// Asks instances directly, without a proxy or a redirect in between.
pub(crate) struct HttpSmoke {
    client: reqwest::Client,
}

impl HttpSmoke {
    pub(crate) fn new() -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Nothing but plain HTTP is asked: the machine's root certificates are not read for it.
            .tls_certs_only([])
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
            .build();
        let client = client.map_err(|error| {
            Diagnostic::error("smoke.no-client", format!("no HTTP client can be made: {error}"))
                .help("cutover check")
        })?;
        Ok(Self { client })
    }
}

#[async_trait::async_trait]
impl SmokeTester for HttpSmoke {
    async fn run(&self, address: &str, test: &Smoke) -> Result<(), SmokeFailure> {
        let url = format!("http://{address}{}", test.get);
        let asked = async {
            let mut answer = self.client.get(&url).send().await?;
            let status = answer.status().as_u16();
            let mut body = Vec::new();
            while body.len() < MOST
                && let Some(chunk) = answer.chunk().await?
            {
                body.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let (status, body) = match tokio::time::timeout(test.timeout.as_duration(), asked).await {
            Err(_) => return Err(SmokeFailure(format!("no answer within {}", test.timeout))),
            Ok(Err(error)) => return Err(SmokeFailure(format!("no answer: {}", cause(error)))),
            Ok(Ok(answer)) => answer,
        };
        if status != test.status {
            return Err(SmokeFailure(format!(
                "status {status} instead of {}: {}",
                test.status,
                beginning(&body)
            )));
        }
        match &test.contains {
            Some(text) if !body.contains(text.as_str()) => Err(SmokeFailure(format!(
                "`{text}` is not in the answer: {}",
                beginning(&body)
            ))),
            _ => Ok(()),
        }
    }
}

fn beginning(body: &str) -> String {
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    // It goes into the journal, and a page about an error may name the database that does not answer.
    let line = cover_passwords(&line);
    let mut text: String = line.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if text.is_empty() {
        text.push_str("(empty)");
    }
    text
}

#[cfg(test)]
mod tests {
    use cutover_model::Span;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn serve(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let _read = stream.read(&mut head).await;
                let _written = stream.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    fn test(status: u16, contains: Option<&str>) -> Smoke {
        Smoke {
            get: "/x".to_owned(),
            status,
            contains: contains.map(str::to_owned),
            timeout: Span::from_secs(5),
        }
    }

    #[tokio::test]
    async fn status_and_text_are_compared() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").await;
        let smoke = HttpSmoke::new().unwrap();
        assert_eq!(smoke.run(&address, &test(200, Some("ell"))).await, Ok(()));
        let wrong = smoke.run(&address, &test(204, None)).await.unwrap_err();
        assert_eq!(wrong.0, "status 200 instead of 204: hello");
        let missing = smoke.run(&address, &test(200, Some("bye"))).await.unwrap_err();
        assert_eq!(missing.0, "`bye` is not in the answer: hello");
    }

    #[tokio::test]
    async fn nobody_there_is_said_shortly() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let failure = HttpSmoke::new()
            .unwrap()
            .run(&address, &test(200, None))
            .await
            .unwrap_err();
        assert!(failure.0.contains("refused"), "{failure:?}");
    }
}
