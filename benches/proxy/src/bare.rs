//! The data plane without the rest of the product: `proxy-bench proxy run` takes of `cutover proxy run` what the bench
//! says to it, and builds in a fraction of the time. For whoever works on the proxy; the bench itself measures what is
//! shipped.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use cutover_model::{
    Endpoint, InstanceId, RoutePolicy, RouteTable, RoutedRevision, ServiceRoute, Track, Weight,
};
use cutover_proxy::ProxyOptions;

#[derive(Subcommand)]
pub(crate) enum Bare {
    /// As `cutover proxy run`
    Run(Options),
}

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    workers: usize,
    #[arg(long)]
    listen: SocketAddr,
    /// `ADDRESS`, or `ADDRESS=1` and `ADDRESS=0`.
    #[arg(long = "upstream")]
    upstreams: Vec<String>,
    #[arg(long)]
    metrics_listen: SocketAddr,
    #[arg(long)]
    state_dir: PathBuf,
}

pub(crate) fn serve(Bare::Run(run): Bare) -> Result<()> {
    let admin = run.state_dir.join("admin");
    let mut options = ProxyOptions::new("proxy", run.state_dir, admin);
    options.workers = Some(run.workers);
    options.listeners.push(std::net::TcpListener::bind(run.listen)?);
    options.metrics = Some(std::net::TcpListener::bind(run.metrics_listen)?);
    options.table = Some(table(run.listen, &run.upstreams)?);
    cutover_proxy::run(options).context("the proxy")
}

fn table(listen: SocketAddr, upstreams: &[String]) -> Result<RouteTable> {
    let endpoint = |address: &str| Endpoint {
        instance: InstanceId::new(address),
        address: address.to_owned(),
    };
    let revision = |number: usize, weight: Weight, endpoints: Vec<Endpoint>| {
        let track = if number == 1 {
            Track::Stable
        } else {
            Track::Candidate
        };
        let revision = format!("proxy@{number}.0.0#000000").parse()?;
        Ok::<_, anyhow::Error>(RoutedRevision {
            revision,
            track,
            weight,
            endpoints,
        })
    };
    let weighted = |text: &String| {
        text.split_once('=')
            .map(|(address, weight)| (endpoint(address), weight != "0"))
    };
    let versions: Option<Vec<_>> = upstreams.iter().map(weighted).collect();
    let revisions = match versions {
        Some(versions) => versions
            .into_iter()
            .enumerate()
            .map(|(index, (endpoint, all))| {
                revision(
                    index + 1,
                    if all { Weight::ALL } else { Weight::NONE },
                    vec![endpoint],
                )
            })
            .collect::<Result<Vec<_>>>()?,
        None => vec![revision(
            1,
            Weight::ALL,
            upstreams.iter().map(|text| endpoint(text)).collect(),
        )?],
    };
    Ok(RouteTable {
        services: vec![ServiceRoute {
            service: "proxy".parse()?,
            listen: listen.to_string(),
            policy: RoutePolicy::default(),
            revisions,
        }],
    })
}
