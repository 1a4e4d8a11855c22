//! Which crate stands on which floor. A new crate gets its line here first.

use std::fmt;

/// From the ground up. What a floor may know is in ARCHITECTURE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Floor {
    /// 0: no tokio, files, clock, environment or randomness.
    Pure,
    /// 1: the ports, the engine over them, and what several adapters share.
    Core,
    /// 2: one outside thing each; never each other.
    Adapters,
    /// 3: the binary, the only place that names adapters.
    Edge,
    /// Beside the house: nothing that ships depends on them, but for what `beside` says.
    Tools,
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pure => "floor 0, pure",
            Self::Core => "floor 1, core",
            Self::Adapters => "floor 2, adapters",
            Self::Edge => "floor 3, edge",
            Self::Tools => "tools",
        })
    }
}

/// Where a crate stands and what it may depend on.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) floor: Floor,
    /// Every crate of a floor below this one may be used.
    pub(crate) below: Floor,
    /// Crates that may be used although they are not below: of the same floor, or a tool.
    pub(crate) beside: &'static [&'static str],
    /// Outside crates that must not be reached, not even through another one.
    pub(crate) never_reaches: &'static [&'static str],
    /// Outside crates that must not be named; below a library that needs them they are that library's business.
    pub(crate) never_names: &'static [&'static str],
}

/// Sockets, processes, files of databases: an effect is one call away.
const EFFECTS: &[&str] = &[
    "axum",
    "hyper",
    "mio",
    "nix",
    "reqwest",
    "rusqlite",
    "socket2",
    "tokio",
    "tokio-postgres",
];

/// Sources of what differs from run to run, and ways around `std::fs`.
const IMPURE: &[&str] = &["fs-err", "getrandom", "rand", "tempfile", "uuid"];

/// What would tie the engine to one adapter. tokio is not among them: tasks and deadlines are its business.
const ADAPTED: &[&str] = &["axum", "hyper", "nix", "reqwest", "rusqlite", "tokio-postgres"];

/// The floors (the same table is drawn in ARCHITECTURE.md).
pub(crate) const PLACES: &[Place] = &[
    pure("cutover-model", &[]),
    pure(
        "cutover-spec",
        &["cutover-analysis", "cutover-model", "cutover-sql"],
    ),
    pure("cutover-analysis", &["cutover-model"]),
    pure("cutover-sql", &["cutover-model"]),
    pure(
        "cutover-plan",
        &["cutover-analysis", "cutover-model", "cutover-spec", "cutover-sql"],
    ),
    core("cutover-os", &[], &[]),
    core("cutover-db", &[], &[]),
    core("cutover-ports", &[], ADAPTED),
    core("cutover-engine", &["cutover-ports"], ADAPTED),
    adapter("cutover-store"),
    adapter("cutover-migrate"),
    adapter("cutover-migrate-mongodb"),
    adapter("cutover-backup"),
    adapter("cutover-metrics"),
    adapter("cutover-target-process"),
    adapter("cutover-proxy"),
    // The demo starts the example application out of the one binary that was built.
    Place {
        beside: &["shop"],
        ..at("cutover", Floor::Edge)
    },
    // The simulator runs the real engine over a world of its own: an adapter in it would be a real one.
    tool("cutover-sim", Floor::Adapters, &[]),
    tool("cutover-testkit", Floor::Edge, &[]),
    // Drives the data plane as a controller would, and measures it.
    tool("proxy-bench", Floor::Edge, &[]),
    // Plays releases against the real judgement.
    tool("analysis-bench", Floor::Core, &[]),
    // Starts the servers that it measures on.
    tool("migrate-bench", Floor::Edge, &["cutover-testkit"]),
    // A reader of the example must not need to know Cutover, nor an application any of its crates.
    tool("shop", Floor::Pure, &[]),
    tool(
        "cutover-e2e",
        Floor::Tools,
        &["cutover-sim", "cutover-testkit", "shop"],
    ),
    // Builds alone, so that it works while another crate does not compile.
    tool("xtask", Floor::Pure, &[]),
];

/// The line of a crate.
pub(crate) fn place<'a>(places: &'a [Place], name: &str) -> Option<&'a Place> {
    places.iter().find(|place| place.name == name)
}

const fn at(name: &'static str, floor: Floor) -> Place {
    Place {
        name,
        floor,
        below: floor,
        beside: &[],
        never_reaches: &[],
        never_names: &[],
    }
}

const fn pure(name: &'static str, beside: &'static [&'static str]) -> Place {
    Place {
        beside,
        never_reaches: EFFECTS,
        never_names: IMPURE,
        ..at(name, Floor::Pure)
    }
}

const fn core(
    name: &'static str,
    beside: &'static [&'static str],
    never_reaches: &'static [&'static str],
) -> Place {
    Place {
        beside,
        never_reaches,
        ..at(name, Floor::Core)
    }
}

const fn adapter(name: &'static str) -> Place {
    at(name, Floor::Adapters)
}

const fn tool(name: &'static str, below: Floor, beside: &'static [&'static str]) -> Place {
    Place {
        below,
        beside,
        ..at(name, Floor::Tools)
    }
}
