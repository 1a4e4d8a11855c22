//! One probe: one connection, one answer, nothing kept.

use std::time::Duration;

use cutover_spec::{Degraded, Probe};

use crate::judge::judge;

/// More of a body is not read: a status fits in it.
const LONGEST_BODY: usize = 64 * 1024;

/// Asks instances how they are.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    client: reqwest::Client,
}

impl Prober {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            // A kept connection would go on working in a process that accepts no new one.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none())
            // Nothing but plain HTTP is asked: the machine's root certificates are not read for it.
            .tls_certs_only([])
            .no_proxy()
            .user_agent("cutover-probe")
            .build()?;
        Ok(Self { client })
    }

    /// `Ok` if the probe passes, otherwise why not.
    pub(crate) async fn ask(&self, port: u16, probe: &Probe, degraded: Degraded) -> Result<(), String> {
        let timeout = probe.timeout.as_duration().max(Duration::from_millis(1));
        tokio::time::timeout(timeout, self.exchange(port, &probe.path, degraded))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {}", probe.timeout)))
    }

    async fn exchange(&self, port: u16, path: &str, degraded: Degraded) -> Result<(), String> {
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("http://127.0.0.1:{port}{slash}{path}");
        let mut response = self.client.get(url).send().await.map_err(|error| {
            if error.is_connect() {
                "does not accept connections".to_owned()
            } else {
                "broke off the answer".to_owned()
            }
        })?;
        let mut body = Vec::new();
        while body.len() < LONGEST_BODY {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => return Err("broke off the answer".to_owned()),
            }
        }
        judge(response.status().as_u16(), &body, degraded)
    }
}
