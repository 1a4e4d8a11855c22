//! `cutover proxy run`: the data plane in this process. By itself it serves what the command line says; as the
//! supervisor's child, what the controller publishes.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use cutover_model::routing::{AccessLog, ActiveHealth, AnswerFields, Circuit, Timeouts};
use cutover_model::{
    Diagnostic, Endpoint, ExitCode, InstanceId, RevisionId, RoutePolicy, RouteTable, RoutedRevision,
    ServiceName, ServiceRoute, Track, Weight,
};
use cutover_proxy::{ProxyError, ProxyOptions};

use crate::cli::ProxyRun;
use crate::failure::{Failure, Outcome};
use crate::render::Printer;
use crate::state_dir::admin_socket;

/// The only service there is without a file.
const SERVICE: &str = "proxy";

/// Runs the proxy on threads of its own until it is asked to stop. Must be called from outside of a runtime.
pub(crate) fn serve(run: &ProxyRun, printer: &Printer) -> Outcome {
    let temporary;
    let folder: &Path = if let Some(folder) = &run.state_dir {
        folder
    } else {
        let made = tempfile::Builder::new().prefix("cutover-proxy-").tempdir();
        temporary = made.map_err(|error| unusable(&std::env::temp_dir(), &error))?;
        temporary.path()
    };
    cutover_os::close_folder(folder).map_err(|error| unusable(folder, &error))?;
    let mut options = options(run, folder.to_owned());
    let mut said = String::new();
    if let Some(listen) = run.listen {
        let listener = bind(listen)?;
        let listen = listener.local_addr().unwrap_or(listen);
        let upstreams = upstreams(&run.upstreams)?;
        said.push_str(&format!("listens on {listen}\n"));
        for (upstream, share) in upstreams.iter().zip(shares(&upstreams)?) {
            said.push_str(&format!("  {:<24} {share}\n", upstream.address));
        }
        options.table = Some(table(run, listen, &upstreams)?);
        options.listeners.push(listener);
    }
    if let Some(listen) = run.metrics_listen {
        let listener = bind(listen)?;
        let listen = listener.local_addr().unwrap_or(listen);
        said.push_str(&format!("metrics on http://{listen}/metrics\n"));
        options.metrics = Some(listener);
    }
    let announce = || {
        if !said.is_empty() {
            printer.talk(&said);
        }
        if let Err(error) = cutover_os::announce_ready() {
            tracing::warn!(%error, "nobody can be told that this process serves");
        }
    };
    cutover_proxy::run_announced(options, announce).map_err(|error| Failure::from(diagnostic(&error)))?;
    Ok(ExitCode::Done)
}

fn options(run: &ProxyRun, folder: PathBuf) -> ProxyOptions {
    let admin = admin_socket(&folder);
    let mut options = ProxyOptions::new(run.application.clone(), folder, admin);
    options.take_over = run.take_over;
    options.workers = run.workers.map(usize::from);
    let limits = &mut options.limits;
    limits.head_timeout = run.header_timeout.as_duration();
    limits.max_head_bytes = usize::try_from(run.max_header_bytes).unwrap_or(usize::MAX);
    limits.max_fields = usize::from(run.max_headers);
    limits.max_target_bytes = usize::try_from(run.max_target_bytes).unwrap_or(usize::MAX);
    limits.drain_timeout = run.drain_timeout.as_duration();
    options
}

fn unusable(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        "state.unusable",
        format!("{}: {error}", folder.display()),
        "cutover proxy run --state-dir DIR …",
    )
}

fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    cutover_os::bind_listener(listen).map_err(|error| {
        let message = format!("cannot listen on {listen}: {error}");
        match error.kind() {
            ErrorKind::AddrInUse => {
                let help = format!("ss -ltnp 'sport = {}'", listen.port());
                Failure::new("listen.in-use", message, help)
            }
            ErrorKind::PermissionDenied => {
                let help = "sysctl net.ipv4.ip_unprivileged_port_start";
                Failure::new("proxy.cannot-listen", message, help)
            }
            _ => Failure::new("proxy.cannot-listen", message, "ip -brief address"),
        }
    })
}

/// One `--upstream`.
#[derive(Debug, PartialEq, Eq)]
struct Upstream {
    address: String,
    weight: Option<u32>,
}

/// All of them have a weight, or none has.
fn upstreams(texts: &[String]) -> Result<Vec<Upstream>, Failure> {
    let mut found: Vec<Upstream> = Vec::new();
    for text in texts {
        let upstream = upstream(text)?;
        if found.iter().any(|other| other.address == upstream.address) {
            return Err(wrong(text, "is named twice"));
        }
        if found
            .first()
            .is_some_and(|first| first.weight.is_some() != upstream.weight.is_some())
        {
            return Err(wrong(
                text,
                "has a weight and others have none, or the other way round",
            ));
        }
        found.push(upstream);
    }
    Ok(found)
}

fn upstream(text: &str) -> Result<Upstream, Failure> {
    let (address, weight) = match text.rsplit_once('=') {
        None => (text, None),
        Some((address, weight)) => match weight.parse::<u32>() {
            Ok(weight) => (address, Some(weight)),
            Err(_) => return Err(wrong(text, "has a weight that is no whole number")),
        },
    };
    if address.contains("://") {
        return Err(wrong(text, "is a URL: only its host:port is connected to"));
    }
    match address.to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(found)) if found.port() != 0 => Ok(Upstream {
            address: address.to_owned(),
            weight,
        }),
        Ok(_) => Err(wrong(text, "is nowhere to connect to")),
        Err(error) => Err(wrong(text, &format!("is no host:port: {error}"))),
    }
}

fn wrong(text: &str, what: &str) -> Failure {
    const RIGHT: &str =
        "cutover proxy run --listen 127.0.0.1:8080 --upstream 127.0.0.1:9001=9 --upstream 127.0.0.1:9002=1";
    Failure::new("proxy.upstream", format!("--upstream {text} {what}"), RIGHT).with_exit(ExitCode::Usage)
}

/// Shares that make the whole: each is rounded down, and what is left goes to those that lost most.
fn shares(upstreams: &[Upstream]) -> Result<Vec<Weight>, Failure> {
    let weights: Vec<u64> = upstreams
        .iter()
        .map(|one| u64::from(one.weight.unwrap_or(1)))
        .collect();
    let total: u64 = weights.iter().sum();
    if total == 0 {
        let all: Vec<&str> = upstreams.iter().map(|one| one.address.as_str()).collect();
        return Err(wrong(&all.join(", "), "has no weight above 0"));
    }
    let whole = u64::from(Weight::ALL.parts());
    let mut parts: Vec<u64> = weights.iter().map(|weight| weight * whole / total).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(weights[*index] * whole % total));
    let left = usize::try_from(whole - parts.iter().sum::<u64>()).unwrap_or(0);
    for index in order.into_iter().take(left) {
        parts[index] += 1;
    }
    if let Some(index) = (0..parts.len()).find(|index| parts[*index] == 0 && weights[*index] > 0) {
        return Err(wrong(
            &upstreams[index].address,
            "gets less than one request in 10,000",
        ));
    }
    let parts = parts
        .into_iter()
        .map(|parts| u32::try_from(parts).unwrap_or(u32::MAX));
    Ok(parts
        .map(|parts| Weight::new(parts).unwrap_or(Weight::ALL))
        .collect())
}

fn table(run: &ProxyRun, listen: SocketAddr, upstreams: &[Upstream]) -> Result<RouteTable, Failure> {
    let internal = |what: String| Failure::new("proxy.upstream", what, "cutover proxy run --help");
    let service: ServiceName = SERVICE.parse().map_err(|error| internal(format!("{error}")))?;
    let revision = |number: usize, track: Track, weight: Weight, addresses: &[&Upstream]| {
        let id: RevisionId = format!("{SERVICE}@{number}.0.0#000000")
            .parse()
            .map_err(|error| internal(format!("{error}")))?;
        let endpoints = addresses.iter().map(|upstream| Endpoint {
            instance: InstanceId::new(upstream.address.clone()),
            address: upstream.address.clone(),
        });
        Ok::<_, Failure>(RoutedRevision {
            revision: id,
            track,
            weight,
            endpoints: endpoints.collect(),
        })
    };
    let weighted = upstreams.first().is_some_and(|first| first.weight.is_some());
    let revisions = if weighted {
        let shares = shares(upstreams)?;
        let each = upstreams
            .iter()
            .zip(shares)
            .enumerate()
            .map(|(index, (upstream, share))| {
                let track = if index == 0 {
                    Track::Stable
                } else {
                    Track::Candidate
                };
                revision(index + 1, track, share, &[upstream])
            });
        each.collect::<Result<Vec<_>, _>>()?
    } else {
        let all: Vec<&Upstream> = upstreams.iter().collect();
        vec![revision(1, Track::Stable, Weight::ALL, &all)?]
    };
    Ok(RouteTable {
        services: vec![ServiceRoute {
            service,
            listen: listen.to_string(),
            policy: policy(run),
            revisions,
        }],
    })
}

fn policy(run: &ProxyRun) -> RoutePolicy {
    let access_log = run.access_log.as_ref().map(|path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        AccessLog {
            path: path.to_string_lossy().into_owned(),
            percentage: run.access_log_percentage,
        }
    });
    RoutePolicy {
        answer_fields: AnswerFields {
            backend_version: true,
            served_by: false,
        },
        access_log,
        timeouts: Timeouts {
            connect: run.connect_timeout,
            answer: run.answer_timeout,
            idle: run.idle_timeout,
        },
        health: run.health.clone().map(|path| ActiveHealth {
            path,
            interval: run.health_interval,
            fast_interval: ActiveHealth::default().fast_interval.min(run.health_interval),
            ..ActiveHealth::default()
        }),
        circuit: Circuit {
            max_requests: run.max_requests,
            ..Circuit::default()
        },
        ..RoutePolicy::default()
    }
}

fn diagnostic(error: &ProxyError) -> Diagnostic {
    let code = match error {
        ProxyError::Inherited(_) => "proxy.inherited-sockets",
        ProxyError::Kept(_) => "proxy.kept-table",
        ProxyError::AdminSocket { .. } => "proxy.admin-socket",
        ProxyError::Start { .. } => "proxy.start",
        ProxyError::Restore(_) => "proxy.restore",
        ProxyError::TakeOver(_) => "proxy.take-over",
    };
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Diagnostic::error(code, message).help("cutover proxy status")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&str]) -> Vec<u32> {
        let texts: Vec<String> = texts.iter().map(|text| format!("127.0.0.1:{text}")).collect();
        let shares = shares(&upstreams(&texts).unwrap()).unwrap();
        shares.into_iter().map(Weight::parts).collect()
    }

    #[test]
    fn weights_of_any_size_make_the_whole() {
        assert_eq!(parts(&["1=1", "2=3"]), [2_500, 7_500]);
        assert_eq!(parts(&["1=1", "2=1", "3=1"]), [3_334, 3_333, 3_333]);
        assert_eq!(parts(&["1=4000000000", "2=4000000000"]), [5_000, 5_000]);
        assert_eq!(parts(&["1=7", "2=0"]), [10_000, 0]);
    }

    #[test]
    fn what_is_no_upstream_says_so() {
        for (texts, why) in [
            (&["127.0.0.1"][..], "no host:port"),
            (&["127.0.0.1:0"], "nowhere"),
            (&["http://127.0.0.1:9001"], "is a URL"),
            (&["https://127.0.0.1:9001=3"], "is a URL"),
            (&["127.0.0.1:1=x"], "no whole number"),
            (&["127.0.0.1:1=1", "127.0.0.1:2"], "others have none"),
            (&["127.0.0.1:1", "127.0.0.1:1"], "twice"),
            (&["127.0.0.1:1=0"], "above 0"),
            (&["127.0.0.1:1=1", "127.0.0.1:2=100000"], "less than one"),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let failure = upstreams(&texts).and_then(|found| shares(&found)).unwrap_err();
            assert_eq!(failure.found[0].code, "proxy.upstream");
            assert!(failure.found[0].message.contains(why), "{:?}", failure.found);
        }
    }
}
