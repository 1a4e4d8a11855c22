//! The file as a whole.

use std::collections::BTreeMap;

use cutover_model::{
    AnalysisTemplate, ApplicationName, Channel, DatabaseName, EnvironmentName, ServiceName, Span,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Gates, Lint, Runner, Service, Strategy};

/// What one `cutover.yaml` describes: services, databases, and how they are released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Application {
    /// Always `cutover/v1`.
    pub api_version: String,
    /// The application's name.
    pub application: ApplicationName,
    /// The least mature channel that is accepted; default stable.
    #[serde(default)]
    pub channel: Channel,
    /// From which versions a release can be reached, as a SemVer requirement; default from any older one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrades_from: Option<String>,
    /// A changelog in Markdown with a heading a version; its sections are shown in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changelog: Option<String>,
    /// The databases by name.
    #[serde(default)]
    pub databases: BTreeMap<DatabaseName, Database>,
    /// The services by name; at least one, unless a database has migrations, for which `cutover migrate` needs none.
    #[serde(default)]
    pub services: BTreeMap<ServiceName, Service>,
    /// How a release takes over.
    #[serde(default)]
    pub strategy: Strategy,
    /// Analysis templates by name.
    #[serde(default)]
    pub analysis: BTreeMap<String, AnalysisTemplate>,
    /// What must hold to go on, apart from health and analysis: a window in time, other systems' answers.
    #[serde(default, skip_serializing_if = "Gates::is_empty")]
    pub gates: Gates,
    /// Backups before migrations.
    #[serde(default)]
    pub backup: Backup,
    /// When contract migrations run.
    #[serde(default)]
    pub contract: Contract,
    /// Whether a failed step or verdict goes back by itself; default true.
    #[serde(default = "yes")]
    pub auto_rollback_on_failure: bool,
    /// How long an instance that gets no new requests may finish those it has; default 30s.
    #[serde(default = "drain_deadline")]
    pub drain_deadline: Span,
    /// What a release must have done before it may come here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
    /// What differs by environment: overlays that were not chosen yet. Empty once one was applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<EnvironmentName, Overlay>,
}

const fn yes() -> bool {
    true
}

const fn drain_deadline() -> Span {
    Span::from_secs(30)
}

/// A database and its migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// `sqlite:path` or `postgres://…`; may hold `${env:NAME}` and `${file:path}`.
    pub url: String,
    /// The folder of its migrations; `{version}` is the release's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<String>,
    /// Another tool that migrates it, instead of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// What `${name}` stands for in its migrations, by name; may hold `${env:NAME}` and `${file:path}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub placeholders: BTreeMap<String, String>,
    /// How long one statement of a migration may run, the wait for its locks included, before it is ended in the database; default: as
    /// long as it takes. A file says `timeout=` for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout: Option<Span>,
    /// How long the last try of a statement of a migration waits for a lock; default 5s. The tries before it wait less, from half a
    /// second on. At least 1ms; MariaDB and MySQL count whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_timeout: Option<Span>,
    /// How often such a statement tries to get its lock, with pauses between; default 40, about six minutes in all. From 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub lock_tries: Option<u32>,
    /// How its migrations are linted.
    #[serde(default, skip_serializing_if = "Lint::is_empty")]
    pub lint: Lint,
    /// Whether requests wait at the proxy while a migration changes the columns of a table, and idle connections to the
    /// database are ended before they go on, so that no prepared `SELECT *` outlives the change; default false. Only PostgreSQL
    /// needs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recycle_connections: bool,
}

/// Backups before migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// Whether every database that is migrated is backed up before; default true.
    #[serde(default = "yes")]
    pub before_migrate: bool,
    /// Where; default `backups/` in the state folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// How many per database are kept; default 7. At least 1.
    #[serde(default = "keep")]
    #[schemars(range(min = 1))]
    pub keep: u32,
}

const fn keep() -> u32 {
    7
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            before_migrate: true,
            directory: None,
            keep: keep(),
        }
    }
}

/// When contract migrations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contract {
    /// `manual`, `nextUpgrade` or a duration after the old version is gone; default manual.
    #[serde(default)]
    pub after: ContractAfter,
}

/// `manual`, `nextUpgrade`, or a duration after the promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "cutover-contract-after", "pattern" = "^(manual|nextUpgrade|0|([0-9]+(d|h|m|s|ms))+)$"))]
pub enum ContractAfter {
    /// By `cutover migrate contract`.
    #[default]
    Manual,
    /// At the beginning of the next upgrade.
    NextUpgrade,
    /// Within the upgrade, so long after the old version is gone.
    Duration(Span),
}

impl TryFrom<String> for ContractAfter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "manual" => Ok(Self::Manual),
            "nextUpgrade" => Ok(Self::NextUpgrade),
            other => other
                .parse()
                .map(Self::Duration)
                .map_err(|_| format!("`{other}` is none of manual, nextUpgrade and a duration such as 24h")),
        }
    }
}

impl From<ContractAfter> for String {
    fn from(after: ContractAfter) -> Self {
        match after {
            ContractAfter::Manual => "manual".to_owned(),
            ContractAfter::NextUpgrade => "nextUpgrade".to_owned(),
            ContractAfter::Duration(span) => span.to_string(),
        }
    }
}

/// What a release must have done before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requires {
    /// It must have succeeded in this environment.
    pub succeeded_in: EnvironmentName,
}

/// What differs in one environment. Maps are merged by key, everything else replaces.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Overlay {
    /// Replaces database URLs and folders, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub databases: BTreeMap<DatabaseName, Database>,
    /// Per service: replicas, environment and router are taken from here where given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<ServiceName, crate::service::ServiceOverlay>,
    /// Replaces the strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Replaces the gates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gates: Option<Gates>,
    /// Replaces when contract migrations run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Replaces the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Replaces what a release must have done before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Requires>,
}
