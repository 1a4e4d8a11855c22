//! Values and stores for the tests.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![allow(dead_code, reason = "compiled into each test binary, and none uses all of it")]

use cutover_model::{
    Command, Digest, Event, Generation, Outcome, Plan, PlanId, ReleaseId, Settings, Span, StepId, StoreId,
    StrategyKind, Timestamp, UpgradeId, UpgradeKind, UpgradePhase, Version,
};
use cutover_ports::{Append, Holder, Lease, Store, StoreError};
use cutover_spec::Release;
use cutover_store::SqliteStore;

/// Where stores come from. Each call opens the same state anew, as another process would.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("shop").join("state.db")
    }

    pub(crate) fn open(&self) -> SqliteStore {
        self.open_in("production")
    }

    pub(crate) fn open_in(&self, environment: &str) -> SqliteStore {
        self.try_open(environment).unwrap()
    }

    pub(crate) fn try_open(&self, environment: &str) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.path(), environment.parse().unwrap(), || {
            StoreId::new("store-1")
        })
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + seconds, 123_456_789).unwrap()
}

pub(crate) const LENGTH: Span = Span::from_secs(30);

pub(crate) fn holder(pid: u32) -> Holder {
    Holder {
        host: "one".into(),
        boot: "b".into(),
        pid,
        started: 7,
    }
}

pub(crate) async fn take(store: &dyn Store) -> Lease {
    store.acquire(&holder(1), at(0), LENGTH, &|_| true).await.unwrap()
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub(crate) fn id(text: &str) -> UpgradeId {
    UpgradeId::new(text)
}

pub(crate) fn release(text: &str) -> Release {
    let application = serde_json::json!({
        "apiVersion": "cutover/v1",
        "application": "shop",
        "services": {"api": {"target": {"process": {"command": ["./shop"], "ports": "20000-20999"}}}},
    });
    Release {
        id: ReleaseId(Digest::of(b"")),
        version: version(text),
        application: serde_json::from_value(application).unwrap(),
        revisions: [(
            "api".parse().unwrap(),
            format!("api@{text}#3fa29c").parse().unwrap(),
        )]
        .into(),
        contents: std::collections::BTreeMap::new(),
        artifacts: std::collections::BTreeMap::new(),
        migrations: std::collections::BTreeMap::new(),
        files: std::collections::BTreeMap::new(),
        changelog: Some("# Ünïcode, 'quotes' and \"more\"\n".into()),
    }
    .sealed()
}

pub(crate) fn plan(from: Option<&str>, to: &str) -> Plan {
    Plan {
        format: cutover_model::PLAN_FORMAT,
        id: PlanId(Digest::of(b"")),
        application: "shop".parse().unwrap(),
        environment: "production".parse().unwrap(),
        kind: UpgradeKind::Upgrade,
        strategy: StrategyKind::Canary,
        parent: from.map(|from| release(from).id),
        from: from.map(version),
        release: release(to).id,
        to: version(to),
        basis: Vec::new(),
        initial: cutover_model::Desired::default(),
        services: Vec::new(),
        steps: Vec::new(),
        guards: Vec::new(),
        told_on_abort: Vec::new(),
        pending_contracts: Vec::new(),
        settings: Settings {
            auto_rollback: true,
            drain_deadline: Span::from_secs(30),
        },
        report: cutover_model::PlanReport::default(),
    }
    .sealed()
}

pub(crate) fn created(plan: &Plan) -> Event {
    Event::Created {
        plan: plan.id.clone(),
        plan_format: plan.format,
        engine: cutover_model::ENGINE_VERSION.into(),
        kind: plan.kind,
        from: plan.from.clone(),
        to: plan.to.clone(),
        by: "anna".into(),
    }
}

pub(crate) fn intent(step: u32) -> Event {
    Event::Intent {
        step: StepId(step),
        generation: Generation(1),
        attempt: 1,
    }
}

pub(crate) fn done(step: u32) -> Event {
    Event::Outcome {
        step: StepId(step),
        outcome: Outcome::Done {
            detail: "read back".into(),
        },
    }
}

pub(crate) fn finished(phase: UpgradePhase) -> Event {
    Event::Finished {
        phase,
        summary: "over".into(),
    }
}

pub(crate) fn requested(command: Command) -> Event {
    Event::Requested {
        command,
        by: "anna".into(),
        why: None,
    }
}

pub(crate) fn write(expected: u64, events: &[Event], phase: UpgradePhase) -> Append<'_> {
    Append {
        expected,
        events,
        phase,
        promotion: None,
        now: at(60),
    }
}

/// Records an upgrade from nothing to `to`.
pub(crate) async fn create(store: &dyn Store, lease: &Lease, name: &str, to: &str) -> Plan {
    let plan = plan(None, to);
    store
        .create(&lease.fence, &id(name), &plan, &created(&plan), at(1))
        .await
        .unwrap();
    plan
}

/// The diagnostic's code of an error that must be one with a next command.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Failed(diagnostic)) => {
            assert!(diagnostic.help.is_some(), "{diagnostic:?} has no next command");
            diagnostic.code
        }
        other => panic!("{other:?}"),
    }
}
