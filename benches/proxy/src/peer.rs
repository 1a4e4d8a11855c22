//! A proxy that runs: its configuration, its process, and how its version is switched.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cutover_model::{Fence, Generation, RouteTable, StoreId, Weight};
use cutover_proxy::{Client, PublishRequest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::cost;
use crate::peers::{Found, Kind};

/// How the two instances are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Two of the same version.
    Balanced,
    /// One each of two versions, of which the first gets everything.
    Versions,
    /// The first alone.
    Single,
}

/// A proxy's process; stopped when this is dropped.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
    program: String,
    instances: [SocketAddr; 2],
}

impl Peer {
    /// Starts one and waits until it serves.
    pub(crate) async fn start(found: &Found, instances: [SocketAddr; 2], layout: Layout) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("proxy-bench-").tempdir()?;
        let address = free_address()?;
        let program = found.program.to_string_lossy().into_owned();
        let mut command: Command = cost::on_first_core(&program).into();
        configure(
            &mut command,
            found.kind,
            folder.path(),
            address,
            instances,
            layout,
        )?;
        let log = fs::File::create(folder.path().join("output"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut peer = Self {
            kind: found.kind,
            address,
            child,
            folder,
            program,
            instances,
        };
        peer.wait().await?;
        if found.kind == Kind::Haproxy && layout == Layout::Versions {
            peer.switch(0).await?;
        }
        Ok(peer)
    }

    async fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        // The socket that commands come over may be there a moment later than the other.
        let commands = match self.kind {
            Kind::Cutover => Some("state/admin"),
            Kind::Haproxy => Some("stats"),
            Kind::Nginx | Kind::NginxBuffers | Kind::Envoy => None,
        };
        let commands = commands.map(|name| self.folder.path().join(name));
        let serves = || commands.as_ref().is_none_or(|path| path.exists());
        while TcpStream::connect(self.address).await.is_err() || !serves() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
                bail!("{} does not serve: {}", self.kind.name(), said.trim());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Nanoseconds on a core so far.
    pub(crate) fn nanoseconds(&self) -> u64 {
        self.child.id().map_or(0, cost::nanoseconds)
    }

    /// Bytes of memory that the process and its children hold now.
    pub(crate) fn resident(&self) -> u64 {
        self.child.id().map_or(0, cost::resident)
    }

    /// The command that a person or a controller would give. Returns when it has been obeyed as far as the proxy says.
    pub(crate) async fn switch(&self, to: usize) -> Result<()> {
        let folder = self.folder.path();
        match self.kind {
            Kind::Cutover => self.publish(to).await,
            Kind::Nginx => {
                fs::write(
                    folder.join("upstream.conf"),
                    nginx_upstream(&self.instances[to..=to]),
                )?;
                let mut command = Command::new(&self.program);
                let status = nginx_arguments(&mut command, folder)
                    .args(["-s", "reload"])
                    .stderr(Stdio::null())
                    .status();
                if !status.await?.success() {
                    bail!("nginx -s reload failed");
                }
                Ok(())
            }
            Kind::Haproxy => {
                let (new, old) = (to + 1, 2 - to);
                let mut socket = UnixStream::connect(folder.join("stats")).await?;
                let text = format!("set server app/v{new} state ready; set server app/v{old} state drain\n");
                socket.write_all(text.as_bytes()).await?;
                let mut said = String::new();
                socket.read_to_string(&mut said).await?;
                if !said.trim().is_empty() {
                    bail!("HAProxy said {said}");
                }
                Ok(())
            }
            Kind::NginxBuffers | Kind::Envoy => bail!("{} is not switched here", self.kind.name()),
        }
    }

    async fn publish(&self, to: usize) -> Result<()> {
        let client = Client::new(self.folder.path().join("state/admin"));
        let now = client.table().await?;
        let mut table: RouteTable = now.table;
        for route in &mut table.services {
            for (index, revision) in route.revisions.iter_mut().enumerate() {
                revision.weight = if index == to { Weight::ALL } else { Weight::NONE };
            }
        }
        let fence = Fence {
            store: StoreId::new("bench"),
            generation: Generation(1),
        };
        client
            .publish(&PublishRequest {
                fence,
                expected_serial: now.serial,
                adopt: true,
                table,
            })
            .await?;
        Ok(())
    }

    /// Whether [`Peer::switch`] works for it.
    pub(crate) fn can_switch(kind: Kind) -> bool {
        !matches!(kind, Kind::NginxBuffers | Kind::Envoy)
    }

    pub(crate) fn command_of(kind: Kind) -> &'static str {
        match kind {
            Kind::Cutover => "publish over the admin socket",
            Kind::Nginx => "`nginx -s reload`",
            Kind::Haproxy => "runtime API, `set server … state`",
            Kind::NginxBuffers | Kind::Envoy => "—",
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // nginx's master would leave its workers behind if it were killed at once.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let pid = nix::unistd::Pid::from_raw(pid);
            if self.kind == Kind::Nginx
                && nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).is_ok()
            {
                for _ in 0..200 {
                    if !matches!(self.child.try_wait(), Ok(None)) {
                        return;
                    }
                    pause();
                }
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a drop cannot wait asynchronously")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Below the ports that the kernel takes for outgoing connections, of which a bench makes very many.
fn free_address() -> Result<SocketAddr> {
    let begin = std::process::id() % 8_000;
    let mut candidates =
        (0..8_000u32).filter_map(|step| u16::try_from(20_000 + (begin + step * 7) % 8_000).ok());
    candidates
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .context("no free port")
}

fn configure(
    command: &mut Command,
    kind: Kind,
    folder: &Path,
    address: SocketAddr,
    instances: [SocketAddr; 2],
    layout: Layout,
) -> Result<()> {
    let write = |name: &str, text: String| fs::write(folder.join(name), text);
    match kind {
        Kind::Cutover => {
            let suffixes: &[&str] = match layout {
                Layout::Balanced => &["", ""],
                Layout::Versions => &["=1", "=0"],
                Layout::Single => &[""],
            };
            fs::create_dir(folder.join("state"))?;
            command
                .args(["proxy", "run", "--workers", "1", "--listen", &address.to_string()])
                .args(["--metrics-listen", "127.0.0.1:0"])
                .arg("--state-dir")
                .arg(folder.join("state"));
            for (instance, suffix) in instances.iter().zip(suffixes) {
                command.args(["--upstream", &format!("{instance}{suffix}")]);
            }
        }
        Kind::Nginx | Kind::NginxBuffers => {
            let all = if layout == Layout::Balanced {
                &instances[..]
            } else {
                &instances[..1]
            };
            write("upstream.conf", nginx_upstream(all))?;
            write("nginx.conf", nginx(folder, address, kind == Kind::NginxBuffers))?;
            nginx_arguments(command, folder);
        }
        Kind::Haproxy => {
            write("haproxy.cfg", haproxy(folder, address, instances, layout))?;
            command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
        }
        Kind::Envoy => {
            write("envoy.json", envoy(address, instances).to_string())?;
            command.arg("-c").arg(folder.join("envoy.json")).args([
                "--concurrency",
                "1",
                "--disable-hot-restart",
                "--log-level",
                "error",
            ]);
        }
    }
    Ok(())
}

fn nginx_arguments<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .arg("-p")
        .arg(folder)
        .arg("-e")
        .arg(folder.join("error.log"))
        .arg("-c")
        .arg(folder.join("nginx.conf"))
}

fn nginx_upstream(instances: &[SocketAddr]) -> String {
    let servers: String = instances
        .iter()
        .map(|instance| format!("  server {instance};\n"))
        .collect();
    format!("upstream app {{\n{servers}  keepalive 512;\n}}\n")
}

/// What a usual configuration says of forwarding fields.
fn nginx(folder: &Path, address: SocketAddr, buffers: bool) -> String {
    let buffers = if buffers {
        "proxy_buffers 8 32k;\n      proxy_busy_buffers_size 64k;"
    } else {
        ""
    };
    let folder = folder.display();
    format!(
        "daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 15000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  keepalive_requests 100000000;
  tcp_nodelay on;
  include {folder}/upstream.conf;
  server {{
    listen {address} backlog=4096;
    location = /stub_status {{ stub_status; }}
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      {buffers}
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
"
    )
}

fn haproxy(folder: &Path, address: SocketAddr, instances: [SocketAddr; 2], layout: Layout) -> String {
    let folder = folder.display();
    let [first, second] = instances;
    let second = if layout == Layout::Single {
        String::new()
    } else {
        format!("  server v2 {second}\n")
    };
    format!(
        "global
  nbthread 1
  maxconn 12000
  no strict-limits
  stats socket {folder}/stats level admin
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  retries 3
  option redispatch 1
  option forwardfor
  http-reuse always
frontend web
  bind {address} backlog 4096
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  default_backend app
backend app
  balance roundrobin
  server v1 {first}
{second}"
    )
}

fn envoy(address: SocketAddr, instances: [SocketAddr; 2]) -> serde_json::Value {
    let socket = |address: SocketAddr| serde_json::json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let endpoints: Vec<_> = instances
        .iter()
        .map(|instance| serde_json::json!({"endpoint": {"address": socket(*instance)}}))
        .collect();
    serde_json::json!({"static_resources": {
        "listeners": [{"address": socket(address), "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "web",
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                    {"match": {"prefix": "/"}, "route": {"cluster": "app"}}
                ]}]},
                "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                }}]
            }
        }]}]}],
        "clusters": [{
            "name": "app",
            "type": "STATIC",
            "lb_policy": "LEAST_REQUEST",
            "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": endpoints}]}
        }]
    }})
}
