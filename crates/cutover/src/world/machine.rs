//! This machine: the supervisor and the proxy of one environment, found or started.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cutover_model::{Diagnostic, Fence, Plan, Span};
use cutover_proxy::ProxyRouter;
use cutover_target_process::{ProcessTarget, ProcessTargetOptions, SidecarSpec, SidecarStatus, SpawnSpec};

use crate::context::Context;
use crate::failure::Failure;

/// The proxy's name among the supervisor's sidecars.
pub(crate) const PROXY: &str = "proxy";

/// How long the supervisor and the proxy may take to start.
const START: Duration = Duration::from_secs(20);

/// Longer than the proxy's own drain, so that it is never killed for finishing its requests.
const PROXY_GRACE: Span = Span::from_secs(45);

/// The supervisor and the proxy of one environment.
pub(crate) struct Machine {
    pub(crate) target: Arc<ProcessTarget>,
    pub(crate) proxy: ProxyRouter,
    application: String,
    proxy_dir: PathBuf,
}

impl Machine {
    /// Nothing is started yet.
    pub(crate) fn new(ctx: &Context) -> Result<Self, Failure> {
        let state_dir = ctx.state.own();
        let options = ProcessTargetOptions {
            state_dir: state_dir.clone(),
            spawn: SpawnSpec {
                program: program()?,
                args: vec![
                    "supervise".into(),
                    "--state-dir".into(),
                    state_dir.to_string_lossy().into_owned(),
                ],
                environment: std::collections::BTreeMap::new(),
            },
            directory: ctx.folder().to_owned(),
            start_timeout: START,
        };
        let target = ProcessTarget::new(options).map_err(|error| {
            Failure::new(
                "state.unusable",
                format!("{}: {error}", state_dir.display()),
                "pwd",
            )
        })?;
        Ok(Self {
            target: Arc::new(target),
            proxy: ProxyRouter::new(ctx.state.admin_socket()),
            application: ctx.name.to_string(),
            proxy_dir: ctx.state.proxy(),
        })
    }

    fn proxy_command(&self) -> Result<Vec<String>, Failure> {
        Ok(vec![
            program()?.to_string_lossy().into_owned(),
            "proxy".to_owned(),
            "run".to_owned(),
            "--state-dir".to_owned(),
            self.proxy_dir.to_string_lossy().into_owned(),
            "--application".to_owned(),
            self.application.clone(),
        ])
    }

    /// Whether the supervisor looks after a proxy.
    pub(crate) async fn has_proxy(&self) -> Result<bool, Failure> {
        let sidecars = self.target.sidecars().await?;
        Ok(sidecars.iter().any(|sidecar| sidecar.name == PROXY))
    }

    /// A process of this program takes the place of the proxy that runs; returns when it serves.
    pub(crate) async fn replace_proxy(&self, fence: &Fence) -> Result<SidecarStatus, Failure> {
        let more = vec!["--take-over".to_owned()];
        let command = self.proxy_command()?;
        Ok(self.target.replace_sidecar(fence, PROXY, command, more).await?)
    }

    /// The addresses that the proxy listens on, as they were written.
    pub(crate) async fn listeners(&self) -> Vec<String> {
        let sidecars = self.target.sidecars().await.unwrap_or_default();
        let proxy = sidecars.into_iter().filter(|sidecar| sidecar.name == PROXY);
        proxy
            .flat_map(|sidecar| sidecar.listeners)
            .map(|listener| listener.address)
            .collect()
    }

    /// The supervisor runs; so does the proxy, with the sockets of the plan's routes, when there are any.
    pub(crate) async fn ensure(&self, fence: &Fence, plan: &Plan) -> Result<(), Failure> {
        let listen: Vec<String> = plan
            .services
            .iter()
            .filter_map(|change| change.listen.clone())
            .collect();
        if listen.is_empty() {
            self.target.ping().await?;
            return Ok(());
        }
        let spec = SidecarSpec {
            name: PROXY.to_owned(),
            command: self.proxy_command()?,
            listen,
            environment: std::collections::BTreeMap::new(),
            log_file: None,
            stop_grace: PROXY_GRACE,
        };
        self.target.ensure_sidecar(fence, &spec).await?;
        let deadline = tokio::time::Instant::now() + START;
        while !self.proxy.client().is_ready().await {
            if tokio::time::Instant::now() >= deadline {
                return Err(Diagnostic::error(
                    "proxy.not-ready",
                    "the proxy was started and does not answer",
                )
                .note(
                    "its log",
                    self.target.log_dir().join("proxy.log").display().to_string(),
                )
                .help("cutover proxy status")
                .into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// This program's own file, also after it was replaced by a newer one.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    let path = std::env::current_exe().map_err(|error| {
        Failure::new(
            "state.no-program",
            format!("this program does not find itself: {error}"),
            "ls -l /proc/self/exe",
        )
    })?;
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), PathBuf::from))
}
