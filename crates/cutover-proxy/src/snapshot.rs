//! One immutable table, compiled for the workers.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use cutover_model::routing::{AnswerFields, Stratum, UpstreamProtocol};
use cutover_model::{Fence, InstanceId, RouteTable, Track, Weight};
use hyper::header::HeaderValue;

use crate::access_log::RouteLog;
use crate::assign::Selection;
use crate::balance::Balancing;
use crate::door::Door;
use crate::mirror::Mirroring;
use crate::odds::{Pair, Place};
use crate::registry::{Registry, Routed};
use crate::resilience::Resilience;
use crate::rules::Matcher;
use crate::session::SessionKeys;
use crate::state::{EndpointState, RevisionState, RouteState};
use crate::tls::UseOfBroken;
use crate::wire::Refusal;

/// What every request looks at. Never changed, only replaced.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) serial: u64,
    pub(crate) fence: Option<Fence>,
    pub(crate) table: RouteTable,
    pub(crate) routes: Vec<Route>,
}

/// One service's route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) listen: SocketAddr,
    pub(crate) state: Arc<RouteState>,
    pub(crate) revisions: Vec<Arc<Revision>>,
    /// `(upper bound, index)`: a number below the bound of the first that has one means that revision.
    pub(crate) split: Vec<(u32, usize)>,
    pub(crate) stable: Option<usize>,
    /// What is wanted of a connection before its first request.
    pub(crate) door: Option<Arc<Door>>,
    pub(crate) candidate: Option<usize>,
    pub(crate) resilience: Arc<Resilience>,
    /// Nothing where requests are drawn, and that is all.
    pub(crate) selection: Option<Selection>,
    /// Which requests are counted for themselves, if they are drawn.
    pub(crate) strata: Box<[Matcher]>,
    /// Nothing where requests are not copied.
    pub(crate) mirroring: Option<Mirroring>,
    pub(crate) access_log: Option<RouteLog>,
}

/// One revision as this table routes it. A request holds it for its life.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) track: Track,
    pub(crate) version: HeaderValue,
    pub(crate) answer_fields: AnswerFields,
    /// What its instances speak.
    pub(crate) upstream: UpstreamProtocol,
    pub(crate) state: Arc<RevisionState>,
    /// Where its drawn requests count by their odds; nowhere if there is nobody that they are drawn against.
    pub(crate) odds: Option<Place>,
    pub(crate) endpoints: Vec<Arc<EndpointState>>,
    /// Nothing for the default.
    pub(crate) balancing: Option<Balancing>,
    pub(crate) resilience: Arc<Resilience>,
}

/// A table whose addresses are known. Made without touching any state, so that a refused table leaves no trace.
#[derive(Debug)]
pub(crate) struct ResolvedTable {
    table: RouteTable,
    listens: Vec<SocketAddr>,
    /// By service.
    doors: Vec<Option<Arc<Door>>>,
    /// By service.
    access_logs: Vec<Option<RouteLog>>,
    /// By service, by revision.
    endpoints: Vec<Vec<Vec<(InstanceId, SocketAddr)>>>,
    /// By service.
    selections: Vec<(Option<Selection>, Box<[Matcher]>)>,
}

impl ResolvedTable {
    /// Resolves names, which may ask the system's resolver and so may block, and refuses contradictions.
    pub(crate) fn new(table: RouteTable, keys: &SessionKeys) -> Result<Self, Refusal> {
        let mut listens = Vec::new();
        let mut endpoints = Vec::new();
        let mut selections = Vec::new();
        for route in &table.services {
            let listen = resolve(&route.listen)?;
            if listens.contains(&listen) {
                return Err(invalid(format!("two services listen on {listen}")));
            }
            listens.push(listen);
            if route.policy.strata.len() > Stratum::MOST {
                let most = Stratum::MOST;
                return Err(invalid(format!("{} has more than {most} strata", route.service)));
            }
            let strata = route.policy.strata.iter();
            let strata: Result<_, String> = strata.map(|stratum| Matcher::compile(&stratum.when)).collect();
            let strata = strata.map_err(invalid)?;
            selections.push((Selection::compile(&route.policy, keys)?, strata));
            Mirroring::compile(&route.policy, &Arc::default())?;
            let mut of_route = Vec::new();
            for routed in &route.revisions {
                if routed.revision.service != route.service {
                    return Err(invalid(format!(
                        "{} is routed as {}",
                        routed.revision, route.service
                    )));
                }
                let same = |other: &&cutover_model::RoutedRevision| other.revision == routed.revision;
                if route.revisions.iter().filter(same).count() > 1 {
                    return Err(invalid(format!("{} is named twice", routed.revision)));
                }
                if !routed.weight.is_none() && routed.endpoints.is_empty() {
                    return Err(invalid(format!(
                        "{} has a share but no instance",
                        routed.revision
                    )));
                }
                let resolved: Result<Vec<_>, Refusal> = routed
                    .endpoints
                    .iter()
                    .map(|endpoint| Ok((endpoint.instance.clone(), resolve(&endpoint.address)?)))
                    .collect();
                of_route.push(resolved?);
            }
            endpoints.push(of_route);
        }
        Ok(Self {
            doors: vec![None; listens.len()],
            access_logs: vec![None; listens.len()],
            table,
            listens,
            endpoints,
            selections,
        })
    }

    /// Reads the certificates and opens the access logs, which may block, and takes over those that `current` serves by.
    pub(crate) fn with_doors(mut self, current: &Snapshot, broken: UseOfBroken) -> Result<Self, Refusal> {
        let services = self.table.services.iter();
        let doors = services.map(|route| Door::new(&route.policy, current, broken));
        self.doors = doors.collect::<Result<_, _>>()?;
        let mut logs = Vec::new();
        for route in &self.table.services {
            logs.push(RouteLog::open(route, current, &logs, broken)?);
        }
        self.access_logs = logs;
        Ok(self)
    }

    pub(crate) fn listens(&self) -> &[SocketAddr] {
        &self.listens
    }

    pub(crate) fn table(&self) -> &RouteTable {
        &self.table
    }

    /// Compiles, taking over what the registry knows. The second value is for [`Registry::settle`], once every worker
    /// serves by the first.
    pub(crate) fn compile(
        self,
        serial: u64,
        fence: Option<Fence>,
        registry: &mut Registry,
    ) -> (Snapshot, Vec<Routed>) {
        let mut routes = Vec::new();
        let mut settled = Vec::new();
        let compiled = self.listens.iter().zip(&self.endpoints).zip(self.selections);
        let opened = self.doors.into_iter().zip(self.access_logs);
        let services = self.table.services.iter().zip(opened);
        for ((route, (door, access_log)), ((listen, endpoints), (selection, strata))) in
            services.zip(compiled)
        {
            let resilience = Arc::new(Resilience::compile(&route.policy));
            let mut revisions = Vec::new();
            let mut split = Vec::new();
            let mut bound = 0;
            let odds = Pair::of(route).map(|pair| registry.odds(pair));
            for (index, (routed, addresses)) in route.revisions.iter().zip(endpoints).enumerate() {
                let (state, endpoints) = registry.revision(&routed.revision, addresses);
                settled.push(Routed {
                    id: routed.revision.clone(),
                    track: routed.track,
                    weight: routed.weight,
                    endpoints: endpoints.iter().map(|endpoint| endpoint.key).collect(),
                });
                if routed.weight != Weight::NONE {
                    bound += routed.weight.parts();
                    split.push((bound, index));
                }
                state.gate.set_limit(resilience.most_open(endpoints.len()));
                let version = routed.revision.version.to_string();
                revisions.push(Arc::new(Revision {
                    track: routed.track,
                    upstream: route.policy.upstream,
                    version: HeaderValue::from_str(&version).unwrap_or(HeaderValue::from_static("unknown")),
                    answer_fields: route.policy.answer_fields,
                    state,
                    odds: odds.as_ref().and_then(|odds| odds.place(&routed.revision)),
                    endpoints,
                    balancing: Balancing::compile(&route.policy.balance),
                    resilience: Arc::clone(&resilience),
                }));
            }
            let side = |track| revisions.iter().position(|revision| revision.track == track);
            let state = registry.route(&route.service);
            routes.push(Route {
                listen: *listen,
                door,
                // What cannot be was refused before.
                mirroring: Mirroring::compile(&route.policy, &state.mirror).ok().flatten(),
                access_log,
                state,
                stable: side(Track::Stable),
                candidate: side(Track::Candidate),
                resilience,
                selection,
                strata,
                revisions,
                split,
            });
        }
        let snapshot = Snapshot {
            serial,
            fence,
            table: self.table,
            routes,
        };
        (snapshot, settled)
    }
}

fn invalid(what: String) -> Refusal {
    Refusal::InvalidTable { what }
}

fn resolve(text: &str) -> Result<SocketAddr, Refusal> {
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| invalid(format!("{text} is no host:port that can be resolved")))
}

impl Snapshot {
    /// Few routes: a scan is faster than a hash.
    pub(crate) fn route(&self, listen: SocketAddr) -> Option<&Route> {
        self.routes.iter().find(|route| route.listen == listen)
    }

    /// The generation of whoever wrote it.
    pub(crate) fn generation(&self) -> u64 {
        self.fence.as_ref().map_or(0, |fence| fence.generation.0)
    }

    /// Notes when those instances came that were not routed before.
    pub(crate) fn note_arrivals(&self, now_ms: u64) {
        let revisions = self.routes.iter().flat_map(|route| &route.revisions);
        for endpoint in revisions.flat_map(|revision| &revision.endpoints) {
            endpoint.arrived(now_ms);
        }
    }
}
