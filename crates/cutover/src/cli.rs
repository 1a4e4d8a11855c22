//! The command line: words, options and their help. Nothing is decided here.
//!
//! Long because it is one table: who looks for a word finds it here.

mod analyze;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use cutover_model::{DatabaseName, EnvironmentName, ServiceName, Span, Version};

pub(crate) use analyze::{Analyze, Measured};

use crate::render::{Address, Colour, Output, quoted};
pub(crate) use refused::{for_a_program, refused};

mod lint;
mod migrate;
mod refused;
#[cfg(test)]
mod told;

pub(crate) use migrate::{
    Migrate, MigrateBaseline, MigrateDown, MigrateNew, MigrateRepair, MigrateSql, MigrateUp, MigrateWhich,
};

pub(crate) use lint::{LintDialect, LintFormat, LintWeight, MigrateLint};

/// Takes an application from one version to the next (its schema, its instances and its traffic together) without
/// losing a request, and takes it back just as safely.
#[derive(Debug, Parser)]
#[command(
    name = "cutover",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the words of a command, and of them what commands that are told must say again: what comes from the environment of
    /// the process holds for the next command, too.
    pub(crate) fn read<T: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = T>,
    ) -> Result<(Self, Address), clap::Error> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let matches = Self::command().try_get_matches_from(&words)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))?;
        cli.globals.again = again(words);
        let given = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
        let address = cli.globals.address(given);
        Ok((cli, address))
    }
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Globals {
    /// The application's file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "cutover.yaml",
        env = "CUTOVER_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: PathBuf,
    /// The environment
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        default_value = "production",
        env = "CUTOVER_ENV",
        hide_env_values = true
    )]
    pub(crate) env: EnvironmentName,
    /// The state folder [default: ~/.local/state/cutover/APPLICATION, as root /var/lib/cutover/APPLICATION]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "CUTOVER_STATE",
        hide_env_values = true
    )]
    pub(crate) state: Option<PathBuf>,
    /// What stdout is for: people or programs
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Output::Text,
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub(crate) output: Output,
    /// Ask nothing; the answer is yes
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
    /// Whether to use colour
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t = Colour::Auto,
        value_name = "auto|always|never",
        hide_possible_values = true
    )]
    pub(crate) color: Colour,
    /// The whole command without these options, for a shell: what is asked for once more with something added
    #[arg(skip)]
    pub(crate) again: String,
}

/// What was typed, without what every command understands.
fn again(words: Vec<OsString>) -> String {
    let all = Globals::augment_args(clap::Command::new("cutover"));
    let mut again = "cutover".to_owned();
    let mut words = words
        .into_iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        let (option, value) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(a, b)| (a, Some(b)));
        let global = all.get_arguments().find(|it| {
            let long = it.get_long().map(|long| format!("--{long}"));
            let short = it.get_short().map(|short| format!("-{short}"));
            long.as_deref() == Some(option) || short.as_deref() == Some(option)
        });
        match global {
            Some(global) if global.get_action().takes_values() && value.is_none() => {
                words.next();
            }
            Some(_) => {}
            None => again.extend([" ", &quoted(&word)]),
        }
    }
    again
}

impl Globals {
    /// What a command needs to be about the same: of the options those that were given, and always an environment that is not
    /// the usual one. To do to production what was meant for another one would be the worst mistake.
    pub(crate) fn address(&self, given: impl Fn(&str) -> bool) -> Address {
        let mut address = Address::default();
        if given("config") {
            address = address.with("--config", &self.config.to_string_lossy());
        }
        if given("env") || self.env != EnvironmentName::production() {
            address = address.with("--env", self.env.as_str());
        }
        match &self.state {
            Some(state) if given("state") => address.with("--state", &state.to_string_lossy()),
            _ => address,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented cutover.yaml to start from
    Init(Init),
    /// Look for what is wrong with cutover.yaml, the migrations and the programs
    Check(Check),
    /// Show what an upgrade would do, and change nothing
    Plan(Plan),
    /// Upgrade to a version
    Upgrade(Upgrade),
    /// Go back to an older release, or take the running upgrade back
    Rollback(Rollback),
    /// Start new instances of what runs, one after the other
    Restart(Restart),
    /// End everything that runs; what is recorded stays
    Down,
    /// Show what runs, what waits and what "go back" means now
    Status,
    /// Follow the running upgrade
    Watch,
    /// List upgrades, or show one
    History(History),
    /// Show what instances wrote
    Logs(Logs),
    /// Do not wait any longer at a pause, an analysis or a soak
    Promote(Request),
    /// Say yes to the gate that waits
    Approve(Request),
    /// Hold the upgrade where it is
    Pause(Request),
    /// Go on with an upgrade that was paused or left
    Resume(Resume),
    /// Stop the upgrade and send traffic back
    Abort(Request),
    /// Try again what is stuck
    Retry(Request),
    /// Say that a step whose outcome nobody knows was done
    MarkDone(Request),
    /// Say that a step whose outcome nobody knows was not done
    MarkNotDone(Request),
    /// Migrations by hand
    Migrate {
        #[command(subcommand)]
        command: Migrate,
    },
    /// Backups by hand
    Backup {
        #[command(subcommand)]
        command: Backup,
    },
    /// Judge recorded requests, or what a running service says of itself, without an upgrade
    Analyze(Analyze),
    /// The embedded proxy
    Proxy {
        #[command(subcommand)]
        command: Proxy,
    },
    /// Upgrade an example application under load, and take a bad release back
    Demo(Demo),
    /// Print the JSON Schema of cutover.yaml, whole or of a part
    Schema(Schema),
    /// Print completions for a shell
    Completion(Completion),
    /// The parent of instances and proxy; started on demand
    #[command(hide = true)]
    Supervise(Supervise),
    /// The demo's application
    #[command(hide = true)]
    DemoShop,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The application's name [default: the folder's]
    #[arg(long, value_name = "NAME")]
    pub(crate) application: Option<String>,
    /// Print a systemd unit that starts the supervisor at boot, instead of writing a file
    #[arg(long)]
    pub(crate) systemd: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Also look at the programs and migrations of this version
    pub(crate) version: Option<Version>,
}

/// Which services move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServiceChoice {
    All,
    One(ServiceName),
}

impl std::str::FromStr for ServiceChoice {
    type Err = cutover_model::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" {
            Ok(Self::All)
        } else {
            text.parse().map(Self::One)
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The version to go to
    pub(crate) version: Version,
    /// Only this service moves; may be given several times
    #[arg(long, value_name = "NAME|all", default_value = "all")]
    pub(crate) service: Vec<ServiceChoice>,
    /// The version that must be there now
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<Version>,
    /// Plan the way back to this version instead
    #[arg(long)]
    pub(crate) rollback: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The version to go to
    pub(crate) version: Version,
    /// Only this service moves; may be given several times
    #[arg(long, value_name = "NAME|all", default_value = "all")]
    pub(crate) service: Vec<ServiceChoice>,
    /// The version that must be there now
    #[arg(long, value_name = "VERSION")]
    pub(crate) from: Option<Version>,
    /// Take over its databases from the state that they belong to, if that is lost
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Begin, and go on in the background
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The version to go back to [default: the one before]
    #[arg(long, value_name = "VERSION")]
    pub(crate) to: Option<Version>,
    /// Start what lies on the disk now, even if that is not what was released
    #[arg(long)]
    pub(crate) changed_files: bool,
    /// Begin, and go on in the background
    #[arg(long)]
    pub(crate) detach: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// Only this service
    pub(crate) service: Option<ServiceName>,
    /// Start what lies on the disk now, even if that is not what was released
    #[arg(long)]
    pub(crate) changed_files: bool,
    /// Begin, and go on in the background
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// Without a word, the list
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
    /// How many, newest first
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) most: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Tell one upgrade from beginning to end
    Show {
        /// Its id, or enough of its beginning or end [default: the latest]
        id: Option<String>,
        /// With every measurement
        #[arg(long)]
        analysis: bool,
        /// Also draw both revisions, as the analysis that decided saw them, into this file
        #[arg(long, value_name = "FILE.svg")]
        chart: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Only of this service
    pub(crate) service: Option<ServiceName>,
    /// How many lines of each instance
    #[arg(long, short = 'n', default_value_t = 50, value_name = "N")]
    pub(crate) lines: usize,
    /// Go on with what is written from now on
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Request {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// As the controller in the background, without a request of its own
    #[arg(long, hide = true)]
    pub(crate) in_background: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Make a verified copy of every database, or of one
    Create {
        /// Only this one
        database: Option<DatabaseName>,
    },
    /// List the backups
    List {
        /// Only of this database
        database: Option<DatabaseName>,
    },
    /// Check a backup's checksum and content
    Verify {
        /// Its name, as listed
        name: String,
    },
    /// Put a backup in the place of a database; what was written since is lost
    Restore {
        /// Its name, as listed
        name: String,
    },
    /// Remove the backups beyond those that are kept
    Prune,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Proxy {
    /// Run the proxy in this process, without a file or a controller
    Run(Box<ProxyRun>),
    /// Show what it serves and what it counted
    Status {
        /// As Prometheus text
        #[arg(long)]
        metrics: bool,
        /// Go on, with rates instead of sums, until interrupted
        #[arg(long, conflicts_with = "metrics")]
        watch: bool,
    },
    /// Let requests wait at the proxy: for a change during which no version may serve
    ///
    /// They wait before it is decided which version they are for, and no body is read. What is too many or waits too long is
    /// answered 503. `cutover proxy release` ends it; so does the end of the proxy.
    #[command(visible_alias = "pause")]
    Hold(ProxyHold),
    /// Let requests go that wait at the proxy
    #[command(visible_alias = "resume")]
    Release(ProxyRelease),
    /// Put this program in the place of the proxy that runs, on the same sockets
    ///
    /// The new process serves before the old one stops accepting; the old one finishes what is open and closes idle
    /// connections one by one. If the new one fails, the old one goes on.
    Upgrade,
}

/// `cutover proxy hold`.
#[derive(Debug, Args)]
pub(crate) struct ProxyHold {
    /// Only this one's [default: all]
    #[arg(long, value_name = "SERVICE")]
    pub(crate) service: Option<ServiceName>,
    /// How many may wait
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) max_requests: u32,
    /// The bytes of their heads together
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub(crate) max_bytes: u64,
    /// How long each may wait
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) max_age: Span,
    /// When they go on by themselves [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) at_most: Option<Span>,
}

/// `cutover proxy release`.
#[derive(Debug, Args)]
pub(crate) struct ProxyRelease {
    /// Only this one's [default: all]
    #[arg(long, value_name = "SERVICE")]
    pub(crate) service: Option<ServiceName>,
    /// How many of those that wait go on in a second
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) per_second: u32,
}

/// Without `--listen` it is what the supervisor starts: the table comes over the admin socket and from the folder.
#[derive(Debug, Args)]
pub(crate) struct ProxyRun {
    /// Where clients connect
    #[arg(
        long,
        value_name = "ADDR",
        required_unless_present = "state_dir",
        requires = "upstreams"
    )]
    pub(crate) listen: Option<SocketAddr>,
    /// An instance, host:port; again for more of them.
    ///
    /// Without weights all are instances of one version. With weights each is a version of its own: the first is stable, 1.0.0, the
    /// next 2.0.0 and so on, and `=1` beside `=3` gets a quarter of the requests. Answers say which version it was in
    /// `X-Backend-Version`.
    #[arg(long = "upstream", value_name = "ADDR[=WEIGHT]", requires = "listen")]
    pub(crate) upstreams: Vec<String>,
    /// Also answer `GET /metrics` (Prometheus) and `GET /ready` here
    #[arg(long, value_name = "ADDR", requires = "listen")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// A file to which a line of JSON is appended for each request
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub(crate) access_log: Option<PathBuf>,
    /// Of how many requests, in per cent; those that fail always are
    #[arg(long, value_name = "N", default_value_t = 100, requires = "access_log", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(crate) access_log_percentage: u8,
    /// For its table and its admin socket [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// The `app` label of its metrics
    #[arg(long, value_name = "NAME", default_value = "proxy")]
    pub(crate) application: String,
    /// Take the place of the proxy that serves from the same folder
    #[arg(long, hide = true, requires = "state_dir", conflicts_with = "listen")]
    pub(crate) take_over: bool,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// For a request's head to arrive, and between two requests
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = some_time)]
    pub(crate) header_timeout: Span,
    /// Bytes of a request's head; more is answered 431
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024, value_parser = clap::value_parser!(u32).range(8192..=1_048_576))]
    pub(crate) max_header_bytes: u32,
    /// Fields of a request's head; more is answered 431
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) max_headers: u16,
    /// Bytes of a request's target; more is answered 414
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024, value_parser = clap::value_parser!(u32).range(1..=65_534))]
    pub(crate) max_target_bytes: u32,
    /// To connect to an instance
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "listen", value_parser = some_time)]
    pub(crate) connect_timeout: Span,
    /// For the head of an answer
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "listen", value_parser = some_time)]
    pub(crate) answer_timeout: Span,
    /// Between two bytes of a body
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "listen", value_parser = some_time)]
    pub(crate) idle_timeout: Span,
    /// For open requests to finish after SIGTERM or SIGINT
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) drain_timeout: Span,
    /// Probe the instances by getting this path; a status from 200 to 399 passes [default: no probes]
    #[arg(long, value_name = "PATH", requires = "listen", value_parser = probe_path)]
    pub(crate) health: Option<String>,
    /// Between two probes of an instance
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "health", value_parser = some_time)]
    pub(crate) health_interval: Span,
    /// Open requests of one version; what is more waits [default: 1024 for each of its instances]
    #[arg(long, value_name = "N", requires = "listen", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_requests: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// A PostgreSQL database to use instead of SQLite; it must be empty
    #[arg(
        long,
        value_name = "URL",
        env = "CUTOVER_DEMO_DATABASE",
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) rate: u32,
    /// Leave the folder and everything that runs
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Such as strategy.canary.steps
    pub(crate) path: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Supervise {
    /// The folder of the environment whose instances it runs [default: as --state and --env say]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// A time in which something can happen.
fn some_time(text: &str) -> Result<Span, String> {
    let time: Span = text.parse().map_err(|error| format!("{error}"))?;
    if time.as_duration().is_zero() {
        return Err("it must be more than 0".to_owned());
    }
    Ok(time)
}

/// What can stand in a request as its target.
fn probe_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("a path begins with `/`".to_owned());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
        return Err("a path holds no blanks".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_was_given_is_said_again_wherever_it_stood() {
        let told = |words: &str| {
            let (_, address) = Cli::read(words.split(' ')).unwrap();
            address.put("cutover rollback").into_owned()
        };
        assert_eq!(told("cutover status"), "cutover rollback");
        assert_eq!(
            told("cutover --config a.yaml migrate status --state=/srv/shop"),
            "cutover --config a.yaml --state /srv/shop rollback"
        );
        assert_eq!(
            told("cutover status --env staging"),
            "cutover --env staging rollback"
        );
        // CUTOVER_ENV may name another one.
        assert_eq!(
            told("cutover --env production status"),
            "cutover --env production rollback"
        );
        let again = |words: &[&str]| Cli::read(words).unwrap().0.globals.again;
        assert_eq!(
            again(&[
                "cutover",
                "--state",
                "x",
                "abort",
                "-y",
                "--why",
                "it is bad",
                "--output=json"
            ]),
            "cutover abort --why 'it is bad'"
        );
        // How it is shown, and that nobody is asked, is said for one command.
        assert_eq!(
            told("cutover --yes --output json --color never down"),
            "cutover rollback"
        );
    }

    #[test]
    fn versions_and_services_are_read() {
        let cli = Cli::parse_from([
            "cutover",
            "upgrade",
            "v1.1.0",
            "--service",
            "api",
            "--env",
            "staging",
        ]);
        let Command::Upgrade(upgrade) = cli.command else {
            panic!("{:?}", cli.command)
        };
        assert_eq!(upgrade.version, Version::new(1, 1, 0));
        assert_eq!(upgrade.service, [ServiceChoice::One("api".parse().unwrap())]);
        assert!(Cli::try_parse_from(["cutover", "upgrade", "1.x"]).is_err());
    }
}
