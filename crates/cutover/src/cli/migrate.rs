//! What `cutover migrate` is asked.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use cutover_migrate::{ColumnName, Rename, Repair, Retype, Split, Tool};
use cutover_model::{DatabaseName, MigrationPhase, Version};

use super::{MigrateLint, ServiceChoice};

#[derive(Debug, Subcommand)]
pub(crate) enum Migrate {
    /// Write the files of a new migration
    New(Box<MigrateNew>),
    /// Apply what is pending
    Up(MigrateUp),
    /// Take the newest back
    Down(MigrateDown),
    /// Show what is applied and what is pending
    Status(MigrateWhich),
    /// Compare the files with the history
    Validate(MigrateWhich),
    /// Compare the database with what its migrations produce
    Diff(MigrateWhich),
    /// Print what would be run, and run nothing
    Sql(MigrateSql),
    /// Show all that was ever applied, taken back or corrected
    History(MigrateWhich),
    /// Record files as applied without running them, in a database that was made by other means or by another tool
    Baseline(MigrateBaseline),
    /// Correct what is recorded of one migration
    Repair(MigrateRepair),
    /// Say what migrations would do to those who use the database, to the old version, and to the data
    Lint(MigrateLint),
    /// Tell what the linter looks for
    Rules {
        /// One rule, whole [default: the list]
        rule: Option<String>,
        /// All rules, whole, as the page of the documentation
        #[arg(long, hide = true, conflicts_with = "rule")]
        page: bool,
    },
    /// Run the contract migrations that are pending, under an upgrade's guards
    Contract {
        /// Begin, and go on in the background
        #[arg(long)]
        detach: bool,
    },
}

impl Migrate {
    /// The release whose files it was told to look at.
    pub(crate) fn release(&self) -> Option<&Version> {
        let which = match self {
            Self::Up(up) => &up.which,
            Self::Down(down) => &down.which,
            Self::Sql(sql) => &sql.which,
            Self::Baseline(baseline) => &baseline.which,
            Self::Repair(repair) => &repair.which,
            Self::Status(which) | Self::Validate(which) | Self::Diff(which) | Self::History(which) => which,
            Self::New(_) | Self::Lint(_) | Self::Rules { .. } | Self::Contract { .. } => return None,
        };
        which.release.as_ref()
    }

    /// A command that is told, for a release: those that look at the files of one say which.
    pub(crate) fn of_release(told: &str, version: &Version) -> String {
        const UNKNOWN: &str = "--release VERSION";
        if told.contains(UNKNOWN) {
            return told.replace(UNKNOWN, &format!("--release {version}"));
        }
        let word = told
            .strip_prefix("cutover migrate ")
            .and_then(|rest| rest.split(' ').next());
        let all = Self::augment_subcommands(clap::Command::new("migrate"));
        let takes_one = word
            .and_then(|word| all.find_subcommand(word))
            .is_some_and(|command| command.get_arguments().any(|it| it.get_long() == Some("release")));
        if takes_one && !told.contains("--release") && !told.contains("--help") {
            format!("{told} --release {version}")
        } else {
            told.to_owned()
        }
    }

    /// Whether it can take a database over from another state.
    pub(crate) const fn can_adopt(&self) -> bool {
        matches!(
            self,
            Self::Up(_) | Self::Down(_) | Self::Baseline(_) | Self::Repair(_)
        )
    }
}

#[derive(Debug, Args)]
pub(crate) struct MigrateNew {
    /// What it does, in a few words: add_full_name
    pub(crate) name: String,
    /// The release that brings it
    #[arg(long, value_name = "VERSION")]
    pub(crate) release: Version,
    /// The database; needed when there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<DatabaseName>,
    /// When it may run
    #[arg(long, default_value = "expand", value_parser = phase)]
    pub(crate) phase: MigrationPhase,
    /// Of a contract: versions below this cannot live with it
    #[arg(long, value_name = "VERSION")]
    pub(crate) retires: Option<Version>,
    /// Write all files of another name for a column; may be given several times
    #[arg(long, value_name = "TABLE.OLD:NEW", conflicts_with = "phase")]
    pub(crate) rename: Vec<Rename>,
    /// Write all files of a column that becomes several
    #[arg(long, value_name = "TABLE.OLD:NEW,NEW", conflicts_with_all = ["phase", "rename"])]
    pub(crate) split: Option<Split>,
    /// Write all files of a column of another type, under another name
    #[arg(long, value_name = "TABLE.OLD:NEW:TYPE", conflicts_with_all = ["phase", "rename", "split"])]
    pub(crate) retype: Option<Retype>,
    /// Write all files of a column that is never NULL again
    #[arg(long, value_name = "TABLE.COLUMN", conflicts_with_all = ["phase", "rename", "split", "retype"])]
    pub(crate) not_null: Option<ColumnName>,
    /// Write the files that lead to the schema of --schema
    #[arg(long, requires = "schema", conflicts_with_all = ["phase", "split", "retype", "not_null"])]
    pub(crate) autogenerate: bool,
    /// The schema that is wanted, as statements that make it in an empty database
    #[arg(long, value_name = "FILE", requires = "autogenerate")]
    pub(crate) schema: Option<PathBuf>,
    /// A table, or a column as TABLE.COLUMN, that is dropped and has no other name
    #[arg(long = "drop", value_name = "NAME", requires = "autogenerate")]
    pub(crate) drops: Vec<String>,
}

/// Which files.
#[derive(Debug, Clone, Args)]
pub(crate) struct MigrateWhich {
    /// The files of this version [default: those of the stable release]
    #[arg(long, value_name = "VERSION")]
    pub(crate) release: Option<Version>,
    /// Only this database
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<DatabaseName>,
    /// Only the databases that this service uses, or those of `all`
    #[arg(long, value_name = "NAME|all", conflicts_with = "database")]
    pub(crate) service: Option<ServiceChoice>,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateUp {
    #[command(flatten)]
    pub(crate) which: MigrateWhich,
    /// Up to and with this number
    #[arg(long, value_name = "NUMBER", conflicts_with = "steps")]
    pub(crate) to: Option<u64>,
    /// How many at most, in each database
    #[arg(long, value_name = "N", visible_alias = "most")]
    pub(crate) steps: Option<usize>,
    /// Contracts, too, where nothing is deployed: versions that they retire are refused from then on
    #[arg(long)]
    pub(crate) contracts: bool,
    /// Take its databases over from the state that they belong to, if that is lost
    #[arg(long)]
    pub(crate) adopt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateDown {
    #[command(flatten)]
    pub(crate) which: MigrateWhich,
    /// How many [default: 1]
    #[arg(long, value_name = "N", conflicts_with_all = ["to", "all"])]
    pub(crate) steps: Option<usize>,
    /// Down to this number, which stays applied; 0 takes back all
    #[arg(long, value_name = "NUMBER", conflicts_with = "all")]
    pub(crate) to: Option<u64>,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    /// Even what instances of the deployed release run with
    #[arg(long)]
    pub(crate) in_use: bool,
    /// Take its databases over from the state that they belong to, if that is lost
    #[arg(long)]
    pub(crate) adopt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateSql {
    #[command(flatten)]
    pub(crate) which: MigrateWhich,
    /// The way back instead of the way up
    #[arg(long)]
    pub(crate) down: bool,
    /// Contracts, too
    #[arg(long, conflicts_with = "down")]
    pub(crate) contracts: bool,
    /// Up to and with this number, or down to it
    #[arg(long, value_name = "NUMBER", conflicts_with = "steps")]
    pub(crate) to: Option<u64>,
    /// How many at most, in each database
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateBaseline {
    #[command(flatten)]
    pub(crate) which: MigrateWhich,
    /// The last number that the database has already
    #[arg(long, value_name = "NUMBER", required_unless_present = "from")]
    pub(crate) to: Option<u64>,
    /// What this tool's own history says is applied: flyway, alembic, golang-migrate, dbmate, sqlx, liquibase, rails
    #[arg(long, value_name = "TOOL")]
    pub(crate) from: Option<Tool>,
    /// Take the database over from the state that it belongs to, if that is lost
    #[arg(long)]
    pub(crate) adopt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MigrateRepair {
    #[command(flatten)]
    pub(crate) which: MigrateWhich,
    /// Which: its number, or its whole name where a number is not enough
    #[arg(long, value_name = "MIGRATION")]
    pub(crate) only: String,
    /// What it is: as its `file` now says, `applied` (what was begun was finished by hand), or `not-applied`
    #[arg(long = "as", value_name = "STATE", default_value = "file", value_parser = repair)]
    pub(crate) becomes: Repair,
    /// Take the database over from the state that it belongs to, if that is lost
    #[arg(long)]
    pub(crate) adopt: bool,
}

fn repair(text: &str) -> Result<Repair, String> {
    match text {
        "file" => Ok(Repair::Checksum),
        "applied" => Ok(Repair::Applied),
        "not-applied" => Ok(Repair::NotApplied),
        _ => Err("it is one of file, applied, not-applied".to_owned()),
    }
}

fn phase(text: &str) -> Result<MigrationPhase, String> {
    [
        MigrationPhase::Expand,
        MigrationPhase::Backfill,
        MigrationPhase::Contract,
    ]
    .into_iter()
    .find(|phase| phase.word() == text)
    .ok_or_else(|| "it is expand, backfill or contract".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_told_to_commands_that_take_one() {
        let version = Version::new(1, 1, 0);
        let told = |text: &str| Migrate::of_release(text, &version);
        for (text, becomes) in [
            ("cutover migrate up", "cutover migrate up --release 1.1.0"),
            (
                "cutover migrate repair --only 2",
                "cutover migrate repair --only 2 --release 1.1.0",
            ),
            (
                "cutover migrate new NAME --release VERSION --phase contract",
                "cutover migrate new NAME --release 1.1.0 --phase contract",
            ),
            (
                "cutover migrate down --release 1.0.0",
                "cutover migrate down --release 1.0.0",
            ),
            ("cutover migrate contract", "cutover migrate contract"),
            (
                "cutover migrate rules drop-column",
                "cutover migrate rules drop-column",
            ),
            (
                "cutover migrate lint --fix FOLDER 2_b.up.sql",
                "cutover migrate lint --fix FOLDER 2_b.up.sql",
            ),
            ("cutover migrate new --help", "cutover migrate new --help"),
            ("cutover resume", "cutover resume"),
            ("ls migrations", "ls migrations"),
        ] {
            assert_eq!(told(text), becomes);
        }
    }
}
