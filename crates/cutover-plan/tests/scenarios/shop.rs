//! An application to plan for: releases 1.0.0, 1.1.0 (a schema change) and 1.2.0.

use std::collections::BTreeMap;

use cutover_model::{
    AppliedMigration, DatabaseName, DatabaseState, Digest, EnvironmentName, Instance, InstanceId,
    InstanceState, Migration, MigrationId, MigrationPhase, SchemaRevision, ServiceName, Span, Timestamp,
    Version,
};
use cutover_plan::{Goal, PlanInput, Planned, plan};
use cutover_spec::{Application, Artifact, Release, ReleaseDraft, ServiceParts};

const API: &str = r#"
  api:
    target: {process: {command: ["./releases/{version}/shop"], ports: 20000-20999}}
    replicas: REPLICAS
    databases: [main]
    health: {path: /ready}
    smoke: [{get: /api/version}, {get: /api/db/ping}]
    router: {proxy: {listen: "127.0.0.1:8080"}}
"#;

const CANARY: &str = r"canary:
    steps:
      - setWeight: 10
      - pause: {duration: 5m}
      - setWeight: 50
      - analysis: {template: errors}
    scaleDownDelay: 24h";

#[derive(Clone)]
pub(crate) struct Shop {
    strategy: String,
    extra: String,
    services: String,
    replicas: u32,
    config: String,
    restart: Option<ServiceName>,
    only: Option<ServiceName>,
    current: Option<Release>,
    retired: Option<Version>,
    reopened: bool,
    down: bool,
    environment: EnvironmentName,
    succeeded_before: Option<bool>,
    runner: Option<(String, Option<SchemaRevision>)>,
    recycle: bool,
}

impl Shop {
    pub(crate) fn canary() -> Self {
        Self::of(CANARY)
    }

    pub(crate) fn of(strategy: &str) -> Self {
        Self {
            strategy: strategy.to_owned(),
            extra: String::new(),
            services: String::new(),
            replicas: 4,
            config: "one".to_owned(),
            restart: None,
            only: None,
            current: None,
            retired: None,
            reopened: false,
            down: false,
            environment: EnvironmentName::production(),
            succeeded_before: None,
            runner: None,
            recycle: false,
        }
    }

    pub(crate) fn with(mut self, line: &str) -> Self {
        self.extra.push_str(line);
        self.extra.push('\n');
        self
    }

    pub(crate) fn with_frontend(mut self) -> Self {
        self.services.push_str(
            r#"
  frontend:
    target: {process: {command: ["./releases/{version}/frontend"], ports: 21000-21999}}
    replicas: 2
    dependsOn: [api]
    compatibleWith: {api: ">=1.0.0, <2.0.0"}
    router: {proxy: {listen: "127.0.0.1:8081"}}
"#,
        );
        self
    }

    pub(crate) fn with_undeclared_frontend(mut self) -> Self {
        self = self.with_frontend();
        self.services = self
            .services
            .replace("    compatibleWith: {api: \">=1.0.0, <2.0.0\"}\n", "");
        self
    }

    pub(crate) fn with_worker(mut self) -> Self {
        self.services.push_str(
            r#"
  worker:
    target: {process: {command: ["./releases/{version}/worker"]}}
    replicas: 3
    dependsOn: [api]
    compatibleWith: {api: ">=1.0.0, <2.0.0"}
"#,
        );
        self
    }

    pub(crate) fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    pub(crate) fn config(mut self, config: &str) -> Self {
        self.config = config.to_owned();
        self
    }

    pub(crate) fn restart(mut self, service: &str) -> Self {
        self.restart = Some(service.parse().unwrap());
        self
    }

    pub(crate) fn only(mut self, service: &str) -> Self {
        self.only = Some(service.parse().unwrap());
        self
    }

    /// The release is recorded as stable and runs; its migrations but the contracts are applied.
    pub(crate) fn running(mut self, version: &str) -> Self {
        self.current = Some(self.release(version));
        self
    }

    /// Recorded, but nothing runs.
    pub(crate) fn down(mut self) -> Self {
        self.down = true;
        self
    }

    /// In another environment, after another one where the release has succeeded, or not.
    pub(crate) fn in_environment(mut self, name: &str, succeeded_before: Option<bool>) -> Self {
        self.environment = name.parse().unwrap();
        self.succeeded_before = succeeded_before;
        self
    }

    /// An abort or a rollback has been here: the backfill counts as pending again.
    pub(crate) fn reopened(mut self) -> Self {
        self.reopened = true;
        self
    }

    /// Another tool migrates the database, and says that it is there.
    /// Connections are renewed when columns change.
    pub(crate) fn recycling(mut self) -> Self {
        self.recycle = true;
        self
    }

    pub(crate) fn run_by(mut self, runner: &str, at: Option<&str>) -> Self {
        self.runner = Some((
            runner.to_owned(),
            at.map(|text| SchemaRevision::from_output(text, false)),
        ));
        self
    }

    pub(crate) fn contracted(mut self) -> Self {
        self.retired = self.current.as_ref().map(|release| release.version.clone());
        self
    }

    fn application(&self) -> Application {
        let text = format!(
            "apiVersion: cutover/v1\napplication: shop\nchannel: stable\nenvironments: {{staging: {{}}}}\n{}databases:\n  main: {{url: \"sqlite:shop.db\", {}}}\nservices:{}{}\nstrategy:\n  {}\nanalysis:\n  errors: {{interval: 10s, \
             count: 2, metrics: [{{errorRate: {{max: 5}}}}]}}\n  after: {{baseline: preSwitch}}\n",
            self.extra,
            self.runner.as_ref().map_or_else(
                || {
                    let recycle = if self.recycle {
                        ", recycleConnections: true"
                    } else {
                        ""
                    };
                    format!("migrations: \"./releases/{{version}}/migrations\"{recycle}")
                },
                |(runner, _)| format!("runner: {runner}"),
            ),
            API.replace("REPLICAS", &self.replicas.to_string()),
            self.services,
            self.strategy
        );
        let parsed = cutover_spec::parse("cutover.yaml", &text);
        let application = parsed.unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
        application.for_environment(&self.environment).unwrap()
    }

    fn release(&self, version: &str) -> Release {
        let application = self.application();
        let version: Version = version.parse().unwrap();
        let parts = application
            .services
            .keys()
            .map(|name| {
                let moves = self.only.as_ref().is_none_or(|only| only == name);
                let artifact = if moves {
                    version.to_string()
                } else {
                    self.current_version()
                };
                let restart = self
                    .restart
                    .as_ref()
                    .filter(|one| *one == name)
                    .map(|_| "again".to_owned());
                let config = Digest::of(self.config.as_bytes());
                (
                    name.clone(),
                    ServiceParts {
                        artifact: Artifact {
                            digest: Digest::of(artifact.as_bytes()),
                            words: Vec::new(),
                            folders: Vec::new(),
                        },
                        config,
                        restart,
                    },
                )
            })
            .collect();
        let main: DatabaseName = "main".parse().unwrap();
        let migrations = match &application.databases[&main].runner {
            Some(runner) => vec![runner.migration(&main)],
            None => migrations(&version),
        };
        let migrations = BTreeMap::from([(main, migrations)]);
        ReleaseDraft {
            application: &application,
            version: &version,
            previous: self.current.as_ref(),
            parts,
            migrations,
            files: BTreeMap::new(),
            changelog: None,
        }
        .seal()
        .unwrap()
    }

    fn current_version(&self) -> String {
        self.current
            .as_ref()
            .map(|release| release.version.to_string())
            .unwrap_or_default()
    }

    pub(crate) fn plan(&self, version: &str, goal: Goal) -> Planned {
        let target = self.release(version);
        let instances = self
            .current
            .as_ref()
            .filter(|_| !self.down)
            .map(running)
            .unwrap_or_default();
        let state = DatabaseState {
            server: "PostgreSQL 15.18".to_owned(),
            size: self.current.as_ref().map(|_| 2_100_000_000),
            applied: self
                .current
                .as_ref()
                .filter(|_| self.runner.is_none())
                .map(|release| self.applied(release))
                .unwrap_or_default(),
            retired_below: self.retired.clone(),
            owner: None,
            revision: self.runner.as_ref().and_then(|(_, at)| at.clone()),
        };
        let databases = BTreeMap::from([("main".parse::<DatabaseName>().unwrap(), state)]);
        plan(&PlanInput {
            environment: self.environment.clone(),
            goal,
            target: &target,
            current: self.current.as_ref(),
            expected: None,
            instances: &instances,
            databases: &databases,
            succeeded_before: self.succeeded_before,
            before: None,
            slots: BTreeMap::new(),
        })
    }

    fn applied(&self, release: &Release) -> Vec<AppliedMigration> {
        migrations(&release.version)
            .into_iter()
            .filter(|one| self.retired.is_some() || one.phase != MigrationPhase::Contract)
            .map(|one| AppliedMigration {
                id: one.id,
                phase: one.phase,
                checksum: one.checksum,
                applied_at: Timestamp::UNIX_EPOCH,
                took: Span::from_millis(3),
                release: None,
                complete: !(self.reopened && one.phase == MigrationPhase::Backfill),
            })
            .collect()
    }
}

fn running(release: &Release) -> Vec<Instance> {
    let mut instances = Vec::new();
    for (name, revision) in &release.revisions {
        for n in 0..release.application.services[name].replicas {
            instances.push(Instance {
                id: InstanceId::new(format!("{name}-{n}")),
                revision: revision.clone(),
                address: Some(format!("127.0.0.1:{}", 20_000 + n)),
                state: InstanceState::Ready,
                since: Timestamp::UNIX_EPOCH,
                unready: None,
                restarts: 0,
            });
        }
    }
    instances
}

/// 001 is of 1.0.0; 002 to 004 came with 1.1.0.
fn migrations(version: &Version) -> Vec<Migration> {
    let all = [
        (1, "create_users", MigrationPhase::Expand, "adds users"),
        (
            2,
            "full_name",
            MigrationPhase::Expand,
            "adds users.full_name, two-way triggers",
        ),
        (
            3,
            "backfill_full_name",
            MigrationPhase::Backfill,
            "fills users.full_name",
        ),
        (
            4,
            "drop_old_names",
            MigrationPhase::Contract,
            "drops users.first_name, last_name",
        ),
    ];
    let count = if *version < Version::new(1, 1, 0) { 1 } else { 4 };
    all.into_iter()
        .take(count)
        .map(|(number, name, phase, summary)| Migration {
            id: MigrationId {
                number,
                name: name.to_owned(),
                width: 3,
            },
            database: "main".parse().unwrap(),
            phase,
            retires: (phase == MigrationPhase::Contract).then(|| Version::new(1, 1, 0)),
            transaction: true,
            checksum: Digest::of(name.as_bytes()),
            verify: None,
            irreversible: None,
            summary: Some(summary.to_owned()),
            reshapes: matches!(number, 2 | 4),
            runner: None,
        })
        .collect()
}
