//! Applications and their releases: by chance for the random runs, by choice for the systematic ones.

use std::collections::BTreeMap;

use cutover_model::routing::TextMatch;
use cutover_model::{
    AnalysisTemplate, Baseline, Digest, HookPoint, Metric, Migration, MigrationId, MigrationPhase, ReleaseId,
    RevisionId, ServiceName, Smoke, Span, Version, Webhook, Window,
};
use cutover_spec::{
    Application, BackgroundAnalysis, Backup, BlueGreen, Canary, CanaryScale, CanaryStep, Contract,
    ContractAfter, Count, Database, Gates, HeaderMatch, HeaderRoute, Health, InlineAnalysis, MirrorRoute,
    PauseStep, ProcessTarget, ProxyRouter, Recreate, Release, Rolling, Router, Service, Strategy, Target,
};

use crate::random::Random;

/// The name of the one analysis template.
const ERRORS: &str = "errors";

/// The template that compares with the time before the candidate had all requests.
const CHANGE: &str = "change";

/// What one application looks like, whatever the release.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Name and whether it has a router.
    pub(crate) services: Vec<(ServiceName, bool, u32)>,
    pub(crate) databases: u32,
    pub(crate) strategy: Strategy,
    pub(crate) contract: ContractAfter,
    pub(crate) auto_rollback: bool,
    pub(crate) compatible: bool,
    pub(crate) backup: bool,
    pub(crate) backfills: bool,
    pub(crate) smoke: bool,
    pub(crate) gates: Gates,
}

impl Shape {
    /// Any application.
    pub(crate) fn any(random: &mut Random) -> Self {
        let names = ["api", "web", "worker"];
        let many = if random.chance(500) {
            1
        } else {
            1 + random.index(3)
        };
        let services = names
            .iter()
            .take(many)
            .enumerate()
            .map(|(place, text)| {
                let routed = if place == 2 {
                    random.chance(200)
                } else {
                    random.chance(900)
                };
                (name(text), routed, random.count(1, 5))
            })
            .collect::<Vec<_>>();
        let fewest = services.iter().map(|(_, _, n)| *n).min().unwrap_or(1);
        Self {
            databases: random.count(0, 2),
            strategy: strategy(random, fewest),
            contract: match random.index(4) {
                0 => ContractAfter::Manual,
                1 => ContractAfter::NextUpgrade,
                2 => ContractAfter::Duration(Span::ZERO),
                _ => ContractAfter::Duration(Span::from_secs(random.between(1, 20))),
            },
            auto_rollback: random.chance(850),
            compatible: random.chance(900),
            backup: random.chance(700),
            backfills: random.chance(600),
            smoke: random.chance(500),
            gates: Gates::default(),
            services,
        }
    }

    /// A small one of a given strategy: one routed service of two instances, one database.
    pub(crate) fn small(strategy: Strategy, contract: ContractAfter) -> Self {
        Self {
            services: vec![(name("api"), true, 2)],
            databases: 1,
            strategy,
            contract,
            auto_rollback: true,
            compatible: true,
            backup: true,
            backfills: true,
            smoke: true,
            gates: hooks(),
        }
    }

    /// The application's spec.
    fn application(&self) -> Application {
        let databases: Vec<_> = (0..self.databases).map(database).collect();
        let services = self
            .services
            .iter()
            .enumerate()
            .map(|(place, (own, routed, replicas))| {
                let before = self
                    .services
                    .iter()
                    .take(place)
                    .map(|(other, _, _)| other.clone());
                let others = before
                    .clone()
                    .filter(|_| self.compatible)
                    .map(|other| (other, "*".to_owned()));
                let service = Service {
                    target: Target::Process(ProcessTarget {
                        command: vec!["run".to_owned()],
                        ports: None,
                        directory: None,
                        ignore: Vec::new(),
                        stop_grace: Span::from_secs(10),
                    }),
                    replicas: *replicas,
                    environment: BTreeMap::new(),
                    databases: databases.clone(),
                    depends_on: before.collect(),
                    compatible_with: others.collect(),
                    health: Health {
                        progress_deadline: cutover_spec::ProgressDeadline(Span::from_secs(60)),
                        ..Health::default()
                    },
                    smoke: if self.smoke && *routed {
                        vec![smoke()]
                    } else {
                        Vec::new()
                    },
                    router: routed.then(|| {
                        Router::Proxy(ProxyRouter {
                            listen: format!("127.0.0.1:{}", 8_080 + place),
                            routing: cutover_model::RoutePolicy::default(),
                        })
                    }),
                };
                (own.clone(), service)
            });
        let url = |name: &cutover_model::DatabaseName| Database {
            url: format!("sqlite:{name}.db"),
            migrations: None,
            runner: None,
            placeholders: BTreeMap::new(),
            statement_timeout: None,
            lock_timeout: None,
            lock_tries: None,
            lint: cutover_spec::Lint::default(),
            recycle_connections: *name == database(1),
        };
        Application {
            api_version: "cutover/v1".to_owned(),
            application: "sim".parse().expect("a valid name"),
            channel: cutover_model::Channel::Stable,
            upgrades_from: None,
            changelog: None,
            databases: databases.iter().map(|name| (name.clone(), url(name))).collect(),
            services: services.collect(),
            strategy: self.strategy.clone(),
            analysis: BTreeMap::from([(ERRORS.to_owned(), errors()), (CHANGE.to_owned(), change())]),
            backup: Backup {
                before_migrate: self.backup,
                ..Backup::default()
            },
            contract: Contract { after: self.contract },
            gates: self.gates.clone(),
            auto_rollback_on_failure: self.auto_rollback,
            drain_deadline: Span::from_secs(10),
            requires: None,
            environments: BTreeMap::new(),
        }
    }

    /// A release: `marks` make its revisions, `migrations` per database come from [`migrations`].
    pub(crate) fn release(
        &self,
        version: &Version,
        revisions: BTreeMap<ServiceName, RevisionId>,
        upto: u64,
    ) -> Release {
        let migrations = (0..self.databases)
            .map(|n| (database(n), migrations(n, upto, self.backfills)))
            .collect();
        Release {
            id: ReleaseId(Digest::of(b"")),
            version: version.clone(),
            application: self.application(),
            revisions,
            contents: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            migrations,
            files: BTreeMap::new(),
            changelog: None,
        }
        .sealed()
    }
}

fn name(text: &str) -> ServiceName {
    text.parse().expect("a valid name")
}

pub(crate) fn database(n: u32) -> cutover_model::DatabaseName {
    format!("db{n}").parse().expect("a valid name")
}

/// The version of the `n`-th release.
pub(crate) fn version(n: u64) -> Version {
    Version::new(1, n, 0)
}

/// A new revision of a service.
pub(crate) fn revision(service: &ServiceName, version: &Version, serial: u32) -> RevisionId {
    RevisionId {
        service: service.clone(),
        version: version.clone(),
        mark: format!("{serial:06x}"),
    }
}

/// All migrations of a database up to a release. The first makes the tables; each later one brings an expand, every
/// other of them a backfill, and a contract that retires what is older than itself.
fn migrations(database_number: u32, upto: u64, backfills: bool) -> Vec<Migration> {
    let mut list = vec![migration(database_number, 1, MigrationPhase::Expand, None)];
    for n in 1..=upto {
        // The second database changes with every other release.
        if !(n + u64::from(database_number)).is_multiple_of(u64::from(database_number) + 1) {
            continue;
        }
        let first = n * 10;
        list.push(migration(database_number, first, MigrationPhase::Expand, None));
        if backfills && n % 2 == 1 {
            list.push(migration(
                database_number,
                first + 1,
                MigrationPhase::Backfill,
                None,
            ));
        }
        list.push(migration(
            database_number,
            first + 2,
            MigrationPhase::Contract,
            Some(version(n)),
        ));
    }
    list
}

fn migration(n: u32, number: u64, phase: MigrationPhase, retires: Option<Version>) -> Migration {
    Migration {
        id: MigrationId {
            number,
            name: phase.word().to_owned(),
            width: 3,
        },
        database: database(n),
        phase,
        retires,
        transaction: true,
        checksum: Digest::of(&number.to_le_bytes()),
        verify: None,
        irreversible: None,
        summary: None,
        reshapes: phase == MigrationPhase::Expand && number.is_multiple_of(20),
        runner: None,
    }
}

fn smoke() -> Smoke {
    Smoke {
        get: "/version".to_owned(),
        status: 200,
        contains: None,
        timeout: Span::from_secs(5),
    }
}

/// One webhook at each point; what is told before the first shift is told once.
fn hooks() -> Gates {
    use HookPoint as At;
    let points = [
        At::ConfirmRollout,
        At::PreRollout,
        At::ConfirmTrafficIncrease,
        At::ConfirmPromotion,
        At::PostRollout,
        At::Rollback,
    ];
    Gates {
        window: None,
        webhooks: points.map(hook).to_vec(),
    }
}

fn hook(at: HookPoint) -> Webhook {
    Webhook {
        name: at.word().to_owned(),
        at,
        url: "http://hooks.example/".to_owned(),
        headers: BTreeMap::new(),
        timeout: Span::from_secs(2),
        interval: Span::from_secs(1),
        deadline: None,
        once: at == HookPoint::PreRollout,
    }
}

/// Any gates. The virtual clock begins at midnight, so that a window is closed for the first minutes.
pub(crate) fn gates(random: &mut Random) -> Gates {
    if random.chance(400) {
        return Gates::default();
    }
    let mut webhooks = hooks().webhooks;
    webhooks.retain(|_| random.chance(500));
    for hook in &mut webhooks {
        hook.once = !hook.at.asks() && random.chance(300);
        hook.deadline = random.chance(500).then(|| Span::from_secs(random.between(2, 60)));
    }
    let opens = [
        "daily 00:02-24:00",
        "daily 00:00-00:03, daily 00:06-24:00",
        "daily 00:00-24:00",
    ];
    let window = random.chance(400).then(|| Window {
        open: opens[random.index(3)].parse().ok(),
        outside: if random.chance(200) {
            cutover_model::Outside::Refuse
        } else {
            cutover_model::Outside::Wait
        },
        each_shift: random.chance(500),
        ..Window::default()
    });
    Gates { window, webhooks }
}

fn errors() -> AnalysisTemplate {
    AnalysisTemplate {
        interval: Span::from_secs(4),
        initial_delay: Span::ZERO,
        count: 2,
        failure_limit: 0,
        inconclusive_limit: 0,
        consecutive_success_limit: 0,
        baseline: Baseline::Stable,
        dry_run: Vec::new(),
        args: BTreeMap::new(),
        consecutive_error_limit: 4,
        min_requests: 20,
        metrics: vec![Metric::ErrorRate {
            max: Some(5.0),
            max_ratio: None,
        }],
    }
}

/// What is new after the switch is held against the time before it; the metric is the default one.
fn change() -> AnalysisTemplate {
    AnalysisTemplate {
        baseline: Baseline::PreSwitch,
        metrics: Vec::new(),
        ..errors()
    }
}

fn inline() -> InlineAnalysis {
    named(ERRORS)
}

fn named(template: &str) -> InlineAnalysis {
    InlineAnalysis {
        template: template.to_owned(),
        args: BTreeMap::new(),
    }
}

fn background() -> BackgroundAnalysis {
    BackgroundAnalysis {
        template: ERRORS.to_owned(),
        args: BTreeMap::new(),
        starting_step: None,
    }
}

fn strategy(random: &mut Random, fewest: u32) -> Strategy {
    let delay = Span::from_secs(random.between(0, 12));
    match random.index(10) {
        0..=2 => Strategy::BlueGreen(BlueGreen {
            auto_promotion_enabled: random.chance(800),
            preview_replica_count: random.chance(300).then(|| random.count(1, 3)),
            // Before the switch there are no requests to measure: it would wait for a person.
            pre_promotion_analysis: random.chance(100).then(inline),
            post_promotion_analysis: random
                .chance(500)
                .then(|| named(if random.chance(500) { CHANGE } else { ERRORS })),
            scale_down_delay: delay,
        }),
        3..=6 => Strategy::Canary(Canary {
            steps: canary_steps(random),
            analysis: random.chance(700).then(background),
            scale_down_delay: delay,
        }),
        7 | 8 => {
            let surge = if fewest >= 2 && random.chance(300) {
                Count::Number(0)
            } else if random.chance(500) {
                Count::Percent(25)
            } else {
                Count::Number(random.count(1, 2))
            };
            Strategy::Rolling(Rolling {
                max_surge: surge,
                max_unavailable: if fewest >= 2 {
                    Count::Number(random.count(0, 1))
                } else {
                    Count::Number(0)
                },
                analysis: random.chance(500).then(inline),
                scale_down_delay: delay,
            })
        }
        _ => Strategy::Recreate(Recreate {}),
    }
}

fn canary_steps(random: &mut Random) -> Vec<CanaryStep> {
    let mut steps = Vec::new();
    let mut weight = 0;
    if random.chance(200) {
        steps.push(CanaryStep::SetCanaryScale(CanaryScale { replicas: 1 }));
    }
    let copies = random.chance(200);
    if copies {
        steps.push(CanaryStep::SetMirrorRoute(MirrorRoute { percentage: 20 }));
    }
    let testers = random.chance(250);
    if testers {
        steps.push(CanaryStep::SetHeaderRoute(testers_route(true)));
    }
    for _ in 0..random.count(1, 3) {
        weight = u8::try_from(random.count(u32::from(weight) + 1, 99)).unwrap_or(99);
        steps.push(CanaryStep::SetWeight(weight));
        match random.index(6) {
            0 => steps.push(CanaryStep::Pause(PauseStep { duration: None })),
            1..=3 => steps.push(CanaryStep::Pause(PauseStep {
                duration: Some(Span::from_secs(random.between(1, 15))),
            })),
            4 => steps.push(CanaryStep::Analysis(inline())),
            _ => {}
        }
        if weight >= 98 {
            break;
        }
    }
    if testers && random.chance(500) {
        steps.push(CanaryStep::SetHeaderRoute(testers_route(false)));
    }
    if copies && random.chance(500) {
        steps.push(CanaryStep::SetMirrorRoute(MirrorRoute { percentage: 0 }));
    }
    steps
}

fn testers_route(begins: bool) -> HeaderRoute {
    let tester = HeaderMatch {
        header_name: "X-Tester".to_owned(),
        header_value: TextMatch::Exact("yes".to_owned()),
    };
    HeaderRoute {
        name: "testers".to_owned(),
        when: if begins { vec![tester] } else { Vec::new() },
    }
}

/// The four strategies, each with short waits, for the systematic runs.
pub(crate) fn canonical(kind: cutover_model::StrategyKind) -> Strategy {
    use cutover_model::StrategyKind as Kind;
    let delay = Span::from_secs(1);
    match kind {
        Kind::BlueGreen => Strategy::BlueGreen(BlueGreen {
            scale_down_delay: delay,
            ..BlueGreen::default()
        }),
        Kind::Canary => Strategy::Canary(Canary {
            steps: vec![
                CanaryStep::SetWeight(30),
                CanaryStep::Pause(PauseStep {
                    // Two measurements: where one cannot be read, the other still catches a bad candidate.
                    duration: Some(Span::from_secs(12)),
                }),
            ],
            analysis: Some(BackgroundAnalysis {
                template: ERRORS.to_owned(),
                args: BTreeMap::new(),
                starting_step: None,
            }),
            scale_down_delay: delay,
        }),
        Kind::Rolling => Strategy::Rolling(Rolling {
            max_surge: Count::Number(1),
            scale_down_delay: delay,
            ..Rolling::default()
        }),
        Kind::Recreate => Strategy::Recreate(Recreate {}),
    }
}
