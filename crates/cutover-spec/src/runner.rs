//! Databases that another tool migrates.

use std::collections::BTreeMap;

use cutover_model::{DatabaseName, Digest, Migration, MigrationId, MigrationPhase, ServiceName, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Application, ProcessTarget, Service, Target};

/// Another tool that migrates a database: its commands, run as steps of the plan. Each is a program and its arguments,
/// without a shell; `{version}` is the release's version. The database's address is in DATABASE_URL.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Runner {
    /// A tool whose commands are known: what is not given below is taken from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<RunnerPreset>,
    /// Applies what is pending; applied again it must do nothing: `[alembic, upgrade, head]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub up: Vec<String>,
    /// Goes back to `{revision}`: `[alembic, downgrade, "{revision}"]`. With it an abort takes the schema back; without it
    /// the schema stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<String>,
    /// Prints where the schema is, and nothing else: `[alembic, current]`. Without it a run that was cut off can only be
    /// judged by a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub current: Vec<String>,
    /// What `{revision}` is where `current` prints nothing, because nothing is applied yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// How long each command may run; default 10m. Then it is ended, with all that it started.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Where the commands are run; default the folder of `cutover.yaml`. `{version}` is the release's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Environment variables besides those of `cutover` itself; values may hold `${env:NAME}`, `${file:path}` and
    /// `{version}`. One named DATABASE_URL replaces the address in Cutover's form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// `candidate`: in the folder and with the environment of the service that uses the database, at the release that
    /// is gone to.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub place: Option<RunnerPlace>,
    /// Which service that is; needed where several use the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
}

/// A tool whose commands are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunnerPreset {
    /// `alembic upgrade head`, `alembic downgrade {revision}`, `alembic current`.
    Alembic,
}

/// Where a runner's commands are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RunnerPlace {
    /// As an instance of the new release would be.
    Candidate,
}

const fn timeout() -> Span {
    Span::from_mins(10)
}

/// What is run, with a preset's commands put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerCommands {
    /// What the tool is called: the preset's name, or that of the program.
    pub name: String,
    /// Applies what is pending.
    pub up: Vec<String>,
    /// Goes back to `{revision}`.
    pub down: Option<Vec<String>>,
    /// Prints where the schema is.
    pub current: Option<Vec<String>>,
    /// What `{revision}` is before anything is applied.
    pub base: Option<String>,
    /// Whether only the first word of each line of `current` counts.
    pub first_words: bool,
}

impl Runner {
    /// What is run.
    #[must_use]
    pub fn commands(&self) -> RunnerCommands {
        let words = |own: &[String], preset: &[&str]| -> Option<Vec<String>> {
            let known = self.preset.map(|RunnerPreset::Alembic| preset);
            match (own, known) {
                ([], None) => None,
                ([], Some(known)) => Some(known.iter().map(|word| (*word).to_owned()).collect()),
                (own, _) => Some(own.to_vec()),
            }
        };
        let up = words(&self.up, &["alembic", "upgrade", "head"]).unwrap_or_default();
        let alembic = self.preset == Some(RunnerPreset::Alembic);
        RunnerCommands {
            name: if alembic {
                "alembic".to_owned()
            } else {
                program(&up)
            },
            down: words(&self.down, &["alembic", "downgrade", "{revision}"]),
            current: words(&self.current, &["alembic", "current"]),
            base: self.base.clone().or_else(|| alembic.then(|| "base".to_owned())),
            // A `(head)` behind the revision depends on the files that are looked at.
            first_words: alembic && self.current.is_empty(),
            up,
        }
    }

    /// All that it does with a database, as one migration of a release. When the release is gone to, it is run.
    #[must_use]
    pub fn migration(&self, database: &DatabaseName) -> Migration {
        let commands = self.commands();
        Migration {
            id: MigrationId::of_runner(&commands.name),
            database: database.clone(),
            phase: MigrationPhase::Expand,
            retires: None,
            transaction: false,
            checksum: Digest::of_value(self),
            verify: None,
            irreversible: None,
            summary: Some(commands.up.join(" ")),
            reshapes: false,
            runner: Some(cutover_model::Runner {
                observed: commands.current.is_some(),
            }),
        }
    }

    /// The service in whose folder and environment it runs, where it runs in one.
    #[must_use]
    pub fn service_in<'a>(
        &self,
        application: &'a Application,
        database: &DatabaseName,
    ) -> Option<(&'a ServiceName, &'a Service, &'a ProcessTarget)> {
        self.place?;
        let (name, service) = match &self.service {
            Some(name) => application.services.get_key_value(name)?,
            None => application
                .services
                .iter()
                .find(|(_, service)| service.databases.contains(database))?,
        };
        let Target::Process(process) = &service.target;
        Some((name, service, process))
    }
}

/// The last part of a program's path: what a person calls it.
fn program(command: &[String]) -> String {
    let first = command.first().map_or("", String::as_str);
    let name = first.rsplit('/').next().unwrap_or(first);
    if name.is_empty() { "runner" } else { name }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_preset_says_can_be_said_otherwise() {
        let alembic = Runner {
            preset: Some(RunnerPreset::Alembic),
            ..Runner::default()
        };
        let commands = alembic.commands();
        assert_eq!(commands.up, ["alembic", "upgrade", "head"]);
        assert_eq!(commands.down.unwrap(), ["alembic", "downgrade", "{revision}"]);
        assert_eq!(commands.base.as_deref(), Some("base"));
        assert!(commands.first_words);
        let own = Runner {
            up: vec!["./bin/migrate".to_owned(), "up".to_owned()],
            ..alembic
        };
        assert_eq!(own.commands().up, ["./bin/migrate", "up"]);
        assert_eq!(own.commands().name, "alembic");
        let plain = Runner { preset: None, ..own };
        let commands = plain.commands();
        assert_eq!(
            (commands.name.as_str(), commands.down, commands.current),
            ("migrate", None, None)
        );
        let migration = plain.migration(&"main".parse().unwrap());
        assert_eq!(migration.id.to_string(), "migrate");
        assert!(!migration.runner.unwrap().observed);
    }
}
